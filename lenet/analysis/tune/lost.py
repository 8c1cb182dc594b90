"""Which members of a look have clearly lost: a race with blocking.

After each block of turns the members are compared with the leader block by block, by Student's t on the contrasts of
their log throughput. Sources: A. Moore and M. Lee, Efficient Algorithms for Minimizing Cross Validation Error, ICML
1994 (blocking); O. Maron and A. Moore, Hoeffding Races, NIPS 1993; M. Birattari et al., A Racing Algorithm for
Configuring Metaheuristics, GECCO 2002 (F-race).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Container, Mapping, Sequence
from typing import TypeVar

from lenet.analysis.paired import TimedTurn, contrasts
from lenet.analysis.statistics import t_quantile

LEAST_BLOCKS = 3
"""Blocks that a member takes part in before it can lose."""

LEVEL = 0.998
"""Of each comparison, one-sided 99.9%: there are a few dozen of them in a look."""

LOST = 1.25
"""How many times faster the leader is at least. Another process of either would differ by less."""

LOST_UNSETTLED = 3.0
"""The same while a member's kernels are still being tuned, which changes its speed."""

HOPELESS = 10.0
"""A member that is so many times slower in its first block has lost: it takes too long to be watched."""

Member = TypeVar("Member")


def lost(turns: Mapping[Member, Sequence[TimedTurn]], settled: Container[Member]) -> dict[Member, float]:
    """The members that have clearly lost, with how many times faster the leader is.

    `settled` has those whose kernels are tuned.
    """
    rates = {
        member: sum(each.images for each in taken) / sum(each.seconds for each in taken)
        for member, taken in turns.items()
        if taken
    }
    if len(rates) < 2:
        return {}
    leader = max(rates, key=lambda member: rates[member])
    found = {}
    for member in rates.keys() - {leader}:
        leads = contrasts(turns[member], turns[leader])
        least = LOST if member in settled and leader in settled else LOST_UNSETTLED
        hopeless = bool(leads) and min(leads) > math.log(HOPELESS)
        if hopeless or (len(leads) >= LEAST_BLOCKS and _low(leads) > math.log(least)):
            found[member] = math.exp(statistics.fmean(leads))
    return found


def _low(values: Sequence[float]) -> float:
    """The lower limit of the mean."""
    reach = t_quantile(len(values) - 1, LEVEL) * statistics.stdev(values) / math.sqrt(len(values))
    return statistics.fmean(values) - float(reach)
