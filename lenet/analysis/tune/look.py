"""What a search asks to be measured, and its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lenet.analysis.paired import PairedRatio
from lenet.analysis.tune.candidate import Candidate, Measured
from lenet.cases.profile import RuntimeProfile


@dataclass(frozen=True)
class Look:
    """What is measured next: profiles whose workers are alive together."""

    profiles: tuple[RuntimeProfile, ...]
    deadline: float
    """The reading of the search's clock by which it ends."""
    confirms: bool = False
    """Whether its workers warm up past the framework's tuning of its kernels, and none is ended early."""


Measure = Callable[[Look], Sequence[Measured]]
"""Measures a look: one value for each profile, in order."""


@dataclass(frozen=True)
class SearchResult:
    """The result of a search."""

    default: Candidate
    tried: tuple[Candidate, ...]
    """Every other profile of the race, in the order in which they were first measured."""
    best: Candidate
    """The winner of the race; the default itself if nothing was faster."""
    winner: Candidate
    """The confirmed profile; the default itself if no gain exceeds the noise."""
    gain: PairedRatio | None
    """The throughput of the winner, or else of `best`, over the default's, by the confirmation; None without one."""
    gains: Mapping[str, PairedRatio | None]
    """What each setting of `best` gains: `best` over `best` without it; None if they were never alive together."""
    untried: tuple[str, ...]
    """Settings that no look had time for."""
