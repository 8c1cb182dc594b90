"""What a run over several nodes sends to a node and gets from it, as JSON: it can be read without trust."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from lenet.cases.base import Frozen
from lenet.cases.case import Case
from lenet.engine.busy import Busy
from lenet.engine.process import TimeLimits
from lenet.engine.turns import Interleave
from lenet.machine.card import MachineCard
from lenet.store.events import Event
from lenet.store.record import DatasetCard, Record

MAX_MESSAGE_BYTES = 256 * 2**20
MAX_NOTICE_LENGTH = 1000


class NodeTask(Frozen):
    """What a node is sent: cases that are alive together, or one case."""

    cases: Annotated[tuple[Case, ...], Field(min_length=1)]
    datasets: tuple[DatasetCard, ...]
    limits: TimeLimits
    busy: Busy
    interleave: Interleave
    command: tuple[str, ...] | None
    """Starts a worker; None for the usual one."""
    omp_threads: str | None
    """OMP_NUM_THREADS where the run was started; None removes the value that Ray sets."""


class MemberEvent(Frozen):
    """An event of the worker of a case. `member` is the case's place in the task."""

    kind: Literal["event"] = "event"
    member: int
    event: Annotated[Event, Field(discriminator="event")]


class MemberResult(Frozen):
    """The record of a case, and the end of what its worker printed."""

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    kind: Literal["result"] = "result"
    member: int
    record: Record
    log: bytes


class MemberTurn(Frozen):
    """The case that is on turn; see `Observer.turn`."""

    member: int
    cycle: int = Field(ge=0)
    cycles: int = Field(ge=0)


Report = MemberEvent | MemberResult


class NodeMessage(Frozen):
    """What a node sends; an empty message is a sign of life."""

    machine: MachineCard | None = None
    """In the first message: the node's card."""
    notices: tuple[Annotated[str, Field(max_length=MAX_NOTICE_LENGTH)], ...] = ()
    """What takes long on the node, for the user to read."""
    turn: MemberTurn | None = None
    """The last turn since the message before."""
    reports: tuple[Annotated[Report, Field(discriminator="kind")], ...] = ()
    """What the workers reported since the message before, and at most one result, which is last."""


def parse(content: object) -> NodeMessage:
    """The message that a node sent.

    Raises:
        ValueError: it is none, or too long.
    """
    if not isinstance(content, bytes):
        raise ValueError(f"{type(content).__name__} is not a node's message")
    if len(content) > MAX_MESSAGE_BYTES:
        raise ValueError(f"a message of {len(content)} bytes is too long")
    return NodeMessage.model_validate_json(content)
