"""Where the throughput of a process becomes steady, by a test instead of a fixed number of windows.

A Mann-Kendall test (Mann, Econometrica 13, 1945; Kendall, Rank Correlation Methods, 1975) tells whether the windows
have a trend. Without a trend all of them count: one or two slow windows do not move the median. With a trend, MSER
(White, Simulation 69, 1997) removes the start that minimises the standard error of the rest, and the test is repeated:
a trend that remains is a drift, and there is no steady state.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

ALPHA = 0.01
"""Significance level: share of processes without a trend that the test reports as drifting."""

MATERIAL = 0.02
"""Smallest relative change from the first half to the second that counts as a trend."""

BATCHES = 60
"""Longer series are first averaged to about this many batches, as in MSER-5: the test is quadratic."""


@dataclass(frozen=True)
class Steady:
    """The steady part of the windows of one process."""

    start: int
    """Index of its first window."""
    drifts: bool
    """Whether it still has a trend."""


def trend(values: Sequence[float]) -> float:
    """Two-sided p of the Mann-Kendall test against no trend (normal approximation, continuity-corrected, no ties)."""
    count = len(values)
    if count < 3:
        return 1.0
    s = sum((later > earlier) - (later < earlier) for earlier, later in combinations(values, 2))
    z = max(0, abs(s) - 1) / math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    return math.erfc(z / math.sqrt(2))


def truncation(values: Sequence[float]) -> int:
    """Number of values at the start, at most half, whose removal minimises the squared standard error of the rest."""
    count, total, squares = 0, 0.0, 0.0
    best, start = math.inf, 0
    centre = statistics.fmean(values)
    rounding = 1e-14 * centre * centre  # rounding error of equal values
    # Centred, the squares stay small: no digits cancel in their difference.
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
    """The steady part of consecutive rates, all above 0. Fewer than 6 are too few for the test: all count."""
    size = math.ceil(len(rates) / BATCHES)
    batches = (
        [statistics.fmean(rates[first : first + size]) for first in range(0, len(rates), size)] if size > 1 else rates
    )
    if not _drifts(batches):
        return Steady(0, False)
    cut = truncation(batches)
    return Steady(cut * size, _drifts(batches[cut:]))
