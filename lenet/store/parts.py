"""What an instrumented worker reports of the parts of a step. It is kept in no run."""

from __future__ import annotations

from pydantic import Field

from lenet.cases.base import Frozen


class PartTimes(Frozen):
    """Seconds of a round: of its instrumented steps, part by part, and of as many others that alternate with them."""

    steps: int = Field(ge=1)
    plain_seconds: float = Field(gt=0)
    """Of as many steps timed like a window: one reading of the clock at each end."""
    clocked_seconds: float = Field(gt=0)
    """Of as many steps at which the clock is read, without the profiler."""
    instrumented_seconds: float = Field(ge=0)
    """Of the instrumented steps from begin to end: their parts add up to it."""
    data_seconds: float = Field(ge=0)
    """The training waits for its batch, and no operator runs."""
    host_seconds: float = Field(ge=0)
    """Python and launching: the call has not returned, and no operator runs."""
    kernel_seconds: float | None = Field(default=None, ge=0)
    """At least one operator runs; None without a profiler, whose time is then in the other parts."""
    rest_seconds: float = Field(ge=0)
    """All calls have returned, no operator runs, and the last loss is not there: threads wait for one another."""
