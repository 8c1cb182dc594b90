"""The ratio of two cases whose workers were alive together and took turns.

Workers that take turns see the same machine, so what the machine does cancels in their ratio. The unit is the group:
one fresh process of each member. Within a group each block of turns gives a contrast of log throughput, and a trimmed
mean of the contrasts is the group's estimate; over the groups it is Student's t. Turns are never pooled over groups,
since turns of one process share its memory layout and its tuned kernels.

Order within a block is a random order and its reverse (ABBA or BAAB for two members), so that a linear drift of the
machine cancels within each block. Sources: A. Abedi and T. Brecht, Conducting Repeatable Experiments in Highly Variable
Cloud Computing Environments, ICPE 2017; L. Bulej et al., Duet Benchmarking, ICPE 2020.

The order in which the workers start does not cancel so: where free memory is fragmented, the first ones get the pieces
and stay slower. From enough groups on, the mean is therefore adjusted for how far apart the two started (least squares,
an analysis of covariance), as a crossover trial is for its periods: S. Senn, Cross-over Trials in Clinical Research,
2nd edition, Wiley 2002, chapter 3.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lenet.analysis.statistics import LEVEL, Interval, t_quantile, t_test
from lenet.store.record import Window

TRIMMED = 0.2
"""Share of the contrasts that the group's mean leaves out at each end. On recorded groups of two identical cases it
scatters less than the mean, the median and the ratio of totals."""

LEAST_GROUPS = 3
"""Groups below which an interval says nothing of other processes, so that there is no verdict."""

PLACES_FROM = 6
"""Groups from which on their mean is adjusted for the places at which the members started. Below, the degree of freedom
that it costs widens the interval more than the adjustment narrows it."""

LOOKS = (4, 8, 16, 32, 64)
"""Numbers of groups at which sampling to a precision may stop."""

PLANNED_LEVEL = 0.975
"""Confidence of each interval of a ratio that was sampled with `LOOKS`. Sampling stops where the groups happen to
scatter little, and there a plain 95% interval misses the truth in up to 8% of the samplings. Of these at most 5% do,
whatever the scatter (simulated in tests/analysis/test_paired.py)."""


@dataclass(frozen=True)
class TimedTurn:
    """What one member trained in one turn."""

    block: int
    """The block of turns that it belongs to, counted from the start of the group."""
    images: int
    seconds: float

    @classmethod
    def of(cls, windows: Iterable[Window]) -> tuple[TimedTurn, ...]:
        """The windows as turns; a block is two cycles, and windows without a cycle are of the first."""
        return tuple(cls((each.cycle or 0) // 2, each.images, each.seconds) for each in windows)


class MemberPair(NamedTuple):
    """Two members of one group."""

    a: Sequence[TimedTurn]
    b: Sequence[TimedTurn]
    places: int | None = None
    """How many places after `a` the worker of `b` started, negative if before; None where that was not recorded."""


def places_apart(a: int | None, b: int | None) -> int | None:
    """How many places after `a` a worker at place `b` started; None where one of them was not recorded."""
    return None if a is None or b is None else b - a


class GroupEstimate(NamedTuple):
    """The ratio in one group."""

    value: float
    """Its logarithm."""
    places: int | None = None
    """As in `MemberPair`."""

    @property
    def reverse(self) -> GroupEstimate:
        """That of `a` to `b`."""
        return GroupEstimate(-self.value, None if self.places is None else -self.places)


@dataclass(frozen=True)
class GroupMean:
    """The mean of the groups' logarithms, with what a t interval of it needs."""

    value: float
    error: float
    freedom: int
    deviation: float
    """Standard deviation over the groups, without what the places of the starts explain."""

    @property
    def p(self) -> float:
        """Two-sided, of Student's t against 0."""
        return t_test(self.value, self.error, self.freedom)

    def interval(self, level: float) -> Interval:
        """The interval of the ratio."""
        reach = t_quantile(self.freedom, level) * self.error
        return Interval.around(self.value, reach)


@dataclass(frozen=True)
class PairedRatio:
    """How many times the throughput of `a` that of `b` is."""

    value: float
    interval: Interval | None
    """At the level asked for; None where not even the blocks of one group give one."""
    groups: int
    deviation: float | None
    """Standard deviation of the logarithm of the ratio over the groups, as in `GroupMean`; None below two."""
    p: float | None
    """Two-sided, of Student's t on the groups' logarithms against 0, below 5% where the interval does not hold 1; None
    below `LEAST_GROUPS` groups."""

    @property
    def these_processes_only(self) -> bool:
        """Whether the interval is over the blocks of too few groups: it does not speak for other processes."""
        return self.groups < LEAST_GROUPS


