"""What an instrumented worker reports of the parts of a step. It is kept in no run."""

from __future__ import annotations

from pydantic import Field

from lenet.cases.base import Frozen


class PartTimes(Frozen):
    """Seconds of a block of steps, and of as many steps beside them without instruments."""

    steps: int = Field(ge=1)
    plain_seconds: float = Field(gt=0)
    """Of as many steps timed like a window: one reading of the clock at each end."""
    data_seconds: float = Field(ge=0)
    host_seconds: float = Field(ge=0)
    """Python and launching: the call has not returned, and no operator runs."""
    kernel_seconds: float | None = Field(default=None, ge=0)
    """At least one operator runs; None without a profiler, whose time is then in `host_seconds` and `rest_seconds`."""
    rest_seconds: float = Field(ge=0)
    """The call has returned, no operator runs, and the loss is not there: threads wait for one another."""
