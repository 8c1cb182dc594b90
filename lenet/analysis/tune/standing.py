"""The standing of a race: which profile is ahead, and which profiles tell most of what could be faster."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from lenet.analysis.tune.candidate import GAIN_AT_LEAST, Candidate, Estimates
from lenet.analysis.tune.effects import Effects
from lenet.analysis.tune.space import NOT_TOGETHER, alone, distinct, profile_of, without
from lenet.cases.profile import RuntimeProfile

NEAR = 1.25
"""How many times slower than the profile to start from a profile may be whose settings' effects simply add up."""

UNDECIDED = 2.0
"""Standard deviations of a difference within which two profiles, or values of a setting, cannot be told apart yet."""

AHEAD = 1.5
"""Standard deviations of a difference from which on another profile is the one to start from."""

EQUAL = 0.01
"""Standard deviation of such a difference, as a logarithm, from which on the two count as equal."""

WORTH = math.log(GAIN_AT_LEAST)
"""What a setting has to gain, as a logarithm, to be added to the profile to start from."""

BEFORE_MORE = 4
"""Combinations in a look before the settings that are not switched on with all others. Each of these tells of itself
alone, and in a short race there is no time for it."""

CLEARLY = 2.0
"""Standard deviations of what a setting gains alone from which on it is kept. A slow default is ended after few turns,
so its rate is uncertain: at 3, half of a look was spent without a fix that alone gained 1.4 times."""


