"""The search for the fastest runtime profile: a race, in looks, and a confirmation.

In a *look* the workers of several profiles are alive together and take turns, so that they see the same machine. The
first look has the default, everything that could help switched on together, and the most promising settings alone:
settings that gain nothing alone may gain much together. Each later look has the best so far, what cannot be told from
it yet, and its neighbours: without one of its settings, or with one more. The best stays unless another is ahead by
more than the noise of both. What has clearly lost is not measured again, and within a look it is ended early
(`lenet.analysis.tune.lost`).

Only the *confirmation* decides: groups of fresh processes of the default and the winner, which warm up as in any other
run. The best of many noisy measurements is always too good, so those that chose a winner must not evaluate it. There
are as many groups as there is time for: what they find does not decide how many.

Nothing is run here. The caller gives `measure` and a clock, so that the search can be tested on known machines.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence

from lenet.analysis.paired import LEAST_GROUPS, PairedRatio
from lenet.analysis.tune.candidate import NOISE, Candidate, Estimates, Look, Measure, SearchResult, ratio
from lenet.analysis.tune.space import DEFAULT, alone, distinct, together, without
from lenet.cases.profile import RuntimeProfile

MOST_ALIVE = 9
"""Members of a look: more would use much memory, and take too much of the budget before anything is known."""

FIRST_ALIVE = 5
"""Members of the first look: until it is over, nobody knows how long a process takes here."""

MOST_MEASUREMENTS = 30
"""Processes of the race; a search that needs more is lost in noise."""

REMATCHES = 3
"""Looks after which two profiles that cannot be told apart count as equal."""

RIVAL = 2.0
"""Standard deviations of a difference within which two profiles cannot be told apart yet."""

CLEARLY = 3.0
"""Standard deviations of a difference that is no noise, even if it is the largest of many."""

MOST_GROUPS = 5
"""Groups of the confirmation where there is time; there are at least `LEAST_GROUPS`."""

RESERVE = 1.25
"""How many times what it is expected to take the time kept for the confirmation is: a look may take longer than the one
before, and without a confirmation a tenfold gain is worth nothing."""

GAIN_AT_LEAST = 1.02
"""A gain below 2% is not worth a setting."""

WORTH_A_STEP = 2.0
"""A profile up to so many times slower than the best may have a neighbour that is faster than it."""

LATENT = 0.9
"""A setting that alone is more than a tenth slower than the default is hardly a gain beside others."""

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
        self._left = measurements
        self._warm_up_images = warm_up_images
        self._process_seconds = PROCESS_SECONDS
        self._known: dict[str, Candidate] = {}
        self._default = self._candidate(DEFAULT)

    def run(self) -> SearchResult:
        """Search. Errors of `measure` propagate; a default that cannot be measured ends the search at once."""
        best = self._default
        proposed = distinct((DEFAULT, together(self._settings), *self._settings))
        while self._race(proposed, best) and self._default.rates:
            best = self._ahead(best)
            proposed = self._next(best)
        winner, gain = self._confirm(best) if best is not self._default else (best, None)
        tried = tuple(each for each in self._known.values() if each is not self._default and each.raced)
        values = {pair for each in tried for pair in each.profile.settings.items()}
        return SearchResult(
            default=self._default,
            tried=tried,
            best=best,
            winner=winner,
            gain=gain,
            gains=self._gains(best),
            untried=tuple(each.text for each in self._settings if not each.settings.items() <= values),
        )

    def _candidate(self, profile: RuntimeProfile) -> Candidate:
        return self._known.setdefault(profile.text, Candidate(profile))

    def _sound(self) -> list[Candidate]:
        return [each for each in self._known.values() if each.rates and not each.fault]

    def _race(self, profiles: Sequence[RuntimeProfile], best: Candidate) -> bool:
        """Measure the first of the profiles, as many as there is time for; whether there was any for two.

        Time is kept to confirm the best so far.
        """
        first = not self._default.raced
        # Processes whose fast and slow turns alternate differ so much that the least number of groups shows little.
        groups = MOST_GROUPS if any(each.unsteady for each in self._known.values()) else LEAST_GROUPS * RESERVE
        until = self._deadline - self._confirmation((self._default, best)) * groups
        fits = int((until - self._clock()) / self._process_seconds)
        if first:  # whatever the budget: until then, what a process takes is a guess
            fits, until = min(max(fits, 2), FIRST_ALIVE), max(until, (self._clock() + self._deadline) / 2)
        count = min(len(profiles), self._alive, self._left, fits)
        if count < 2:
            return False
        self._left -= count
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
        return max(self._clock() - began, sum(each.seconds for each in found))

    def _next(self, best: Candidate) -> list[RuntimeProfile]:
        """The best with what cannot be told from it yet and its likely neighbours, or else with others' neighbours."""
        known = Estimates(self._sound(), self._noise)
        rivals = [
            each
            for each in known
            if each is not best
            and len(each.raced) < REMATCHES
            and known[each] > known[best] - RIVAL * known.deviation(each, best)
        ]
        rivals.sort(key=lambda each: -known[each])
        chosen = [each.profile for each in rivals[: self._alive // 3]] + self._neighbours(best, known, likely=True)
        chosen = chosen or self._neighbours(best, known, likely=False)
        # The best may be a local maximum: where two of its settings have to go at once, the way there is another's.
        for each in sorted(known, key=lambda each: -known[each]):
            if not chosen and known[each] > known[best] - math.log(WORTH_A_STEP):
                chosen = self._neighbours(each, known, likely=True)
        return distinct((best.profile, *chosen))

    def _neighbours(self, of: Candidate, known: Mapping[Candidate, float], *, likely: bool) -> list[RuntimeProfile]:
        """What was not measured and differs from the candidate in one setting: the likely gains, or the others.

        It is unlikely that it gains to remove a setting that alone gained clearly, or to add one that alone lost.
        """

        def gained(setting: RuntimeProfile) -> float:
            return known.get(self._candidate(setting), known[self._default]) - known[self._default]

        own, clearly = of.profile.settings, CLEARLY * self._noise * math.sqrt(2)
        found: list[tuple[RuntimeProfile, bool]] = []
        for name in sorted(own, key=lambda name: gained(alone(of.profile, name))):
            found.append((without(of.profile, name), gained(alone(of.profile, name)) < clearly))
        for each in sorted(self._settings, key=lambda each: -gained(each)):
            if not each.settings.items() <= own.items():
                found.append((of.profile.with_settings(each), gained(each) > math.log(LATENT)))
        return [each for each, hope in found if hope is likely and not self._candidate(each).raced]

    def _ahead(self, best: Candidate) -> Candidate:
        """The best so far, or the fastest of those that are ahead of it by more than the noise of both."""
        known = Estimates(self._sound(), self._noise)
        if best not in known:
            best = self._default
        ahead = [each for each in known if known[each] > known[best] + known.deviation(each, best)]
        return max(ahead, key=lambda each: known[each], default=best)

    def _confirmation(self, members: Iterable[Candidate]) -> float:
        """Seconds of a group of the confirmation; a rate that is not known yet counts for nothing.

        A process warms up at the pace of its slow turns: its kernels are not tuned yet.
        """
        return sum(self._process_seconds + (self._warm_up_images / each.slow if each.slow else 0.0) for each in members)

    def _confirm(self, best: Candidate) -> tuple[Candidate, PairedRatio | None]:
        """Measure the best and the default in new groups; the winner, and the gain of it or else of the best."""
        members = [self._default, best]
        simpler = self._simpler(best)
        if simpler is not None and self._groups([*members, simpler], 1 / RESERVE) >= LEAST_GROUPS:
            members.append(simpler)
        if self._groups(members, RESERVE) < LEAST_GROUPS:
            return self._default, None
        took: list[float] = []
        while len(took) < LEAST_GROUPS or (
            len(took) < MOST_GROUPS and self._clock() + statistics.fmean(took) <= self._deadline
        ):
            took.append(self._look(Look(tuple(each.profile for each in members), self._until(members, took), True)))
            if any(each.fault for each in members):
                break
        if simpler in members and not simpler.fault:
            more = ratio(simpler.confirmed, best.confirmed)
            if more is not None and more.value < GAIN_AT_LEAST:
                best = simpler  # what it does not have gains nothing
        gain = ratio(self._default.confirmed, best.confirmed)
        return (best if self._beyond_noise(best, gain) else self._default), gain

    def _until(self, members: Sequence[Candidate], took: Sequence[float]) -> float:
        """By when a group of the confirmation has to have ended, after those that took so many seconds.

        Time is kept for the later ones of the least number: what a group that takes longer has by then counts.
        """
        later = max(LEAST_GROUPS - len(took) - 1, 0)
        left = self._deadline - self._clock()
        return self._clock() + max(left / (later + 1), left - later * self._confirmation(members))

    def _groups(self, members: Sequence[Candidate], faster: float = 1.0) -> int:
        """Groups of the confirmation that there is time for, if they take so many times less than expected."""
        return int((self._deadline - self._clock()) * faster / self._confirmation(members))

    def _simpler(self, best: Candidate) -> Candidate | None:
        """The candidate with the fewest settings that is as fast as the best in the race, if it has fewer."""
        known = Estimates(self._sound(), self._noise)
        equal = [
            each
            for each in known
            if each is not self._default
            and len(each.profile.settings) < len(best.profile.settings)
            and known[each] > known[best] - min(known.deviation(each, best), math.log(GAIN_AT_LEAST))
        ]
        return min(equal, key=lambda each: (len(each.profile.settings), -known[each]), default=None)

    def _beyond_noise(self, candidate: Candidate, gain: PairedRatio | None) -> bool:
        if gain is None or gain.these_processes_only or gain.interval is None or candidate.fault:
            return False
        return gain.interval.low > 1 and gain.value >= GAIN_AT_LEAST

    def _gains(self, best: Candidate) -> dict[str, PairedRatio | None]:
        found = {}
        for name in best.profile.settings:
            other = self._candidate(without(best.profile, name))
            found[name] = ratio([*other.raced, *other.confirmed], [*best.raced, *best.confirmed])
        return found
