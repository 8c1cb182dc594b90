"""The fastest of several tuned cases: releases and modes, each with the profile that its own search found.

The searches ran one after the other, so that their figures only choose who takes part in the final. Groups of fresh
processes of the finalists, alive together, decide.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lenet.analysis.paired import PairedRatio
from lenet.analysis.tune.candidate import Measured, rates_of, ratio
from lenet.analysis.tune.search import MOST_ALIVE
from lenet.cases.axes import values_of
from lenet.cases.case import Case

COMPETING = ("framework_version", "mode", "profile")
"""The axes in which finalists differ: what a user of one framework is free to choose."""

FAR_BEHIND = 2.0
"""A case whose search found less than the best's speed by this factor is no finalist, unless it is the second."""


@dataclass(frozen=True)
class Finalist:
    """A case with its tuned profile, and what the final measured of it."""

    case: Case
    measured: tuple[Measured, ...]

    @property
    def rates(self) -> list[float]:
        """Images per second, one value for each process."""
        return rates_of(self.measured)

    @property
    def median(self) -> float:
        """Median over the processes; 0 without one."""
        return statistics.median(self.rates) if self.rates else 0.0


@dataclass(frozen=True)
class Fastest:
    """The result of a final."""

    finalists: tuple[Finalist, ...]
    """The fastest first."""
    leads: tuple[PairedRatio | None, ...]
    """How many times the speed of each finalist that of the first is; None for the first, and without a group."""

    @property
    def clear(self) -> bool:
        """Whether the first is faster than every other one that was measured, by the intervals over enough groups."""
        return all(
            lead is not None and not lead.these_processes_only and lead.interval is not None and lead.interval.low > 1
            for finalist, lead in zip(self.finalists[1:], self.leads[1:], strict=True)
            if finalist.rates
        )


def finals(speeds: Mapping[Case, float]) -> list[list[Case]]:
    """The finalists of each framework, device, batch size and data that has several tuned cases, the fastest first.

    `speeds` are the images per second that the searches found, by the case with its profile.
    """
    places: dict[tuple[object, ...], list[Case]] = {}
    for case in speeds:
        place = tuple(value for name, value in values_of(case).items() if name not in COMPETING)
        places.setdefault(place, []).append(case)
    found = []
    for cases in places.values():
        ranked = sorted(cases, key=lambda case: -speeds[case])[:MOST_ALIVE]
        near = [case for case in ranked if speeds[case] * FAR_BEHIND >= speeds[ranked[0]]]
        found.append(near if len(near) > 1 else ranked[:2])
    return [finalists for finalists in found if len(finalists) > 1]


def fastest(measured: Mapping[Case, Sequence[Measured]]) -> Fastest:
    """The finalists in order, by the groups that they were alive in."""
    ranked = sorted(
        (Finalist(case, tuple(samples)) for case, samples in measured.items()),
        key=lambda each: -statistics.fmean(map(math.log, each.rates)) if each.rates else math.inf,
    )
    first, *others = ranked
    return Fastest(tuple(ranked), (None, *(ratio(each.measured, first.measured) for each in others)))