def contrasts(a: Sequence[TimedTurn], b: Sequence[TimedTurn]) -> list[float]:
    """Log throughput of `b` less that of `a`, one value for each block of the member with fewer blocks.

    A slow member takes part in every k-th block only. The other member's blocks count towards the slow member's
    nearest one, the earlier of two, so that none of them is wasted.
    """
    if not a or not b:
        return []
    anchors = min((np.unique([turn.block for turn in side]) for side in (a, b)), key=len)
    borders = (anchors[1:] + anchors[:-1]) / 2
    images, seconds = np.zeros((2, len(anchors))), np.zeros((2, len(anchors)))
    for member, side in enumerate((a, b)):
        nearest = np.searchsorted(borders, [turn.block for turn in side])
        np.add.at(images[member], nearest, [turn.images for turn in side])
        np.add.at(seconds[member], nearest, [turn.seconds for turn in side])
    both = seconds.all(axis=0)
    # The logarithm of each, not of the quotient: that of any two finite numbers above 0 is finite.
    rates = np.log(images[:, both]) - np.log(seconds[:, both])
    return [float(value) for value in rates[1] - rates[0]]


def group_estimate(pair: MemberPair) -> GroupEstimate | None:
    """The ratio of `b` to `a` in a group: the trimmed mean of its contrasts; None where it has none."""
    from scipy import stats

    values = contrasts(pair.a, pair.b)
    return GroupEstimate(float(stats.trim_mean(values, TRIMMED)), pair.places) if values else None


def group_mean(estimates: Sequence[GroupEstimate]) -> GroupMean:
    """The mean over two groups or more, adjusted for the places of the starts where there are `PLACES_FROM`.

    The adjusted mean is the least-squares estimate for two members that start at the same place. Of groups that are
    balanced (each order of starts as often as its reverse) it is the plain mean, with a smaller error.
    """
    from scipy import stats

    values = np.array([each.value for each in estimates], dtype=np.float64)
    places = [each.places for each in estimates if each.places is not None]
    count = len(values)
    if count < PLACES_FROM or len(places) < count or min(places) == max(places):
        deviation = float(values.std(ddof=1))
        return GroupMean(float(values.mean()), deviation / math.sqrt(count), count - 1, deviation)
    line = stats.linregress(places, values)
    left = values - line.intercept - line.slope * np.array(places)
    deviation = math.sqrt(float((left**2).sum()) / (count - 2))
    return GroupMean(float(line.intercept), float(line.intercept_stderr), count - 2, deviation)


def paired_ratio(pairs: Sequence[MemberPair], planned: bool = False) -> PairedRatio | None:
    """The ratio of the second member to the first over groups; None without any.

    From `LEAST_GROUPS` groups the interval is Student's t over the groups' estimates (`group_mean`). Below, it is
    Student's t over the blocks of all groups, and holds for these processes only. `planned`: their number was decided
    at `LOOKS`, so that the interval has `PLANNED_LEVEL` and p is larger by the same factor (a Bonferroni-like
    correction).
    """
    level = PLANNED_LEVEL if planned else LEVEL
    estimates = [found for pair in pairs if (found := group_estimate(pair)) is not None]
    if not estimates:
        return None
    count = len(estimates)
    if count < LEAST_GROUPS:
        values = [each.value for each in estimates]
        deviation = float(np.std(values, ddof=1)) if count > 1 else None
        blocks = [GroupEstimate(contrast) for pair in pairs for contrast in contrasts(pair.a, pair.b)]
        interval = group_mean(blocks).interval(level) if len(blocks) > 1 else None
        return PairedRatio(math.exp(sum(values) / count), interval, count, deviation, None)
    mean = group_mean(estimates)
    p = min(1.0, mean.p * (1 - LEVEL) / (1 - level))
    return PairedRatio(math.exp(mean.value), mean.interval(level), count, mean.deviation, p)


def next_look(groups: int) -> int | None:
    """The planned number of groups after so many; None after the last."""
    return next((look for look in LOOKS if look > groups), None)


def precise(found: PairedRatio | None, precision: float) -> bool:
    """Whether sampling stops at this ratio: at a planned look, with an interval within ±`precision` of the ratio."""
    if found is None or found.interval is None or found.groups not in LOOKS:
        return False
    return found.interval.high / found.value <= 1 + precision
