"""How far apart the throughputs of two cases are: the ratio, its interval, and the test that belongs to the interval.

Where the two cases were members of the same groups, whose workers took turns, the ratio is estimated within the groups
(`lenet.analysis.paired`). Otherwise it is estimated from independent processes: by Welch's t on the logarithms where
they are few, by Hodges and Lehmann's estimate with the Mann-Whitney test where they are many. A single process on a
side is compared by blocks of its windows.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from lenet.analysis.paired import (
    LEAST_GROUPS,
    PLACES_FROM,
    PLANNED_LEVEL,
    MemberPair,
    TimedTurn,
    paired_ratio,
    places_apart,
)
from lenet.analysis.stability import Sample, sample
from lenet.analysis.statistics import (
    BOOTSTRAP_FROM,
    LEVEL,
    MIN_PROCESSES,
    Interval,
    blocks,
    count_needed,
    ratio,
    t_test,
    welch_moments,
)
from lenet.store.record import Record, Status

SIGNIFICANT = 0.05

Unit = Literal["groups", "processes", "windows"]
Measured = tuple[Record, Sample]
"""A process that ended well, and its steady rates."""


def measured(records: Iterable[Record]) -> list[Measured]:
    """The processes that ended well, with their rates."""
    return [
        (record, rates)
        for record in records
        if record.status is Status.OK and (rates := sample(record.windows)) is not None
    ]


@dataclass(frozen=True)
class SpeedDifference:
    """How many times the throughput of A that of B is."""

    unit: Unit
    ratio: float | None
    """None if it cannot be computed."""
    interval: Interval | None
    p: float | None
    """Two-sided, below 5% where the interval does not hold 1; None where no test belongs to so few samples."""
    groups: int = 0
    """Groups that both were members of, where these are the unit."""
    planned: bool = False
    """Whether the number of groups was decided at planned looks, which interval and p count."""
    deviation: float | None = None
    """Standard deviation of the logarithm of the ratio from one group, or from one process on each side; None if
    unknown."""
    note: str = ""
    """Why there is no test."""

    @property
    def these_processes_only(self) -> bool:
        """Whether the interval does not speak for other processes."""
        return self.unit == "windows" or (self.unit == "groups" and self.groups < LEAST_GROUPS)

    def needed(self, precision: float) -> int | None:
        """Units, groups or processes on each side, for an interval as narrow as ±`precision`; None over 1,000."""
        if self.deviation is None:
            return None
        level = PLANNED_LEVEL if self.planned else LEVEL
        if self.unit == "groups":
            return count_needed(self.deviation, precision, level=level, adjusted_from=PLACES_FROM)
        return count_needed(self.deviation, precision, 2, level)


def shared_groups(a: Sequence[Measured], b: Sequence[Measured]) -> list[MemberPair]:
    """The turns of both in each group that both were members of."""
    ours, theirs = ({record.group: record for record, _ in side if record.group} for side in (a, b))
    return [_pair(ours[name], theirs[name]) for name in ours if name in theirs]


def _pair(a: Record, b: Record) -> MemberPair:
    return MemberPair(_turns(a), _turns(b), places_apart(a.place, b.place))


def _turns(record: Record) -> Sequence[TimedTurn]:
    return TimedTurn.of(each for each in record.windows if each.cycle is not None and not each.warmup)


def unit_of(a: Sequence[Measured], b: Sequence[Measured]) -> Unit:
    """What a difference of the two is estimated from."""
    if {record.group for record, _ in a if record.group} & {record.group for record, _ in b}:
        return "groups"
    return "processes" if min(len(a), len(b)) > 1 else "windows"


def difference(a: Sequence[Measured], b: Sequence[Measured], tests: int = 1) -> SpeedDifference:
    """The difference of two cases, of which each has a process that ended well.

    `tests` is how many differences are decided together: with that many, Mann-Whitney's test cannot be significant
    below `least_processes(tests)` processes on each side, however far apart they are, and Welch's decides. Samples
    that cannot be tested give a difference with a note and without p.
    """
    unit = unit_of(a, b)
    try:
        found = (_paired(a, b) if unit == "groups" else None) or _independent(a, b, tests)
    except (ValueError, ArithmeticError) as error:
        return SpeedDifference(unit, None, None, None, note=f"the test failed: {error}"[:500])
    if found.interval is not None and not all(map(math.isfinite, (found.interval.low, found.interval.high))):
        found = replace(found, interval=None)
    if not found.note and (found.p is None or not math.isfinite(found.p)):
        found = replace(found, p=None, note="the test gave no answer")
    return found


def _paired(a: Sequence[Measured], b: Sequence[Measured]) -> SpeedDifference | None:
    planned = any(record.planned_looks for record, _ in (*a, *b))
    if (found := paired_ratio(shared_groups(a, b), planned)) is None:
        return None
    few = f"these processes only: a difference can be found from {LEAST_GROUPS} groups"
    return SpeedDifference(
        "groups",
        found.value,
        found.interval,
        found.p,
        found.groups,
        planned,
        found.deviation,
        few if found.these_processes_only else "",
    )


def _independent(a: Sequence[Measured], b: Sequence[Measured], tests: int) -> SpeedDifference:
    unit: Unit = "processes" if min(len(a), len(b)) > 1 else "windows"
    few = max(BOOTSTRAP_FROM, least_processes(tests))
    x, y = ([rates.median for _, rates in side] for side in (a, b))
    if unit == "windows":
        x, y = ([each for _, rates in side for each in blocks(rates.rates)] for side in (a, b))
    found = ratio(x, y, few)
    if unit == "windows":
        return SpeedDifference(unit, found.value, found.interval, _test(x, y, few))
    deviation = math.sqrt(sum(statistics.variance(map(math.log, side)) for side in (x, y)))
    if min(len(x), len(y)) < MIN_PROCESSES:
        note = f"a difference can be found from {MIN_PROCESSES} processes on each side"
        return SpeedDifference(unit, found.value, found.interval, None, deviation=deviation, note=note)
    return SpeedDifference(unit, found.value, found.interval, _test(x, y, few), deviation=deviation)


def _test(a: Sequence[float], b: Sequence[float], few: int) -> float:
    """Two-sided p of the test that belongs to `ratio`'s interval."""
    return mann_whitney(a, b) if min(len(a), len(b)) >= few else welch(a, b)


def mann_whitney(a: Sequence[float], b: Sequence[float]) -> float:
    """Two-sided p of the Mann-Whitney test (exact where the samples are small and without ties)."""
    from scipy import stats

    return float(stats.mannwhitneyu(a, b, alternative="two-sided").pvalue)


def welch(a: Sequence[float], b: Sequence[float]) -> float:
    """Two-sided p of Welch's t on the logarithms."""
    return t_test(*welch_moments(*(np.log(np.asarray(side, dtype=np.float64)) for side in (a, b))))


def least_processes(tests: int) -> int:
    """Processes on each side below which no Mann-Whitney test is significant among so many, however far apart."""
    return next(n for n in range(2, 1000) if 2 / math.comb(2 * n, n) * tests < SIGNIFICANT)
