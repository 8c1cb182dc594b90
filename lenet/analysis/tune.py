"""The search for the fastest runtime profile, with few measurements, each in a process of its own.

It has three stages. *Alone*: the default, and each setting on its own. *Together*: settings are added to the best so
far, one at a time, and kept if they gain. *Confirmation*: the best candidates and the default are measured again, in
turn, in new processes; the slower half is dropped after two rounds. Only the confirmation decides: the best of many
noisy measurements is always too good, so the measurements that chose a candidate must not evaluate it.

The caller gives `measure` and a clock, so that the search can be tested on simulated machines.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from lenet.cases.case import DeviceTarget, Mode, RuntimeProfile
from lenet.cases.frameworks import Framework

DEFAULT = RuntimeProfile()
CONFIRMING_PROCESSES = 4
"""New processes of the winner and of the default: if both were equally fast, all four of one would be faster than all
four of the other once in 70 times (one-sided)."""
FINALISTS = 3
"""Candidates that are confirmed, besides the default."""
GAIN_AT_LEAST = 1.02
"""A gain below 2% is not worth a setting."""
NEARLY = 1.05
"""A candidate within 5% of the fastest that has fewer settings is confirmed too."""
LATENT = 0.9
"""A setting that alone is more than a tenth slower than the default is not combined with others."""


@dataclass(frozen=True)
class Measured:
    """One process: its median images per second, or why it does not count."""

    images_per_second: float | None
    fault: str = ""
    low: float | None = None
    """Quartiles of its windows, if known."""
    high: float | None = None
    seconds: float | None = None
    """How long the process took; None means the time that `measure` took. They differ for a stored measurement."""


@dataclass
class Candidate:
    """A profile and its measurements."""

    profile: RuntimeProfile
    screened: list[Measured] = field(default_factory=list)
    """Measurements that chose it."""
    confirmed: list[Measured] = field(default_factory=list)
    """Later measurements that evaluate it."""

    @property
    def samples(self) -> list[Measured]:
        """The measurements that count: the confirming ones if there are any."""
        return self.confirmed or self.screened

    @property
    def rates(self) -> list[float]:
        """Images per second, one value for each process that counts."""
        return [each.images_per_second for each in self.samples if each.images_per_second is not None]

    @property
    def median(self) -> float:
        """Median over the processes; 0 if none counts."""
        return statistics.median(self.rates) if self.rates else 0.0

    @property
    def fault(self) -> str:
        """Why it is out of the search; empty if it is not."""
        return next((each.fault for each in (*self.screened, *self.confirmed) if each.fault), "")


@dataclass(frozen=True)
class SearchResult:
    """The result of a search."""

    default: Candidate
    alone: tuple[Candidate, ...]
    """Each setting on its own, in the order of the space."""
    together: tuple[Candidate, ...]
    winner: Candidate
    """The default itself if no gain exceeds the noise."""
    skipped: int
    """Settings that were not tried because the budget was spent."""

    @property
    def gain(self) -> float:
        """The winner's median over the default's."""
        return self.winner.median / self.default.median if self.default.median else 1.0


Measure = Callable[[RuntimeProfile], Measured]


def space(
    framework: Framework, device: DeviceTarget, mode: Mode, cores: int, instruction_sets: Iterable[str]
) -> list[RuntimeProfile]:
    """The settings that are worth a measurement on such a machine, each alone.

    `cores` are those that a worker may use. A setting that the CPU does not support, or that is the default already, is
    not in it: a cap to AVX2 makes sense only on a CPU with AVX-512.
    """
    settings: list[str] = []
    mindspore = framework is Framework.MINDSPORE
    if mindspore and "avx512f" in instruction_sets and device is DeviceTarget.CPU:
        settings.append("onednn_isa=AVX2")
    if mindspore and mode is not Mode.GRAPH:
        settings.append("launch_blocking")
    if device is DeviceTarget.CPU:
        settings += [f"operator_threads={count}" for count in _fewer(cores)]
    if mindspore:
        settings.append("dispatch_threads=1")
        settings += [f"dataset_workers={count}" for count in _fewer(min(cores, 8))]
        settings.append("dataset_prefetch=2")
    if device is DeviceTarget.CPU:
        settings += [f"cpu_affinity={count}" for count in _fewer(cores)[-1:]]
    return [RuntimeProfile.parse(text) for text in settings]


def _fewer(cores: int) -> list[int]:
    """Counts below `cores`: 1, a quarter, half."""
    return sorted({count for count in (1, cores // 4, cores // 2) if 1 <= count < cores})


class Search:
    """One search; `run` runs it."""

    def __init__(
        self, settings: Sequence[RuntimeProfile], measure: Measure, clock: Callable[[], float], budget_seconds: float
    ) -> None:
        """`settings` are tried alone and together; `clock` reads seconds, and `budget_seconds` counts from now."""
        self._settings = settings
        self._measure = measure
        self._clock = clock
        self._deadline = clock() + budget_seconds
        self._spent: list[float] = []
        self._skipped = 0
        self._default = Candidate(DEFAULT)

    def run(self) -> SearchResult:
        """Search. Errors of `measure` propagate; a default that cannot be measured ends the search at once."""
        self._screen(self._default)
        if not self._default.rates:
            return SearchResult(self._default, (), (), self._default, len(self._settings))
        alone = [candidate for each in self._settings if self._affordable(candidate := Candidate(each))]
        self._screen(self._default)  # again: its two processes differ by drift and noise only
        together, kept = self._together(alone)
        winner = self._confirm([*alone, *kept])
        return SearchResult(self._default, tuple(alone), tuple(together), winner, self._skipped)

    def _screen(self, candidate: Candidate) -> None:
        candidate.screened.append(self._timed(candidate.profile))

    def _timed(self, profile: RuntimeProfile) -> Measured:
        began = self._clock()
        measured = self._measure(profile)
        self._spent.append(self._clock() - began if measured.seconds is None else measured.seconds)
        return measured

    def _affordable(self, candidate: Candidate) -> bool:
        """Screen the candidate, unless that would take time that the confirmation needs."""
        cost = statistics.mean(self._spent)
        # At least one candidate is confirmed against the default, and the default is screened a second time.
        if self._clock() + cost * (2 + 2 * CONFIRMING_PROCESSES) > self._deadline:
            self._skipped += 1
            return False
        self._screen(candidate)
        return True

    def _together(self, alone: Sequence[Candidate]) -> tuple[list[Candidate], list[Candidate]]:
        """Add settings to the best so far, the most promising first; return those tried, and those that gained."""
        least = LATENT * self._default.median
        hopeful = _fastest_first(each for each in alone if not each.fault and each.median >= least)
        tried: list[Candidate] = []
        kept: list[Candidate] = []
        best = next(iter(hopeful), self._default)
        for each in hopeful[1:]:
            if set(each.profile.settings) <= set(best.profile.settings):
                continue  # another value of a setting that it has, and slower
            candidate = Candidate(best.profile.with_settings(each.profile))
            if not self._affordable(candidate):
                continue
            tried.append(candidate)
            if not candidate.fault and candidate.median >= GAIN_AT_LEAST * best.median:
                best = candidate
                kept.append(candidate)
        return tried, kept

    def _confirm(self, candidates: Sequence[Candidate]) -> Candidate:
        """Measure the best candidates and the default again, in turn; return the winner, or the default."""
        # A candidate that screened slower than the default is hardly faster.
        sound = [each for each in candidates if not each.fault and each.median > self._default.median]
        finalists = _finalists(_fastest_first(sound))
        for number in range(CONFIRMING_PROCESSES):
            cost = statistics.mean(self._spent)
            left = CONFIRMING_PROCESSES - number
            while len(finalists) > 1 and self._clock() + cost * left * (1 + len(finalists)) > self._deadline:
                finalists = _fastest_first(finalists)[:-1]
            if number == CONFIRMING_PROCESSES // 2 and len(finalists) > 1:
                finalists = _fastest_first(finalists)[: (len(finalists) + 1) // 2]
            if not finalists:
                break
            turn = [self._default, *finalists]
            for each in turn if number % 2 == 0 else reversed(turn):
                each.confirmed.append(self._timed(each.profile))
            finalists = [each for each in finalists if not each.fault]
        winners = [each for each in finalists if beyond_noise(each, self._default)]
        if not winners:
            return self._default
        fastest = max(winners, key=lambda each: each.median)
        # Of those that are as fast as the fastest, the one with the fewest settings.
        equal = [each for each in winners if each.median * GAIN_AT_LEAST >= fastest.median]
        return min(equal, key=lambda each: (len(each.profile.settings), -each.median))


def _finalists(ranked: Sequence[Candidate]) -> list[Candidate]:
    """The fastest, the one with the fewest settings that is nearly as fast, and the next fastest."""
    if not ranked:
        return []
    near = [each for each in ranked if each.median * NEARLY >= ranked[0].median]
    simplest = min(near, key=lambda each: len(each.profile.settings))
    chosen = {id(each): each for each in (ranked[0], simplest, *ranked)}
    return list(chosen.values())[:FINALISTS]


def _fastest_first(candidates: Iterable[Candidate]) -> list[Candidate]:
    return sorted(candidates, key=lambda each: each.median, reverse=True)


def beyond_noise(candidate: Candidate, default: Candidate) -> bool:
    """Whether each confirming process of the candidate beats each of the default's, by a gain worth a setting."""
    mine, base = candidate.rates, default.rates
    if candidate.fault or min(len(mine), len(base)) < CONFIRMING_PROCESSES:
        return False
    return min(mine) > max(base) and candidate.median >= GAIN_AT_LEAST * default.median
