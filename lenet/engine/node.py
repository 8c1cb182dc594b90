"""A node's side of a run over several: one case with the local engine, reported message by message.

Messages are JSON, so that they can be read without trust. How they travel is not known here.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Annotated

import psutil
from pydantic import ConfigDict, Field

from lenet.cases.base import Frozen
from lenet.cases.case import Case
from lenet.cases.matrix import Matrix
from lenet.dataset.files import keep
from lenet.engine.busy import Busy
from lenet.engine.environments import releases
from lenet.engine.local import LocalEngine
from lenet.engine.observer import SilentObserver
from lenet.engine.process import TimeLimits
from lenet.files.leftovers import TEMPORARY_PREFIX
from lenet.machine.card import MachineCard, describe
from lenet.store.events import Event, Failed, Finished
from lenet.store.record import DatasetCard, Record
from lenet.store.run import Store

REPORT_SECONDS = 1.0
"""How often a node sends a message. Rarely, because it takes time from the training."""

MAX_MESSAGE_BYTES = 256 * 2**20
MAX_LOG_BYTES = 16 * 2**20
"""How much of a worker's log is sent: its end."""
MAX_NOTICE_LENGTH = 1000


class NodeTask(Frozen):
    """What a node is sent."""

    case: Case
    dataset: DatasetCard
    limits: TimeLimits
    busy: Busy
    command: tuple[str, ...] | None
    """Starts a worker; None for the usual one."""
    omp_threads: str | None
    """OMP_NUM_THREADS where the run was started; None removes the value that Ray sets."""


class NodeMessage(Frozen):
    """What a node sends; an empty message is a sign of life."""

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    machine: MachineCard | None = None
    """In the first message: the node's card."""
    notices: tuple[Annotated[str, Field(max_length=MAX_NOTICE_LENGTH)], ...] = ()
    """What takes long on the node, for the user to read."""
    events: tuple[Annotated[Event, Field(discriminator="event")], ...] = ()
    """The worker's, since the message before."""
    record: Record | None = None
    """In the last message."""
    log: bytes = b""
    """In the last message: the end of what the worker printed."""


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


def run_case(task: bytes, contents: Mapping[str, bytes]) -> Iterator[bytes]:
    """Run the case of a `NodeTask` in a temporary folder; yields `NodeMessage`s. `contents` are the dataset's files.

    The worker's last event comes with the record: whoever has received `finished` has the record too. The worker is
    killed when the iteration is interrupted.

    Raises:
        BusyError: another run measures on the device, and the task says to refuse.
        CacheError: the node's cache cannot be written.
    """
    asked = NodeTask.model_validate_json(task)
    case, card = asked.case, asked.dataset
    os.environ.pop("OMP_NUM_THREADS", None)
    if asked.omp_threads is not None:
        os.environ["OMP_NUM_THREADS"] = asked.omp_threads
    yield NodeMessage(machine=describe()).model_dump_json().encode()
    dataset = keep(contents, f"sent-{card.sha256[:16]}", card.name)
    outbox = Outbox()
    engine = LocalEngine(asked.limits, outbox, asked.command, releases.interpreter, asked.busy, outbox.notify)
    with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX) as folder, ThreadPoolExecutor(1) as thread:
        store = Store.create(Path(folder) / "run", Matrix(), [case], {card.name: card}, describe())
        running = thread.submit(engine.run, [case], {case.dataset: dataset}, store)
        try:
            while not wait([running], timeout=REPORT_SECONDS).done:
                yield outbox.take().model_dump_json().encode()
        except BaseException:
            while not wait([running], timeout=0.1).done:
                _kill_children()
            raise
        (record,) = running.result()
        last = {"record": record, "log": _end_of(store.log_path(case))}
        yield outbox.take(last=True).model_copy(update=last).model_dump_json().encode()


class Outbox(SilentObserver):
    """What the engine, in its thread, has reported and was not sent yet.

    One thread appends, another takes from the front, each in one operation: that needs no lock.
    """

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._notices: list[str] = []

    def event(self, case: Case, event: Event) -> None:
        """Keep it."""
        del case
        self._events.append(event)

    def notify(self, text: str) -> None:
        """Keep it."""
        self._notices.append(text[:MAX_NOTICE_LENGTH])

    def take(self, last: bool = False) -> NodeMessage:
        """A message with all that is here; the worker's last event and what follows only if `last` is set."""
        ends = (index for index, event in enumerate(self._events) if isinstance(event, Failed | Finished))
        count = len(self._events) if last else next(ends, len(self._events))
        message = NodeMessage(events=tuple(self._events[:count]), notices=tuple(self._notices))
        del self._events[:count], self._notices[: len(message.notices)]
        return message


def _end_of(log: Path) -> bytes:
    if not log.exists():
        return b""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - MAX_LOG_BYTES))
        return file.read(MAX_LOG_BYTES)


def _kill_children() -> None:
    """Kill the worker, or pip: the engine, in its thread, then ends."""
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            process.kill()
