"""What else this machine was doing while a case ran, so that a slow number can be told from a disturbed one."""

from __future__ import annotations

import contextlib
import os
import resource
import time

import psutil
from pydantic import Field

from lenet.cases.case import Frozen

SAMPLE_SECONDS = 0.1
"""How long the processors are watched before and after a case. Linux counts in hundredths of a second."""


class Load(Frozen):
    """The machine at one moment, no case running."""

    foreign_cores: float = Field(ge=0)
    """Cores' worth of time that other processes took."""
    load_average: float | None = None
    """Over the last minute; it counts the case before, too."""
    frequency_mhz: float | None = None


class CaseLoad(Frozen):
    """The machine before, during and after a case."""

    logical_cores: int = Field(ge=1)
    before: Load
    after: Load
    during_foreign_cores: float = Field(ge=0)
    """Mean over the case: what the whole machine was busy, less what the case itself used."""

    @property
    def foreign_share(self) -> float:
        """The largest share of the machine that others took, 0 to 1 and no more, before, during or after the case."""
        cores = max(self.before.foreign_cores, self.during_foreign_cores, self.after.foreign_cores)
        return min(1.0, cores / self.logical_cores)

    @property
    def frequency_change(self) -> float:
        """How far the frequency moved over the case, relative to that before; 0 where the system does not tell."""
        before, after = self.before.frequency_mhz, self.after.frequency_mhz
        return abs(after / before - 1) if before and after else 0.0


def _busy_seconds() -> float:
    """Processor time of the whole machine since its start, idle and waiting left out. Guests count as user time."""
    times = psutil.cpu_times()
    return sum(getattr(times, name, 0.0) for name in ("user", "nice", "system", "irq", "softirq", "steal"))


def _own_seconds() -> float:
    """Processor time of this process and of all its children that have ended."""
    used = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


class _Span:
    """A stretch of time, and what others used of it."""

    def __init__(self) -> None:
        self._began, self._busy, self._own = time.monotonic(), _busy_seconds(), _own_seconds()

    def foreign_cores(self) -> float:
        """Cores' worth since the beginning."""
        wall = time.monotonic() - self._began
        foreign = (_busy_seconds() - self._busy) - (_own_seconds() - self._own)
        return max(0.0, foreign / wall) if wall > 0 else 0.0


def measure(seconds: float = SAMPLE_SECONDS) -> Load:
    """The load of others over the next `seconds`. No child of this process may be running."""
    span = _Span()
    time.sleep(seconds)
    foreign = span.foreign_cores()
    average = frequency = None
    with contextlib.suppress(OSError, AttributeError):
        average = os.getloadavg()[0]
    with contextlib.suppress(Exception):  # systems tell it in many ways, or not at all
        frequency = float(psutil.cpu_freq().current) or None
    return Load(foreign_cores=foreign, load_average=average, frequency_mhz=frequency)


class LoadMeter:
    """Measures before a case when it is made, and after it when it is asked."""

    def __init__(self) -> None:
        self._before = measure()
        self._case = _Span()

    def finish(self) -> CaseLoad:
        """The case's load. Its worker has ended."""
        during = self._case.foreign_cores()
        return CaseLoad(
            logical_cores=psutil.cpu_count() or 1, before=self._before, after=measure(), during_foreign_cores=during
        )
