"""Events: the lines that a worker reports while it runs, one JSON object a line.

The parent trusts none of them: a line that is not one of these ends the case as `invalid`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from lenet.case import Frozen
from lenet.record import Evaluation, Phases, Software, Status, Window

MAX_LINE_BYTES = 8 * 2**20
"""Longest line that the parent reads; the longest honest one is a window with its losses."""


class Started(Frozen):
    """The framework is imported, the device chosen, network and pipelines built; nothing has been trained."""

    event: Literal["started"] = "started"
    software: Software
    initial_weights_sha256: str


class Compiled(Frozen):
    """The first step is done."""

    event: Literal["compiled"] = "compiled"
    seconds: float


class Steps(Window):
    """A window of training, with the loss of each step (null where it was not finite)."""

    event: Literal["steps"] = "steps"
    losses: tuple[float | None, ...]

    @property
    def window(self) -> Window:
        """The timing without the losses."""
        return Window(**self.model_dump(exclude={"event", "losses"}))


class Evaluated(Evaluation):
    """The test set was judged."""

    event: Literal["evaluated"] = "evaluated"

    @property
    def evaluation(self) -> Evaluation:
        """The same without the event's name."""
        return Evaluation(**self.model_dump(exclude={"event"}))


class Resident(Window):
    """A window of steps on one batch that stays on the device: training without the data pipeline."""

    event: Literal["resident"] = "resident"

    @property
    def window(self) -> Window:
        """The same without the event's name."""
        return Window(**self.model_dump(exclude={"event"}))


class Failed(Frozen):
    """The case cannot go on; the last event of its worker."""

    event: Literal["failed"] = "failed"
    status: Status
    reason: str = Field(max_length=4000)


class Finished(Frozen):
    """The last event of a case that was carried out whole."""

    event: Literal["finished"] = "finished"
    phases: Phases
    final_weights_sha256: str
    losses_sha256: str
    peak_memory_bytes: int | None


Event = Started | Compiled | Steps | Evaluated | Resident | Failed | Finished

_adapter: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


def parse(line: bytes) -> Event:
    """The event that one line holds.

    Raises:
        ValueError: the line is not an event (pydantic's ValidationError is one).
    """
    return _adapter.validate_json(line)
