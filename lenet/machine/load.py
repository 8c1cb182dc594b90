"""Load of other processes before, during and after a case, to tell a slow result from a disturbed one."""

from __future__ import annotations

import contextlib
import os
import time

import psutil
from pydantic import Field

from lenet.cases.case import Frozen

SAMPLE_SECONDS = 0.1
"""Length of the samples before and after a case. Linux counts processor time in hundredths of a second."""


class Load(Frozen):
    """The machine's load while no case runs."""

    foreign_cores: float = Field(ge=0)
    """Processor time of other processes over wall time."""
    load_average: float | None = None
    """Over the last minute, including the case before."""
    frequency_mhz: float | None = None


class CaseLoad(Frozen):
    """The machine's load before, during and after a case."""

    logical_cores: int = Field(ge=1)
    before: Load
    after: Load
    during_foreign_cores: float = Field(ge=0)
    """Mean over the case: processor time of the machine minus that of the case, over wall time."""

    @property
    def foreign_share(self) -> float:
        """The largest share of the machine that other processes used before, during or after the case, 0 to 1."""
        cores = max(self.before.foreign_cores, self.during_foreign_cores, self.after.foreign_cores)
        return min(1.0, cores / self.logical_cores)

    @property
    def frequency_change(self) -> float:
        """Relative change of the frequency over the case; 0 where it is unknown."""
        before, after = self.before.frequency_mhz, self.after.frequency_mhz
        return abs(after / before - 1) if before and after else 0.0


def _busy_seconds() -> float:
    """Processor time of the machine since its start, without idle and I/O wait. User time includes guests."""
    times = psutil.cpu_times()
    return sum(getattr(times, name, 0.0) for name in ("user", "nice", "system", "irq", "softirq", "steal"))


def _own_seconds() -> float:
    """Processor time of this process and of all its children, those that have ended and those that are alive."""
    import resource  # not on Windows, where runs are read and not measured

    used = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    total = sum(each.ru_utime + each.ru_stime for each in used)
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            times = child.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


class _Span:
    """An interval from now on, and the processor time of other processes in it."""

    def __init__(self) -> None:
        self._start, self._busy, self._own = time.monotonic(), _busy_seconds(), _own_seconds()

    def foreign_cores(self) -> float:
        """Processor time of other processes over wall time, from the start to now."""
        wall = time.monotonic() - self._start
        foreign = (_busy_seconds() - self._busy) - (_own_seconds() - self._own)
        return max(0.0, foreign / wall) if wall > 0 else 0.0


def load_average() -> float | None:
    """Return the load over the last minute; None where the system does not say."""
    with contextlib.suppress(OSError, AttributeError):
        return os.getloadavg()[0]
    return None


def measure(seconds: float = SAMPLE_SECONDS) -> Load:
    """Measure the load of other processes for `seconds`. The time of this process's children is not counted."""
    span = _Span()
    time.sleep(seconds)
    foreign = span.foreign_cores()
    frequency = None
    with contextlib.suppress(Exception):  # not available on every system
        frequency = float(psutil.cpu_freq().current) or None
    return Load(foreign_cores=foreign, load_average=load_average(), frequency_mhz=frequency)


class LoadMeter:
    """Measures the load around a case: before it when constructed, after it in `finish`."""

    def __init__(self) -> None:
        self._before = measure()
        self._case = _Span()

    def finish(self) -> CaseLoad:
        """Return the load around the case, whose worker has ended or is stopped."""
        during = self._case.foreign_cores()
        return CaseLoad(
            logical_cores=psutil.cpu_count() or 1, before=self._before, after=measure(), during_foreign_cores=during
        )
