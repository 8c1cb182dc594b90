"""The account of a step: data wait, host, kernels and rest, each with its interval, and whether they add up to it.

The parts are of steps under instruments, the step is of as many plain steps beside them: a part that is missing or
counted twice, and instruments that change the step, both show in the sum.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from lenet.analysis.statistics import LEVEL
from lenet.cases.base import Frozen
from lenet.store.parts import PartTimes

TOLERANCE = 0.05
"""The account adds up if the sum of the parts is within this share of the step."""

DATA, HOST, KERNELS, REST = "data wait", "host", "kernels", "rest"
"""Names of the parts, in the order in which a step passes them."""


class Part(Frozen):
    """A part of a step, in milliseconds."""

    name: str
    milliseconds: float
    low: float | None
    """The 95% interval over the blocks of one process; None below two blocks."""
    high: float | None


class StepAccount(Frozen):
    """A step and its parts."""

    step: Part
    """Of plain steps."""
    parts: tuple[Part, ...]

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


def account(blocks: Sequence[PartTimes]) -> StepAccount | None:
    """The account of a step from blocks of steps; None without any."""
    if not blocks:
        return None
    named: dict[str, Sequence[float | None]] = {
        DATA: [block.data_seconds for block in blocks],
        HOST: [block.host_seconds for block in blocks],
        KERNELS: [block.kernel_seconds for block in blocks],
        REST: [block.rest_seconds for block in blocks],
    }
    steps = [block.steps for block in blocks]
    return StepAccount(
        step=_part("step", [block.plain_seconds for block in blocks], steps),
        parts=tuple(
            _part(name, known, steps)
            for name, seconds in named.items()
            if len(known := [each for each in seconds if each is not None]) == len(blocks)
        ),
    )


def _part(name: str, seconds: Sequence[float], steps: Sequence[int]) -> Part:
    """Mean and Student's interval over the blocks; a time is not negative."""
    from scipy import special

    values = [1e3 * each / count for each, count in zip(seconds, steps, strict=True)]
    mean = statistics.fmean(values)
    if len(values) < 2:
        return Part(name=name, milliseconds=mean, low=None, high=None)
    reach = float(special.stdtrit(len(values) - 1, (1 + LEVEL) / 2)) * statistics.stdev(values)
    reach /= math.sqrt(len(values))
    return Part(name=name, milliseconds=mean, low=max(mean - reach, 0.0), high=mean + reach)
