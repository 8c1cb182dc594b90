"""The profiles of a search, what it asks to be measured of them, and its result."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from lenet.analysis.paired import MemberPair, PairedRatio, TimedTurn, paired_ratio
from lenet.analysis.statistics import Array, Interval
from lenet.analysis.tune.speeds import (
    ChangingSpeed,
    SettledSpeed,
    changing_speed,
    slow_and_fast,
    turn_rates,
    two_speeds,
)
from lenet.cases.profile import RuntimeProfile

NOISE = 0.03
"""Standard deviation of the logarithm of the rates of processes of one profile in a look, besides what the scatter of
their turns explains: 0.01 in PyNative and 0.03 in Graph mode, of 180 recorded processes that took turns."""

TURN_NOISE = 0.17
"""Standard deviation of the logarithm of the rates of a process's turns, of those processes."""

DRIFT = 0.15
"""As `NOISE`, between looks: what processes differ by that ran one after the other."""

UNSTEADY = 2.5
"""How many times faster the fastest tenth of the turns is than the slowest where fast and slow steps alternate: in
recorded races up to 1.8 in PyNative and Graph mode, and 3 to 12 in most processes of whole-step jit."""

GAIN_AT_LEAST = 1.02
"""A gain below 2% is not worth a setting."""

LEAST_RACED_TURNS = 4
"""Turns below which they do not tell how much they differ."""


@dataclass(frozen=True)
class Measured:
    """One process: its images per second, or why it does not count."""

    images_per_second: float | None
    fault: str = ""
    """Why it is out of the search; a process that was only ended early has none."""
    group: str = ""
    """Those of one group were alive together."""
    turns: tuple[TimedTurn, ...] = ()
    settled: bool = True
    """Whether it trained past the framework's tuning of its kernels: its speed may have changed otherwise."""
    seconds: float = 0.0
    """Its share of the time that the group took."""

    @property
    def scatter(self) -> float:
        """Standard error of the logarithm of its rate, by how much its turns differ."""
        rates = turn_rates(self.turns)
        if not len(rates):
            return 0.0
        differ = float(np.std(np.log(rates), ddof=1)) if len(rates) >= LEAST_RACED_TURNS else TURN_NOISE
        return differ / math.sqrt(len(rates))


@dataclass(eq=False)
class Candidate:
    """A profile and its measurements."""

    profile: RuntimeProfile
    raced: list[Measured] = field(default_factory=list)
    """Measurements that chose it."""
    confirmed: list[Measured] = field(default_factory=list)
    """Later measurements that evaluate it."""

    @property
    def samples(self) -> list[Measured]:
        """The measurements that count: the confirming ones if there are any."""
        return self.confirmed if rates_of(self.confirmed) else self.raced

    @property
    def rates(self) -> list[float]:
        """Images per second, one value for each process that counts."""
        return rates_of(self.samples)

    @property
    def median(self) -> float:
        """Median over the processes; 0 if none counts."""
        return statistics.median(self.rates) if self.rates else 0.0

    @property
    def slow(self) -> float:
        """Images per second that a tenth of its turns in the race do not exceed; 0 without a turn."""
        return slow_and_fast(self._raced_rates)[0] if len(self._raced_rates) else 0.0

    @property
    def unsteady(self) -> bool:
        """Whether a tenth of its turns in the race are so much faster than the slowest tenth that they alternate."""
        if len(self._raced_rates) < LEAST_RACED_TURNS:
            return False
        slow, fast = slow_and_fast(self._raced_rates)
        return fast > UNSTEADY * slow

    @property
    def _raced_rates(self) -> Array:
        return turn_rates(turn for each in self.raced for turn in each.turns)

    @property
    def fault(self) -> str:
        """Why it is out of the search; empty if it is not."""
        return next((each.fault for each in (*self.raced, *self.confirmed) if each.fault), "")

    @property
    def speeds(self) -> tuple[SettledSpeed, ...]:
        """The one speed, or the two, at which its settled processes are, the slower first; none without a process.

        How often each occurs is known from the confirmation: a process that won a race did so because it was fast.
        """
        return two_speeds(rates_of(self._settled))

    @property
    def changing(self) -> ChangingSpeed | None:
        """How its speed changes from turn to turn, if its processes settled at one speed and it changes much."""
        if len(self.speeds) != 1:
            return None
        return changing_speed([turn for each in self._settled for turn in each.turns])

    @property
    def _settled(self) -> list[Measured]:
        return [each for each in self.samples if each.settled]


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
class SettingEffect:
    """How many times faster a setting makes the fastest profiles."""

    setting: str
    value: float
    interval: Interval
    """At 95%."""
    processes: int
    """Those with and without it, of the fastest profiles of the race."""


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
    effects: tuple[SettingEffect, ...]
    """What each setting does to the fastest profiles of the race, the largest effect first."""
    untried: tuple[str, ...]
    """Settings that no look had time for."""
    raced: int
    """Processes of the race."""
    short: bool
    """Whether the time was over before enough processes had raced to tell apart settings of a few percent."""


