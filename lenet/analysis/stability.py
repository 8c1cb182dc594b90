"""Whether the throughput of a case is stable, the reasons if it is not, and how many more processes it needs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lenet.analysis.statistics import Interval, intervals, processes_needed
from lenet.analysis.steady import Steady, steady
from lenet.store.record import Record, Status, Window

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


def full_windows(windows: Iterable[Window]) -> list[Window]:
    """The windows after the warm-up, without the short one at the end of an epoch."""
    warm = [window for window in windows if not window.warmup]
    full = max((window.steps for window in warm), default=0)
    return [window for window in warm if window.steps == full]


def sample(windows: Iterable[Window]) -> Sample | None:
    """The steady rates of a process's windows; None without a window after the warm-up."""
    rates = tuple(window.images_per_second for window in full_windows(windows))
    if not rates:
        return None
    found: Steady = steady(rates)
    return Sample(rates[found.start :], found.drifts)


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
    totals, squares = [0.0], [0.0]
    centre = statistics.fmean(logs)
    for each in logs:
        totals.append(totals[-1] + each - centre)
        squares.append(squares[-1] + (each - centre) ** 2)

    def variation(first: int, last: int) -> float:
        total = totals[last] - totals[first]
        return max(0.0, squares[last] - squares[first] - total * total / (last - first))

    split = min(range(least, count - least + 1), key=lambda cut: variation(0, cut) + variation(cut, count))
    apart = (totals[count] - totals[split]) / (count - split) - totals[split] / split
    width = math.sqrt((variation(0, split) / (split - 1) + variation(split, count) / (count - split - 1)) / 2)
    return apart >= math.log1p(MODE_DISTANCE) and apart > (4 + 50 / count) * width


def _of_process(record: Record, measured: Sample) -> set[str]:
    """The reasons against the figure of one process, as keys of `REASONS`."""
    found = set()
    if measured.drifts:
        found.add("d")
    if has_outliers(measured.rates):
        found.add("o")
    if is_bimodal(measured.rates):
        found.add("b")
    if record.load is not None:
        if record.load.foreign_share > FOREIGN_SHARE:
            found.add("l")
        if record.load.frequency_change > FREQUENCY_CHANGE:
            found.add("f")
    return found


def assess(cases: Sequence[Sequence[tuple[Record, Sample | None]]]) -> list[Stability | None]:
    """The stability of each case, from its processes in the order in which they ran; None if none was measured.

    A reason counts if a quarter of the processes have it, or their medians do.
    """
    measured = [
        [(record, found) for record, found in case if found is not None and record.status is Status.OK]
        for case in cases
    ]
    medians = [[found.median for _, found in case] for case in measured]
    found: list[Stability | None] = []
    for case, values, interval in zip(measured, medians, intervals(medians), strict=True):
        if not values:
            found.append(None)
            continue
        held = [_of_process(record, found) for record, found in case]
        reasons = {each for each in REASONS if sum(each in one for one in held) * 4 >= len(held)}
        needed = processes_needed(values, PRECISION)
        more = None if needed is None else max(0, needed - len(values))
        if interval is None or width(interval, values) > PRECISION:
            reasons.add("n")
            more = max(1, more) if more is not None else None
        else:
            more = 0
        if steady(values).drifts or steady(values).start:
            reasons.add("d")
        if has_outliers(values):
            reasons.add("o")
        if is_bimodal(values):
            reasons.add("b")
        found.append(Stability(tuple(each for each in REASONS if each in reasons), len(values), interval, more))
    return found


def width(interval: Interval, values: Sequence[float]) -> float:
    """How far the interval reaches from the median, to the farther side, relative to the median."""
    median = statistics.median(values)
    return max(interval.high / median - 1, 1 - interval.low / median)
