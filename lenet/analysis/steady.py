"""Where in a process its throughput becomes steady, found by a test and not by leaving the first window out.

A Mann-Kendall test (Mann, Econometrica 13, 1945; Kendall, Rank Correlation Methods, 1975) says whether the windows
have a trend. Where they have none, all of them count: a slow window or two move no median. Where they have one,
MSER (White, Simulation 69, 1997) cuts the start whose removal makes the mean of the rest surest, and the test is
asked again: a trend that is left is a drift, and no steady state was found.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

ALPHA = 0.01
"""Share of trendless processes that the test calls drifting."""

MATERIAL = 0.02
"""A trend that moves the second half less than this against the first changes no conclusion."""

BATCHES = 60
"""Longer series are averaged to about this many batches first, as MSER-5 does: the test is quadratic."""


@dataclass(frozen=True)
class Steady:
    """The steady part of one process's windows."""

    start: int
    """Index of its first window."""
    drifts: bool
    """A trend is left in it."""


def trend(values: Sequence[float]) -> float:
    """Two-sided p of the Mann-Kendall test against no trend (normal approximation, continuity-corrected, no ties)."""
    count = len(values)
    if count < 3:
        return 1.0
    s = sum((later > earlier) - (later < earlier) for earlier, later in combinations(values, 2))
    z = max(0, abs(s) - 1) / math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    return math.erfc(z / math.sqrt(2))


def truncation(values: Sequence[float]) -> int:
    """How many values MSER leaves out at the start, at most half: the least squared standard error of the rest."""
    count, total, squares = 0, 0.0, 0.0
    best, start = math.inf, 0
    centre = statistics.fmean(values)
    rounding = 1e-14 * centre * centre  # equal values leave errors of this size
    # Around the centre the squares stay small: no digit is lost in their difference.
    for index in range(len(values) - 1, -1, -1):
        value = values[index] - centre
        count, total, squares = count + 1, total + value, squares + value * value
        if index > len(values) // 2 or count < 2:
            continue
        error = (squares - total * total / count) / count**2
        if error <= best * (1 + 1e-9) + rounding:
            best, start = error, index
    return start


def _drifts(values: Sequence[float]) -> bool:
    half = len(values) // 2
    if half < 1:
        return False
    first, second = statistics.median(values[:half]), statistics.median(values[half:])
    return abs(second / first - 1) >= MATERIAL and trend(values) < ALPHA


def steady(rates: Sequence[float]) -> Steady:
    """The steady part of consecutive rates (all above 0). Below 6 the test can find nothing and all count."""
    size = math.ceil(len(rates) / BATCHES)
    batches = (
        [statistics.fmean(rates[first : first + size]) for first in range(0, len(rates), size)] if size > 1 else rates
    )
    if not _drifts(batches):
        return Steady(0, False)
    cut = truncation(batches)
    return Steady(cut * size, _drifts(batches[cut:]))
