"""Events: what a worker reports while it runs, one JSON object per line.

The parent trusts no line: one that is not an event ends the case as `invalid`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from lenet.cases.case import Frozen
from lenet.store.record import Evaluation, Phases, Software, Status, Window

MAX_LINE_BYTES = 8 * 2**20
"""Longest line that the parent reads; the longest event is a window with its losses."""

STEPS_BEGIN, STEPS_END = "lenet-bench: instrumented steps begin", "lenet-bench: instrumented steps end"
"""Lines that an instrumented worker prints around its steps; the rest of its log is of no step."""


class Started(Frozen):
    """The framework is imported, the device chosen, network and pipelines built; nothing is trained yet."""

    event: Literal["started"] = "started"
    software: Software
    initial_weights_sha256: str


class Compiled(Frozen):
    """The first step is done."""

    event: Literal["compiled"] = "compiled"
    seconds: float


class TimedSteps(Window):
    """What the events of a window have in common."""

    @property
    def window(self) -> Window:
        """The timing alone."""
        return Window(**self.model_dump(include=set(Window.model_fields)))


class Steps(TimedSteps):
    """A window of training, with the loss of each step (null where it was not finite)."""

    event: Literal["steps"] = "steps"
    losses: tuple[float | None, ...]


class Evaluated(Evaluation):
    """The test set was evaluated."""

    event: Literal["evaluated"] = "evaluated"

    @property
    def evaluation(self) -> Evaluation:
        """The same without the name of the event."""
        return Evaluation(**self.model_dump(exclude={"event"}))


class Resident(TimedSteps):
    """A window of steps on one batch that stays on the device: training without the data pipeline."""

    event: Literal["resident"] = "resident"


class Layer(Frozen):
    """One parameter of the network after one step."""

    name: str = Field(max_length=200)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Over the values as little-endian float32."""
    norm: float | None
    """Euclidean norm of the values; null when one is not finite."""
    sketch: tuple[float, ...] = Field(max_length=64)
    """Random projections of the values (see `lenet.store.sketch`); empty when a value is not finite."""


class Traced(Frozen):
    """A traced case after `step` steps (0: before the first): the batch of that step and the weights after it."""

    event: Literal["traced"] = "traced"
    step: int = Field(ge=0)
    images_sha256: str | None
    """Over the batch as little-endian float32 (N, 1, 32, 32); null at step 0."""
    labels_sha256: str | None
    """Over the batch's labels as little-endian int32 (N,)."""
    layers: tuple[Layer, ...] = Field(max_length=1000)


class Sketched(Frozen):
    """The weights of a case that is not traced, after `step` steps: the first ones and the last."""

    event: Literal["sketched"] = "sketched"
    step: int = Field(ge=1)
    layers: tuple[Layer, ...] = Field(max_length=1000)


class Failed(Frozen):
    """The case cannot continue; the last event of its worker."""

    event: Literal["failed"] = "failed"
    status: Status
    reason: str = Field(max_length=4000)


class Finished(Frozen):
    """The last event of a case that ran to its end."""

    event: Literal["finished"] = "finished"
    phases: Phases
    final_weights_sha256: str
    losses_sha256: str
    peak_memory_bytes: int | None


Event = Started | Compiled | Steps | Traced | Sketched | Evaluated | Resident | Failed | Finished

_adapter: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


def parse(line: bytes) -> Event:
    """The event that one line holds.

    Raises:
        ValueError: the line is not an event (pydantic's ValidationError is one).
    """
    return _adapter.validate_json(line)


def validate(content: dict[str, Any]) -> Event:
    """The event that a decoded JSON object holds.

    Raises:
        ValueError: the object is not an event.
    """
    return _adapter.validate_python(content)