def rates_of(samples: Iterable[Measured]) -> list[float]:
    """Images per second of the processes that have been measured."""
    return [each.images_per_second for each in samples if each.images_per_second is not None]


def ratio(a: Sequence[Measured], b: Sequence[Measured]) -> PairedRatio | None:
    """The throughput of `b` over that of `a`, from the groups that both were members of; None without one."""
    ours, theirs = ({each.group: each.turns for each in side if each.group and each.turns} for side in (a, b))
    return paired_ratio([MemberPair(ours[group], theirs[group]) for group in ours if group in theirs])


class RatedProcess(NamedTuple):
    """A process of the race."""

    candidate: Candidate
    group: str
    rate: float
    """The logarithm of its images per second."""
    deviation: float
    """Standard deviation of that logarithm."""


def rated_processes(candidates: Iterable[Candidate], noise: float) -> list[RatedProcess]:
    """The processes of the race that have a rate; `noise` is what they differ by besides what their turns tell."""
    return [
        RatedProcess(each, raced.group, math.log(raced.images_per_second), math.hypot(noise, raced.scatter))
        for each in candidates
        for raced in each.raced
        if raced.images_per_second
    ]


class Estimates(dict[Candidate, float]):
    """The logarithm of each candidate's rate in the race, adjusted for what the moment of its groups was like.

    Least squares of candidate plus group, with the groups' effects drawn towards 0 as far as `DRIFT` says: groups that
    have no profile in common are compared by their absolute rates. A process whose turns differ much weighs less.
    Candidates without a rate are omitted.
    """

    def __init__(self, candidates: Sequence[Candidate], noise: float) -> None:
        processes = rated_processes(candidates, noise)
        self._places = {each: place for place, each in enumerate(dict.fromkeys(each.candidate for each in processes))}
        names = dict.fromkeys(each.group for each in processes)
        groups = {name: place for place, name in enumerate(names, len(self._places))}
        design = np.zeros((len(processes) + len(groups), len(self._places) + len(groups)))
        observed = np.zeros(len(design))
        for row, each in enumerate(processes):
            design[row, [self._places[each.candidate], groups[each.group]]] = 1 / each.deviation
            observed[row] = each.rate / each.deviation
        for row, column in enumerate(groups.values(), len(processes)):
            design[row, column] = 1 / DRIFT
        inverse = np.linalg.pinv(design)
        super().__init__(zip(self._places, map(float, inverse @ observed), strict=False))
        self._covariance = inverse @ inverse.T

    def deviation(self, a: Candidate, b: Candidate) -> float:
        """Standard deviation of the difference of two of them."""
        at = [self._places[a], self._places[b]]
        (of_a, both), (_, of_b) = self._covariance[np.ix_(at, at)]
        return math.sqrt(max(float(of_a + of_b - 2 * both), 0.0))
