"""Whether the processes of one profile settle at one speed or at one of two, and whether a process keeps its speed.

MindSpore's kernel tuner and its scheduling of threads are decided by the clock while a process starts, and stay as they
are: a mode may be ten times slower in every third process, and the mean of such processes is the speed of none. Or the
steps of one process alternate: a turn then has more or fewer of the slow ones.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lenet.analysis.paired import TimedTurn
from lenet.analysis.statistics import Array

FAR_APART = math.log(2.5)
"""How far apart two speeds are that even single processes show, as a logarithm: where processes scatter by a standard
deviation of 20%, two of one speed are that far apart once in a thousand times."""

APART = math.log(1.75)
"""The same where each speed has at least two processes that agree."""

AGREEMENT = 2.5
"""Such processes agree if the two speeds are so many times as far apart as they are."""


CHANGES = math.log(4)
"""How far the slowest and the fastest tenth of the turns are apart where the speed changes, as a logarithm: turns that
only scatter by a standard deviation of 30% are 2.2 times apart."""

LEAST_TURNS = 15
"""Turns below which a tenth of them says little."""


@dataclass(frozen=True)
class SettledSpeed:
    """One of the speeds that a profile's processes settle at."""

    images_per_second: float
    """Median of these processes."""
    processes: int


@dataclass(frozen=True)
class ChangingSpeed:
    """How much the speed changes from turn to turn."""

    slow: float
    """Images per second that a tenth of the turns do not exceed."""
    fast: float
    """Images per second that a tenth of the turns reach."""
    slow_share: float
    """Share of the turns that are nearer `slow`, by ratio."""


def turn_rates(turns: Iterable[TimedTurn]) -> Array:
    """Images per second of each turn."""
    return np.array([turn.images / turn.seconds for turn in turns], dtype=np.float64)


def slow_and_fast(rates: Array) -> tuple[float, float]:
    """Images per second that a tenth of the turns, at least one, do not exceed, and that a tenth reach."""
    slow, fast = np.quantile(rates, (0.1, 0.9))
    return float(slow), float(fast)


def changing_speed(turns: Sequence[TimedTurn]) -> ChangingSpeed | None:
    """The change of speed between the turns of processes that settled at one speed; None where it is below `CHANGES`.

    >>> changing_speed([TimedTurn(0, 32, 0.1), TimedTurn(0, 384, 0.1)] * 10)
    ChangingSpeed(slow=320.0, fast=3840.0, slow_share=0.5)
    >>> changing_speed([TimedTurn(0, 32, 0.1), TimedTurn(0, 96, 0.1)] * 10) is None
    True
    """
    if len(turns) < LEAST_TURNS:
        return None
    rates = turn_rates(turns)
    slow, fast = slow_and_fast(rates)
    if math.log(fast / slow) < CHANGES:
        return None
    return ChangingSpeed(slow, fast, float(np.mean(rates < math.sqrt(slow * fast))))


def two_speeds(rates: Sequence[float]) -> tuple[SettledSpeed, ...]:
    """The rates, all above 0, as one speed or as two, the slower first; none without a rate.

    >>> [(each.images_per_second, each.processes) for each in two_speeds([4400, 350, 4300, 4500])]
    [(350, 1), (4400, 3)]
    >>> [each.processes for each in two_speeds([350, 400, 450])]
    [3]
    """
    ordered = sorted(rates)
    if not ordered:
        return ()
    gaps = [math.log(high / low) for low, high in pairwise(ordered)]
    cut = gaps.index(max(gaps)) + 1 if gaps else 0
    parts = [ordered[:cut], ordered[cut:]] if cut and _apart(ordered[:cut], ordered[cut:]) else [ordered]
    return tuple(SettledSpeed(statistics.median(part), len(part)) for part in parts)


def _apart(slow: Sequence[float], fast: Sequence[float]) -> bool:
    """Whether these are the processes of two speeds; both in ascending order."""
    gap = math.log(fast[0] / slow[-1])
    within = max(math.log(part[-1] / part[0]) for part in (slow, fast))
    if gap >= FAR_APART and gap > within:
        return True
    return min(len(slow), len(fast)) > 1 and gap >= max(APART, AGREEMENT * within)
