"""The search for the fastest runtime profile: a race, in looks, and a confirmation.

In a *look* the workers of several profiles are alive together and take turns, so that they see the same machine. The
first look has the default, everything that could help switched on together, and the most promising settings alone:
settings that gain nothing alone may gain much together. It tells what gains much. Each later look has the best so far
and combinations of the other settings that together tell most of what each of them does to the fastest profiles
(`lenet.analysis.tune.effects`). A setting that gains nothing there is removed. What has clearly lost is not measured
again, and within a look it is ended early (`lenet.analysis.tune.lost`).

Only the *confirmation* decides: groups of fresh processes of the default and the winner, which warm up as in any other
run. The best of many noisy measurements is always too good, so those that chose a winner must not evaluate it. There
are as many groups as there is time for: what they find does not decide how many.

Nothing is run here. The caller gives `measure` and a clock, so that the search can be tested on known machines.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence

from lenet.analysis.paired import LEAST_GROUPS, PairedRatio
from lenet.analysis.tune.candidate import GAIN_AT_LEAST, NOISE, Candidate, Look, Measure, SearchResult, ratio
from lenet.analysis.tune.space import DEFAULT, distinct, together
from lenet.analysis.tune.standing import Standing
from lenet.cases.profile import RuntimeProfile

MOST_ALIVE = 12
"""Members of a look: more would use much memory, and take too much of the budget before anything is known."""

FIRST_ALIVE = 5
"""Members of the first look: until it is over, nobody knows how long a process takes here."""

LEAST_MEASUREMENTS = 13
"""Processes of a race that tell apart settings of a few percent: of simulated searches of PyNative mode, all 100 reach
95% of the best speed with so many, 95 with 12, and 75 with 10."""

MOST_MEASUREMENTS = 30
"""Processes of the race; a search that needs more is lost in noise."""

MOST_GROUPS = 5
"""Groups of the confirmation where there is time; there are at least `LEAST_GROUPS`."""

RESERVE = 1.2
"""How many times what it is expected to take the time kept for the confirmation is: a look may take longer than the one
before, and without a confirmation a tenfold gain is worth nothing."""

PROCESS_SECONDS = 6.0
"""What a process of a look takes, until the first look has shown it."""


class Search:
    """One search; `run` runs it."""

    def __init__(
        self,
        settings: Sequence[RuntimeProfile],
        measure: Measure,
        clock: Callable[[], float],
        budget_seconds: float,
        *,
        alive: int | None = None,
        noise: float = NOISE,
        measurements: int = MOST_MEASUREMENTS,
        warm_up_images: int = 0,
    ) -> None:
        """A search that ends within the budget, which counts from now.

        Args:
            settings: tried alone and together, the most promising first.
            measure: measures a look.
            clock: reads seconds.
            budget_seconds: time for everything, the confirmation included.
            alive: the most profiles of a look.
            noise: standard deviation of the logarithm of a rate in a look.
            measurements: the most processes of the race.
            warm_up_images: what a process of the confirmation trains before its first turn.
        """
        self._settings = settings
        self._measure = measure
        self._clock = clock
        self._deadline = clock() + budget_seconds
        self._alive = max(2, min(alive or MOST_ALIVE, MOST_ALIVE))
        self._noise = noise
        self._measurements = measurements
        self._warm_up_images = warm_up_images
        self._process_seconds = PROCESS_SECONDS
        self._raced = 0
        self._short = False
        self._known: dict[str, Candidate] = {}
        self._default = self._candidate(DEFAULT)

    def run(self) -> SearchResult:
        """Search. Errors of `measure` propagate; a default that cannot be measured ends the search at once."""
        start = best = self._default
        proposed = distinct((DEFAULT, together(self._settings), *self._settings))
        standing: Standing | None = None
        alternate = False
        while self._race(proposed, best, MOST_GROUPS if alternate else LEAST_GROUPS) and self._default.rates:
            standing = Standing(self._settings, self._known.values(), self._default, start, self._noise)
            start, best, proposed = standing.start, self._candidate(standing.best), standing.next()
            # Processes whose fast and slow turns alternate differ so much that the least number of groups shows little.
            alternate = any(each.unsteady for each in (self._default, *standing.near))
        winner, gain = self._confirm(best) if best is not self._default else (best, None)
        tried = tuple(each for each in self._known.values() if each is not self._default and each.raced)
        values = {pair for each in tried for pair in each.profile.settings.items()}
        return SearchResult(
            default=self._default,
            tried=tried,
            best=best,
            winner=winner,
            gain=gain,
            effects=tuple(standing.effects.table()) if standing else (),
            untried=tuple(each.text for each in self._settings if not each.settings.items() <= values),
            raced=self._raced,
            short=self._short,
        )

    def _candidate(self, profile: RuntimeProfile) -> Candidate:
        return self._known.setdefault(profile.text, Candidate(profile))

    def _race(self, profiles: Sequence[RuntimeProfile], best: Candidate, groups: int) -> bool:
        """Measure the first of the profiles, as many as there is time for; whether there was any for two.

        Time is kept for so many groups that confirm the best so far.
        """
        first = not self._default.raced
        until = self._deadline - self._confirmation((self._default, best)) * groups * RESERVE
        fits = int((until - self._clock()) / self._process_seconds)
        if first:  # whatever the budget: until then, what a process takes is a guess
            fits, until = min(max(fits, 2), FIRST_ALIVE), max(until, (self._clock() + self._deadline) / 2)
        count = min(len(profiles), self._alive, self._measurements - self._raced, fits)
        if count < 2:
            self._short = fits < 2 <= len(profiles) and self._raced < LEAST_MEASUREMENTS
            return False
        self._raced += count
        seconds = self._look(Look(tuple(profiles[:count]), until)) / count
        self._process_seconds = seconds if first else max(seconds, self._process_seconds)
        return True

    def _look(self, look: Look) -> float:
        """Measure a look; return the seconds that it took or, if it was measured earlier, had taken."""
        began = self._clock()
        found = self._measure(look)
        for profile, measured in zip(look.profiles, found, strict=True):
            candidate = self._candidate(profile)
            (candidate.confirmed if look.confirms else candidate.raced).append(measured)
        return sum(each.seconds for each in found) or self._clock() - began

    def _confirmation(self, members: Iterable[Candidate]) -> float:
        """Seconds of a group of the confirmation; a rate that is not known yet counts for nothing.

        A process warms up at the pace of its slow turns: its kernels are not tuned yet.
        """
        return sum(self._process_seconds + (self._warm_up_images / each.slow if each.slow else 0.0) for each in members)

    def _confirm(self, best: Candidate) -> tuple[Candidate, PairedRatio | None]:
        """Measure the best and the default in new groups; the winner, and the gain of it or else of the best."""
        members = [self._default, best]
        if (self._deadline - self._clock()) * RESERVE < LEAST_GROUPS * self._confirmation(members):
            return self._default, None
        took: list[float] = []
        while len(took) < LEAST_GROUPS or (
            len(took) < MOST_GROUPS and self._clock() + statistics.fmean(took) <= self._deadline
        ):
            took.append(self._look(Look(tuple(each.profile for each in members), self._until(members, took), True)))
            if any(each.fault for each in members):
                break
        gain = ratio(self._default.confirmed, best.confirmed)
        return (best if self._beyond_noise(best, gain) else self._default), gain

    def _until(self, members: Sequence[Candidate], took: Sequence[float]) -> float:
        """By when a group of the confirmation has to have ended, after those that took so many seconds.

        Time is kept for the later ones of the least number: what a group that takes longer has by then counts.
        """
        later = max(LEAST_GROUPS - len(took) - 1, 0)
        left = self._deadline - self._clock()
        return self._clock() + max(left / (later + 1), left - later * self._confirmation(members))

    def _beyond_noise(self, candidate: Candidate, gain: PairedRatio | None) -> bool:
        if gain is None or gain.these_processes_only or gain.interval is None or candidate.fault:
            return False
        return gain.interval.low > 1 and gain.value >= GAIN_AT_LEAST
