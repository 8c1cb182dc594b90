"""The ratio of two cases whose workers were alive together and took turns.

Workers that take turns see the same machine, so what the machine does cancels in their ratio. The unit is the group:
one fresh process of each member. Within a group each block of turns gives a contrast of log throughput, and a trimmed
mean of the contrasts is the group's estimate; over the groups it is Student's t. Turns are never pooled over groups,
since turns of one process share its memory layout and its tuned kernels.

Order within a block is a random order and its reverse (ABBA or BAAB for two members), so that a linear drift of the
machine cancels within each block. Sources: A. Abedi and T. Brecht, Conducting Repeatable Experiments in Highly Variable
Cloud Computing Environments, ICPE 2017; L. Bulej et al., Duet Benchmarking, ICPE 2020.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lenet.analysis.statistics import LEVEL, Interval, t_quantile, t_test
from lenet.store.record import Window

TRIMMED = 0.2
"""Share of the contrasts that the group's mean leaves out at each end. On recorded groups of two identical cases it
scatters less than the mean, the median and the ratio of totals."""

LEAST_GROUPS = 3
"""Groups below which an interval says nothing of other processes, so that there is no verdict."""

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


@dataclass(frozen=True)
class PairedRatio:
    """How many times the throughput of `a` that of `b` is."""

    value: float
    interval: Interval | None
    """At the level asked for; None where not even the blocks of one group give one."""
    groups: int
    deviation: float | None
    """Standard deviation of the logarithm of the ratio over the groups; None below two."""
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


def group_estimate(a: Sequence[TimedTurn], b: Sequence[TimedTurn]) -> float | None:
    """The logarithm of one group's ratio of `b` to `a`: the trimmed mean of its contrasts; None where it has none."""
    from scipy import stats

    values = contrasts(a, b)
    return float(stats.trim_mean(values, TRIMMED)) if values else None


def _student(values: Sequence[float], level: float) -> Interval | None:
    if len(values) < 2:
        return None
    array = np.asarray(values, dtype=np.float64)
    reach = t_quantile(len(array) - 1, level) * array.std(ddof=1) / math.sqrt(len(array))
    return Interval(math.exp(array.mean() - reach), math.exp(array.mean() + reach))


def student(estimates: Sequence[float]) -> float:
    """Two-sided p of Student's t on the groups' logarithms against 0."""
    values = np.asarray(estimates, dtype=np.float64)
    return t_test(values.mean(), values.std(ddof=1) / math.sqrt(len(values)), len(values) - 1)


def paired_ratio(
    groups: Sequence[tuple[Sequence[TimedTurn], Sequence[TimedTurn]]], planned: bool = False
) -> PairedRatio | None:
    """The ratio of the second member to the first over groups, each given as the turns of the two; None without any.

    From `LEAST_GROUPS` groups the interval is Student's t over the groups' estimates. Below, it is Student's t over
    the blocks of all groups, and holds for these processes only. `planned`: their number was decided at `LOOKS`, so
    that the interval has `PLANNED_LEVEL` and p is larger by the same factor (a Bonferroni-like correction).
    """
    level = PLANNED_LEVEL if planned else LEVEL
    estimates = [found for a, b in groups if (found := group_estimate(a, b)) is not None]
    if not estimates:
        return None
    value = math.exp(sum(estimates) / len(estimates))
    deviation = float(np.std(estimates, ddof=1)) if len(estimates) > 1 else None
    if len(estimates) >= LEAST_GROUPS:
        p = min(1.0, student(estimates) * (1 - LEVEL) / (1 - level))
        return PairedRatio(value, _student(estimates, level), len(estimates), deviation, p)
    blocks = [contrast for a, b in groups for contrast in contrasts(a, b)]
    return PairedRatio(value, _student(blocks, level), len(estimates), deviation, None)


def next_look(groups: int) -> int | None:
    """The planned number of groups after so many; None after the last."""
    return next((look for look in LOOKS if look > groups), None)


def precise(found: PairedRatio | None, precision: float) -> bool:
    """Whether sampling stops at this ratio: at a planned look, with an interval within ±`precision` of the ratio."""
    if found is None or found.interval is None or found.groups not in LOOKS:
        return False
    return found.interval.high / found.value <= 1 + precision
