"""Confidence intervals, the number of samples that an interval needs, and the correction for multiple tests.

The unit is the process. Windows of one process share its memory layout, its tuned kernels and its moment in time, and
so say little about the next process; resampling processes alone includes the spread of their windows (Davison &
Hinkley, Bootstrap Methods and their Application, 1997, section 3.8).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEVEL = 0.95
"""Confidence of every interval."""

MIN_PROCESSES = 3
"""Fewest processes for an interval."""

BOOTSTRAP_FROM = 6
"""Fewest processes for an interval without a distributional assumption: it lies within the range of the samples, and
the range of five covers the median with only 94%."""

RESAMPLES = 999
CHUNK_VALUES = 4_000_000
"""Resampled values in memory at once."""


@dataclass(frozen=True)
class Interval:
    """A 95% interval."""

    low: float
    high: float

    @classmethod
    def around(cls, logarithm: float, reach: float) -> Interval:
        """The interval of a ratio whose logarithm is known within `reach`."""
        return cls(math.exp(logarithm - reach), math.exp(logarithm + reach))


def expanded_level(count: int, level: float = LEVEL) -> float:
    """The nominal level at which a percentile interval over `count` samples covers `level`.

    A resample is too narrow by sqrt((n-1)/n) and ignores Student's t (Hesterberg, What Teachers Should Know About the
    Bootstrap, The American Statistician 69, 2015, section 4.1).
    """
    from scipy import stats

    reach = stats.t.ppf((1 + level) / 2, count - 1) * math.sqrt(count / (count - 1))
    return float(1 - 2 * stats.norm.sf(reach))


def t_quantile(freedom: float | NDArray[Any], level: float = LEVEL) -> Any:
    """How many standard errors Student's two-sided interval reaches."""
    from scipy import special

    return special.stdtrit(freedom, (1 + level) / 2)


def t_test(apart: float, error: float, freedom: float) -> float:
    """Two-sided p of a value that is `apart` from 0 with this standard error; 1 or 0 where nothing scatters."""
    from scipy import special

    if error == 0:
        return 1.0 if apart == 0 else 0.0
    return float(2 * special.stdtr(freedom, -abs(apart) / error))


def _student(samples: Array) -> tuple[Array, Array]:
    """Student's interval over the logarithms of float64 (G, N), as (G,) lows and highs."""
    logs, count = np.log(samples), samples.shape[1]
    reach = t_quantile(count - 1) * logs.std(axis=1, ddof=1) / math.sqrt(count)
    centre = logs.mean(axis=1)
    return np.exp(centre - reach), np.exp(centre + reach)


