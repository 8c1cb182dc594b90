"""The account of a step: data wait, host, kernels and rest, each with its interval, and whether they add up to it.

The parts are of instrumented steps, the step is of plain steps in windows between theirs. What the profiler itself
takes is measured against steps at which the clock is read and no profiler runs, and is a part of its own, below 0. A
part that is missing or counted twice, and readings of the clock that change the step, show in the sum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lenet.analysis.paired import TRIMMED
from lenet.analysis.statistics import Array, t_quantile
from lenet.cases.base import Frozen
from lenet.store.parts import PartTimes

TOLERANCE = 0.05
"""The account adds up if the sum of the parts is within this share of the step."""

DATA, HOST, KERNELS, REST = "data wait", "host", "kernels", "rest"
"""Names of the parts, in the order in which a step passes them."""
PROFILER = "less profiler"
"""The time that the profiler takes, which is in the parts before it."""


class Part(Frozen):
    """A part of a step, in milliseconds."""

    name: str
    milliseconds: float
    low: float | None
    """The 95% interval over the rounds of one process; None below two rounds. That of a part is of its share of the
    step, at this step: what changes all parts alike is in the interval of the step alone."""
    high: float | None


class StepAccount(Frozen):
    """A step and its parts."""

    step: Part
    """Of plain steps."""
    parts: tuple[Part, ...]
    covered_low: float | None = None
    """The 95% interval of `covered`; None below two rounds."""
    covered_high: float | None = None

    @property
    def sum(self) -> float:
        """Milliseconds of all parts."""
        return sum(part.milliseconds for part in self.parts)

    @property
    def covered(self) -> float:
        """The sum of the parts over the step."""
        return self.sum / self.step.milliseconds

    @property
    def adds_up(self) -> bool:
        """Whether the sum is within `TOLERANCE` of the step."""
        return abs(self.covered - 1) <= TOLERANCE

    def share(self, *names: str) -> float:
        """The share of the sum that these parts have."""
        return sum(part.milliseconds for part in self.parts if part.name in names) / self.sum if self.sum else 0.0

    def part(self, name: str) -> float | None:
        """The milliseconds of a part; None if it was not measured."""
        return next((part.milliseconds for part in self.parts if part.name == name), None)


def account(rounds: Sequence[PartTimes]) -> StepAccount | None:
    """The account of a step from rounds of steps; None without any.

    A moment in which the machine did something else is in one window of a round. So the rounds whose sum is furthest
    from their plain steps are left out, at both ends, as many as a trimmed mean leaves out. The intervals are those of
    trimmed means (K. Yuen, The two-sample trimmed t for unequal population variances, Biometrika 61, 1974).
    """
    if not rounds:
        return None
    steps = np.array([each.steps for each in rounds])
    kernels = [each.kernel_seconds for each in rounds if each.kernel_seconds is not None]
    profiled = len(kernels) == len(rounds)
    measured = {DATA: [each.data_seconds for each in rounds], HOST: [each.host_seconds for each in rounds]}
    measured |= {KERNELS: kernels} if profiled else {}
    measured[REST] = [each.rest_seconds for each in rounds]
    if profiled:
        measured[PROFILER] = [each.clocked_seconds - each.instrumented_seconds for each in rounds]
    parts = {name: 1e3 * np.array(seconds) / steps for name, seconds in measured.items()}
    plain = 1e3 * np.array([each.plain_seconds for each in rounds]) / steps
    whole = np.sum(list(parts.values()), axis=0)
    trimmed = _Trimmed(whole / plain)
    step = trimmed.mean(plain)

    def part(name: str, values: Array) -> Part:
        return _part(name, trimmed.mean(values), trimmed.reach(values - plain * trimmed.mean(values) / step))

    covered = part("sum", whole)
    return StepAccount(
        step=_part("step", step, trimmed.reach(plain)),
        parts=tuple(part(name, values) for name, values in parts.items()),
        covered_low=None if covered.low is None else covered.low / step,
        covered_high=None if covered.high is None else covered.high / step,
    )


class _Trimmed:
    """Means over rounds without the extreme ones, and half the widths of their intervals."""

    def __init__(self, ratios: Array) -> None:
        order = np.argsort(ratios, kind="stable")
        cut = int(TRIMMED * len(order))
        last = len(order) - 1 - cut
        self._kept = order[cut : last + 1]
        self._winsorised = order[np.clip(np.arange(len(order)), cut, last)]

    def mean(self, values: Array) -> float:
        return float(values[self._kept].mean())

    def reach(self, values: Array) -> float | None:
        count, kept = len(self._winsorised), len(self._kept)
        if kept < 2:
            return None
        error = values[self._winsorised].std(ddof=1) * math.sqrt(count) / kept
        return float(t_quantile(kept - 1) * error)


def _part(name: str, mean: float, reach: float | None) -> Part:
    """A part with its interval; only the profiler's is below 0."""
    if reach is None:
        return Part(name=name, milliseconds=mean, low=None, high=None)
    low = mean - reach if name == PROFILER else max(mean - reach, 0.0)
    return Part(name=name, milliseconds=mean, low=low, high=mean + reach)
