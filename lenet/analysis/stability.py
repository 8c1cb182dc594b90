"""Whether the throughput of a case is stable, the reasons if it is not, and how many more processes it needs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from lenet.analysis.statistics import Interval, intervals, processes_needed
from lenet.analysis.steady import steady
from lenet.store.record import Record, Status, Window, steady_rates

PRECISION = 0.03
"""Largest distance of the interval's ends from a stable figure, relative to the figure."""

FOREIGN_SHARE = 0.1
FREQUENCY_CHANGE = 0.1
OUTLIER_SHARE = 0.1
OUTLIER_DISTANCE = 0.05
MODE_DISTANCE = 0.05

REASONS = {
    "n": "too few samples",
    "d": "drift",
    "b": "bimodal",
    "o": "outliers",
    "l": "load from other processes",
    "f": "frequency",
}
"""What makes a figure unstable, by the letter that denotes it in a narrow table."""


@dataclass(frozen=True)
class Sample:
    """One process's steady rates in images a second, in the order in which they were measured."""

    rates: tuple[float, ...]
    drifts: bool

    @property
    def median(self) -> float:
        """The process's throughput."""
        return statistics.median(self.rates)


@dataclass(frozen=True)
class Stability:
    """How stable the throughput of a case is."""

    reasons: tuple[str, ...]
    """Keys of `REASONS`; none when it is stable."""
    processes: int
    """Processes that ended well and have a throughput."""
    interval: Interval | None
    """Of the median over the processes; None for fewer than three."""
    more: int | None
    """Further processes for an interval of ±`PRECISION` if they scatter as those so far; None for more than 1,000."""

    @property
    def stable(self) -> bool:
        """Whether no reason speaks against it."""
        return not self.reasons

    @property
    def text(self) -> str:
        """In words."""
        return "stable" if self.stable else f"unstable: {', '.join(REASONS[letter] for letter in self.reasons)}"


def sample(windows: Iterable[Window]) -> Sample | None:
    """The steady rates of a process's windows, without a slow start; None without a window after the warm-up."""
    rates = tuple(steady_rates(windows))
    if not rates:
        return None
    part = steady(rates)
    return Sample(rates[part.start :], part.drifts)


def has_outliers(values: Sequence[float]) -> bool:
    """At least two values, and more than a tenth, outside Tukey's outer fences and 5% off the median."""
    if len(values) < 5:
        return False
    median = statistics.median(values)
    if max(values) - median < OUTLIER_DISTANCE * median and median - min(values) < OUTLIER_DISTANCE * median:
        return False
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    reach = max(3 * (high - low), 0.0)
    out = sum(
        not low - reach <= value <= high + reach and abs(value / median - 1) > OUTLIER_DISTANCE for value in values
    )
    return out >= 2 and out > OUTLIER_SHARE * len(values)


def is_bimodal(values: Sequence[float]) -> bool:
    """Two groups, a fifth of the values each or more, at least 5% apart and far apart for their widths.

    The distance between the groups' means over the root of their mean variance (Ashman, Bird & Zepf, The Astronomical
    Journal 108, 1994) at the split that leaves the least variance. One group cut in two reaches a distance too, the
    larger the fewer the values: 4 + 50/n is passed by fewer than 2 in 100 normal, uniform or exponential samples.
    """
    count = len(values)
    if count < 6 or max(values) < (1 + MODE_DISTANCE) * min(values):
        return False
    logs = sorted(math.log(value) for value in values)
    least = max(2, -(-count // 5))
    centre = statistics.fmean(logs)
    totals = list(accumulate((each - centre for each in logs), initial=0.0))
    squares = list(accumulate(((each - centre) ** 2 for each in logs), initial=0.0))

    def variation(first: int, last: int) -> float:
        total = totals[last] - totals[first]
        return max(0.0, squares[last] - squares[first] - total * total / (last - first))

    split = min(range(least, count - least + 1), key=lambda cut: variation(0, cut) + variation(cut, count))
    apart = (totals[count] - totals[split]) / (count - split) - totals[split] / split
    width = math.sqrt((variation(0, split) / (split - 1) + variation(split, count) / (count - split - 1)) / 2)
    return apart >= math.log1p(MODE_DISTANCE) and apart > (4 + 50 / count) * width


def _of_process(record: Record, measured: Sample) -> set[str]:
    """The reasons against the figure of one process, as keys of `REASONS`."""
    load = record.load
    reasons = {
        "d": measured.drifts,
        "b": is_bimodal(measured.rates),
        "o": has_outliers(measured.rates),
        "l": load is not None and load.foreign_share > FOREIGN_SHARE,
        "f": load is not None and load.frequency_change > FREQUENCY_CHANGE,
    }
    return {reason for reason, holds in reasons.items() if holds}


def assess(cases: Sequence[Sequence[tuple[Record, Sample | None]]]) -> list[Stability | None]:
    """The stability of each case, from its processes in the order in which they ran; None if none was measured.

    A reason counts if a quarter of the processes have it, or their medians do.
    """
    measured = [
        [(record, sample) for record, sample in case if sample is not None and record.status is Status.OK]
        for case in cases
    ]
    medians = [[sample.median for _, sample in case] for case in measured]
    return [
        _assess([_of_process(*each) for each in case], values, interval) if values else None
        for case, values, interval in zip(measured, medians, intervals(medians), strict=True)
    ]


def _assess(held: Sequence[set[str]], medians: Sequence[float], interval: Interval | None) -> Stability:
    """The stability of a case from the reasons and the median of each process."""
    wide = interval is None or width(interval, medians) > PRECISION
    part = steady(medians)
    of_medians = {
        "n": wide,
        "d": part.drifts or part.start > 0,
        "b": is_bimodal(medians),
        "o": has_outliers(medians),
    }
    reasons = tuple(
        each for each in REASONS if of_medians.get(each) or sum(each in one for one in held) * 4 >= len(held)
    )
    more: int | None = 0
    if wide:
        needed = processes_needed(medians, PRECISION)
        more = None if needed is None else max(1, needed - len(medians))
    return Stability(reasons, len(medians), interval, more)


def width(interval: Interval, values: Sequence[float]) -> float:
    """How far the interval reaches from the median, to the farther side, relative to the median."""
    median = statistics.median(values)
    return max(interval.high / median - 1, 1 - interval.low / median)