def _bootstrapped(samples: Array) -> tuple[Array, Array]:
    """The percentile bootstrap of the median over float64 (G, N), as (G,) lows and highs."""
    from scipy import stats

    found = stats.bootstrap(
        (samples,),
        np.median,
        axis=1,
        n_resamples=RESAMPLES,
        batch=max(1, CHUNK_VALUES // samples.size),
        confidence_level=expanded_level(samples.shape[1]),
        method="percentile",
        rng=np.random.default_rng(0),
    )
    return found.confidence_interval.low, found.confidence_interval.high


def intervals(samples: Sequence[Sequence[float]]) -> list[Interval | None]:
    """A 95% interval of the median of each sample of values above 0; None for fewer than `MIN_PROCESSES` values.

    3 to 5 values: Student's t over their logarithms. 6 and more: bootstrap of the median (`scipy.stats.bootstrap`).
    Samples of one size are computed together, which makes thousands of them fast.
    """
    found: list[Interval | None] = [None] * len(samples)
    sizes: dict[int, list[int]] = {}
    for index, sample in enumerate(samples):
        sizes.setdefault(len(sample), []).append(index)
    for size, indices in sizes.items():
        if size < MIN_PROCESSES:
            continue
        values = np.array([samples[index] for index in indices], dtype=np.float64)
        lows, highs = _student(values) if size < BOOTSTRAP_FROM else _bootstrapped(values)
        for index, low, high in zip(indices, lows, highs, strict=True):
            found[index] = Interval(float(low), float(high))
    return found


def processes_needed(samples: Sequence[float], precision: float) -> int | None:
    """Number of processes for an interval of ±`precision` (0.03 is 3%), if they scatter as `samples` do.

    The sample size for a mean with Student's t, where pyperf's `required_nprocesses` uses the normal distribution.
    At least `MIN_PROCESSES`, also for fewer than 2 samples; None if more than 1,000 are needed.
    """
    if len(samples) < 2:
        return MIN_PROCESSES
    deviation = statistics.stdev(math.log(value) for value in samples)
    few = count_needed(deviation, precision)
    if few is not None and few < BOOTSTRAP_FROM:
        return few
    # The standard error of the median of many normal samples is that of the mean times sqrt(pi / 2).
    return count_needed(deviation * math.sqrt(math.pi / 2), precision)


def count_needed(
    deviation: float, precision: float, sides: int = 1, level: float = LEVEL, adjusted_from: int | None = None
) -> int | None:
    """How many values, on each of `sides` sides, make a Student's interval as narrow as ±`precision` (0.03 is 3%).

    `deviation` is the standard deviation of the logarithm of the estimate from one value on each side. From
    `adjusted_from` values on, an adjustment of the mean costs one degree of freedom. At least `MIN_PROCESSES`; None
    when over 1,000.
    """
    counts = np.arange(MIN_PROCESSES, 1001)
    freedom = sides * (counts - 1)
    if adjusted_from is not None:
        freedom -= counts >= adjusted_from
    reach = t_quantile(freedom, level) * deviation / np.sqrt(counts)
    enough = np.flatnonzero(reach <= math.log1p(precision))
    return int(counts[enough[0]]) if len(enough) else None


def blocks(rates: Sequence[float]) -> list[float]:
    """Medians of consecutive blocks, each of about the cube root of the number of windows; the remainder is dropped.

    Windows of one process are correlated; blocks of them are less so (Carlstein, The Annals of Statistics 14, 1986).
    """
    size = max(1, round(len(rates) ** (1 / 3)))
    return [statistics.median(rates[first : first + size]) for first in range(0, len(rates) - size + 1, size)]


@dataclass(frozen=True)
class Ratio:
    """The ratio of two samples and its 95% interval."""

    value: float
    interval: Interval | None
    """None for fewer than 2 values on a side."""


def ratio(a: Sequence[float], b: Sequence[float], ranks_from: int = BOOTSTRAP_FROM) -> Ratio:
    """The ratio of `b` to `a`: the median of all quotients of a value of `b` and one of `a`, all above 0.

    This is the Hodges-Lehmann estimate of the Mann-Whitney test (The Annals of Mathematical Statistics 34, 1963), over
    logarithms. Processes on a shared machine often have two speeds: the medians of two such samples jump between
    them, while the quotients change with every value. From `ranks_from` values on each side the interval inverts the
    test (Hollander & Wolfe, Nonparametric Statistical Methods, 1999, section 4.3); with fewer it is Welch's t over the
    logarithms.

    Raises:
        ValueError: a side is empty.
    """
    if not len(a) or not len(b):
        raise ValueError("a ratio needs a value on each side")
    logs_a, logs_b = np.log(np.asarray(a, dtype=np.float64)), np.log(np.asarray(b, dtype=np.float64))
    quotients = np.sort(np.subtract.outer(logs_b, logs_a), axis=None)
    return Ratio(math.exp(float(np.median(quotients))), _ratio_interval(logs_a, logs_b, quotients, ranks_from))


def _ratio_interval(logs_a: Array, logs_b: Array, quotients: Array, ranks_from: int) -> Interval | None:
    """The interval, from logarithms (M,) and (N,) and their sorted differences (M * N,)."""
    from scipy import special

    size_a, size_b = len(logs_a), len(logs_b)
    if min(size_a, size_b) < 2:
        return None
    if min(size_a, size_b) >= ranks_from:
        spread = math.sqrt(size_a * size_b * (size_a + size_b + 1) / 12)
        left_out = max(1, round(size_a * size_b / 2 - float(special.ndtri((1 + LEVEL) / 2)) * spread))
        return Interval(math.exp(quotients[left_out - 1]), math.exp(quotients[-left_out]))
    apart, error, freedom = welch_moments(logs_a, logs_b)
    reach = float(t_quantile(freedom)) * error
    return Interval.around(apart, reach)


def welch_moments(a: Array, b: Array) -> tuple[float, float, float]:
    """How far the mean of `b` is above that of `a`, its standard error, and Welch's degrees of freedom.

    Error and freedom are not a number if a side has one value.

    SciPy's `ttest_ind` warns where one side does not scatter, as three processes of one speed.
    """
    if min(len(a), len(b)) < 2:
        return float(b.mean() - a.mean()), math.nan, math.nan
    shares = [side.var(ddof=1) / len(side) for side in (a, b)]
    error = math.sqrt(sum(shares))
    scaled = sum((share / error**2) ** 2 / (len(side) - 1) for share, side in zip(shares, (a, b), strict=True) if error)
    return float(b.mean() - a.mean()), error, 1 / scaled if scaled else math.inf


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p values, in the order given (Holm, Scandinavian Journal of Statistics 6, 1979).

    Of m tests the smallest p is multiplied by m, the next by m - 1, and so on, never below the one before nor above 1.
    Below 5% they keep the family-wise error rate at 5%.
    """
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = largest
    return adjusted
