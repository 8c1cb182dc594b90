"""How far apart the throughputs of two cases are: the ratio, its interval, and the test that belongs to the interval.

Where the two cases were members of the same groups, whose workers took turns, the ratio is estimated within the groups
(`lenet.analysis.paired`). Otherwise it is estimated from independent processes: by Welch's t on the logarithms where
they are few, by Hodges and Lehmann's estimate with the Mann-Whitney test where they are many. A single process on a
side is compared by blocks of its windows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lenet.analysis.paired import LEAST_GROUPS, TimedTurn, paired_ratio
from lenet.analysis.stability import Sample
from lenet.analysis.statistics import BOOTSTRAP_FROM, MIN_PROCESSES, Interval, blocks, ratio
from lenet.store.record import Record

SIGNIFICANT = 0.05

Unit = Literal["groups", "processes", "windows"]
Measured = tuple[Record, Sample]
"""A process that ended well, and its steady rates."""


@dataclass(frozen=True)
class SpeedDifference:
    """How many times the throughput of B that of A is."""

    unit: Unit
    ratio: float
    interval: Interval | None
    p: float | None
    """Two-sided; None where no test belongs to so few samples."""
    groups: int = 0
    """Groups that both were members of, where these are the unit."""
    note: str = ""
    """Why there is no test."""


def _turns_by_group(side: Sequence[Measured]) -> dict[str, list[TimedTurn]]:
    """The timed turns of each group that a process of the side was a member of; a block is two cycles."""
    return {
        record.group: [
            TimedTurn(window.cycle // 2, window.images, window.seconds)
            for window in record.windows
            if window.cycle is not None and not window.warmup
        ]
        for record, _ in side
        if record.group
    }


def difference(a: Sequence[Measured], b: Sequence[Measured], tests: int = 1) -> SpeedDifference:
    """The difference of two cases, of which each has a process that ended well.

    `tests` is how many differences are judged together: with that many, Mann-Whitney's test cannot be significant
    below `least_processes(tests)` processes on each side, however far apart they are, and Welch's decides.

    Raises:
        ValueError, ArithmeticError: the samples cannot be tested.
    """
    ours, theirs = _turns_by_group(a), _turns_by_group(b)
    if (paired := paired_ratio([(ours[name], theirs[name]) for name in ours if name in theirs])) is not None:
        few_groups = f"these processes only: a difference can be found from {LEAST_GROUPS} groups"
        note = few_groups if paired.these_processes_only else ""
        return SpeedDifference("groups", paired.value, paired.interval, paired.p, paired.groups, note)
    few = max(BOOTSTRAP_FROM, least_processes(tests))
    x, y = ([sample.median for _, sample in side] for side in (a, b))
    unit: Unit = "processes"
    if min(len(x), len(y)) < 2:
        unit = "windows"
        x, y = ([each for _, sample in side for each in blocks(sample.rates)] for side in (a, b))
    found = ratio(x, y, few)
    if unit == "processes" and min(len(x), len(y)) < MIN_PROCESSES:
        note = f"a difference can be found from {MIN_PROCESSES} processes on each side"
        return SpeedDifference(unit, found.value, found.interval, None, note=note)
    return SpeedDifference(unit, found.value, found.interval, _test(x, y, few))


def _test(a: Sequence[float], b: Sequence[float], few: int) -> float:
    """Two-sided p of the test that belongs to `ratio`'s interval."""
    return mann_whitney(a, b) if min(len(a), len(b)) >= few else welch(a, b)


def mann_whitney(a: Sequence[float], b: Sequence[float]) -> float:
    """Two-sided p of the Mann-Whitney test (exact where the samples are small and without ties)."""
    from scipy import stats

    return float(stats.mannwhitneyu(a, b, alternative="two-sided").pvalue)


def welch(a: Sequence[float], b: Sequence[float]) -> float:
    """Two-sided p of Welch's t on the logarithms."""
    from scipy import stats

    logs_a, logs_b = ([math.log(value) for value in side] for side in (a, b))
    if len(set(logs_a)) == len(set(logs_b)) == 1:  # the test divides by their spread
        return 1.0 if logs_a[0] == logs_b[0] else 0.0
    return float(stats.ttest_ind(logs_b, logs_a, equal_var=False).pvalue)


def least_processes(tests: int) -> int:
    """Processes on each side below which no Mann-Whitney test is significant among so many, however far apart."""
    return next(n for n in range(2, 1000) if 2 / math.comb(2 * n, n) * tests < SIGNIFICANT)