class Standing:
    """What the looks so far show."""

    def __init__(
        self,
        settings: Sequence[RuntimeProfile],
        candidates: Iterable[Candidate],
        default: Candidate,
        start: Candidate,
        noise: float,
    ) -> None:
        """The standing after a look.

        Args:
            settings: what may be set, each alone, the most promising first.
            candidates: all that have been measured, the default among them.
            default: has a rate.
            start: the profile to start from before this look.
            noise: standard deviation of the logarithm of a process's rate.
        """
        self._settings = settings
        self._default = default
        self._raced = {each.profile.text: each for each in candidates if each.raced}
        self._known = Estimates([each for each in self._raced.values() if each.rates and not each.fault], noise)
        self._fastest = max(self._known, key=lambda each: self._known[each])
        self.start = self._ahead(start if start in self._known else default)
        """The profile to start from."""
        self.near = [each for each in self._known if self._nearly(each, self.start)]
        """What is nearly as fast as that, or faster."""
        self.effects = Effects(self.start.profile, self.near, noise)
        """What the settings do to these."""
        self.best = self._best()
        """The fastest profile by the effects of its settings. It need not have been measured."""

    def next(self) -> list[RuntimeProfile]:
        """The best, and then what tells most of the settings that are not decided yet, or else its neighbours."""
        pool = [each for each in self._combinations(self._choices()) if not self._behind(each)]
        if len(pool) < 2:
            return distinct([self.best, *(self._neighbours(likely=True) or self._neighbours(likely=False))])
        pool.sort(key=lambda each: (each.text in self._raced, -self.effects.of(each)))
        design = self.effects.design([self.best], pool)
        return distinct([self.best, *design[:BEFORE_MORE], *self._more(), *design[BEFORE_MORE:]])

    def _ahead(self, start: Candidate) -> Candidate:
        """The profile to start from, or one that is clearly ahead of it.

        Of those that cannot be told from the fastest it is the one with the fewest settings, after the "one standard
        error" rule (L. Breiman et al., Classification and Regression Trees, 1984, section 3.4.3).
        """
        known = self._known
        ahead = [
            each
            for each in known
            if known[each] > known[start] + AHEAD * known.deviation(each, start) and not self._nearly(start, each)
        ]
        if not ahead:
            return start
        fastest = max(ahead, key=lambda each: known[each])
        equal = [each for each in ahead if known[each] >= known[fastest] - UNDECIDED * known.deviation(fastest, each)]
        return min(equal, key=lambda each: (len(each.profile.settings), -known[each]))

    def _nearly(self, candidate: Candidate, other: Candidate) -> bool:
        """Whether a candidate is nearly as fast as another, or cannot be told from that."""
        reach = max(math.log(NEAR), self._known.deviation(candidate, other))
        return self._known[candidate] > self._known[other] - reach

    def _best(self) -> RuntimeProfile:
        choices = {name: [value] for name, value in self.start.profile.settings.items()} | self.effects.varied
        own = self.start.profile.settings.items()
        # Beside a start that nothing else is near, nobody has seen what gained elsewhere.
        for setting in filter(self._hopeful, self._settings):
            for name, value in setting.settings.items():
                if self.effects.mean((name, value)) > WORTH and name not in NOT_TOGETHER:
                    choices.setdefault(name, [None, value])

        def gained(profile: RuntimeProfile) -> float:
            return self.effects.of(profile) - WORTH * len(profile.settings.items() - own)

        return max(self._combinations(choices), key=gained)

    def _combinations(self, choices: Mapping[str, Sequence[Any]]) -> Iterable[RuntimeProfile]:
        """Every profile with one of the values of each setting; those with a fault are left out."""
        for values in itertools.product(*choices.values()):
            chosen = zip(choices, values, strict=True)
            profile = profile_of({name: value for name, value in chosen if value is not None})
            if profile.text not in self._raced or not self._raced[profile.text].fault:
                yield profile

    def _choices(self) -> dict[str, list[Any]]:
        """For each setting the value of the best profile, and those that are not decided against."""
        own = self.best.settings
        needed = {name for name in own if self._gained(alone(self.best, name)) > CLEARLY}
        fixed = {(name, own[name]) for name in needed}
        choices: dict[str, list[Any]] = {name: [value] for name, value in own.items()}
        for setting in self._settings:
            for name, value in setting.settings.items():
                values = choices.setdefault(name, [None])
                if name not in needed and name not in NOT_TOGETHER:
                    others = [None, value] if self._hopeful(setting) else [None]
                    values += [each for each in others if each not in values and self._open(name, each, fixed)]
        return choices

    def _open(self, name: str, value: Any, fixed: Set[tuple[str, Any]]) -> bool:
        """Whether a value of a setting may still be better than the best profile's; `fixed` is what that needs."""
        having = [each for each in self._raced.values() if each.profile.settings.get(name) == value]
        beside = [each for each in having if fixed <= each.profile.settings.items()]
        failed = len(having) > 1 and all(each.fault for each in having)
        if failed or (len(beside) > 1 and not set(self.near).intersection(beside)):
            return False  # whatever else they had
        a, b = (name, self.best.settings.get(name)), (name, value)
        deviation = self.effects.deviation(a, b)
        return deviation > EQUAL and self.effects.mean(a) - self.effects.mean(b) < UNDECIDED * deviation

    def _behind(self, profile: RuntimeProfile) -> bool:
        """Whether a profile was measured and is clearly slower than the best of what was."""
        known, candidate = self._known, self._raced.get(profile.text)
        if candidate is None or candidate not in known:
            return False
        fastest = self._fastest
        return known[candidate] < known[fastest] - UNDECIDED * known.deviation(candidate, fastest)

    def _gained(self, setting: RuntimeProfile) -> float:
        """What a setting gained alone, in standard deviations of it; 0 if it was not measured alone."""
        candidate = self._raced.get(setting.text)
        if candidate is None or candidate not in self._known:
            return 0.0
        apart = self._known[candidate] - self._known[self._default]
        return apart / self._known.deviation(candidate, self._default)

    def _hopeful(self, setting: RuntimeProfile) -> bool:
        """Whether a setting may gain beside others: alone it is not slower than the default beyond the noise."""
        return self._gained(setting) > -UNDECIDED

    def _more(self) -> list[RuntimeProfile]:
        """The best with one of the settings that are not switched on with all others, if no profile had that yet."""
        had = {item for each in self._raced.values() for item in each.profile.settings.items()}
        return [
            self.best.with_settings(each)
            for each in self._settings
            if NOT_TOGETHER & each.settings.keys() and not had & each.settings.items()
        ]

    def _neighbours(self, *, likely: bool) -> list[RuntimeProfile]:
        """What was not measured and differs from the best in one setting: the likely gains, or the others.

        It is unlikely that it gains to remove a setting that alone gained clearly, or to add one that alone lost. A
        setting whose effect is known is none of these.
        """
        own = self.best.settings
        found = [
            (without(self.best, name), self._gained(alone(self.best, name)) < CLEARLY)
            for name in own
            if name not in self.effects.varied
        ]
        found += [
            (self.best.with_settings(each), self._hopeful(each))
            for each in self._settings
            if not each.settings.items() <= own.items() and not self.effects.varied.keys() & each.settings.keys()
        ]
        return [profile for profile, hope in found if hope is likely and profile.text not in self._raced]
