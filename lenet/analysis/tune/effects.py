"""What each setting does to the fastest profiles: a model of their rates, and the design that tells most of it.

Profiles that are nearly as fast as the best differ in settings that change little each, and such changes hardly depend
on one another. Every process then tells something of every setting: n processes of a balanced design estimate each
effect as well as n/2 pairs with and without that setting would. Source: G. Box, J. Hunter and W. Hunter, Statistics for
Experimenters, 2nd edition, Wiley 2005, chapter 5 (factorial designs).

The model is linear in the logarithm of the rate: the effects of a profile's settings, what the profile adds of its own,
and the moment of its group. All have normal priors (ridge regression), so that what was hardly measured does nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from lenet.analysis.statistics import Array, Interval, t_quantile
from lenet.analysis.tune.candidate import DRIFT, Candidate, SettingEffect, rated_processes
from lenet.cases.profile import RuntimeProfile

EFFECT = 0.03
"""Prior standard deviation of the effect of a setting on the fastest profiles, as a logarithm: over all combinations of
four settings, recorded in PyNative and Graph mode, effects were 0 to 0.08 (docs/tuning.md)."""

VAGUE = 1.0
"""The same where only the processes shall tell."""

OWN = 0.025
"""Prior standard deviation of what a profile differs by from the sum of its settings' effects: up to 0.03 there."""

GAINED = {"allocator": 0.05}
"""Prior mean of the effects of settings that gained where they were measured, as a logarithm (docs/tuning.md)."""

KEPT = 2.0
"""Prior mean of what it costs to change a setting of the profile to start from, as a multiple of the variance of a
process: the less the processes tell, the more stays as it is."""

Item = tuple[str, Any]
"""A setting: its name and value. The value None is its absence, whose effect is 0."""


class Effects:
    """The effects of the settings in which profiles of similar speed differ."""

    def __init__(self, base: RuntimeProfile, near: Sequence[Candidate], noise: float) -> None:
        """The effects, from all processes of the race.

        Args:
            base: the profile to start from.
            near: at least one candidate with a rate.
            noise: standard deviation of the logarithm of the rates of two processes of one profile, besides what the
                turns of each tell.
        """
        self._base = base.settings
        self._noise = noise
        self._processes = rated_processes(near, noise)
        profiles = [each.candidate.profile.settings for each in self._processes]
        values = {
            name: list(dict.fromkeys(each.get(name) for each in profiles))
            for name in dict.fromkeys(name for settings in profiles for name in settings)
        }
        self.varied: dict[str, list[Any]] = {name: each for name, each in values.items() if len(each) > 1}
        """The values of each setting in which the profiles differ; None is its absence."""
        self._items = [(name, value) for name, each in self.varied.items() for value in each if value is not None]
        self._mean, self._covariance, self._own = self._fitted(self._items)

    def mean(self, item: Item) -> float:
        """The effect of a setting, as the logarithm of a factor.

        Of one in which the profiles do not differ it is what is expected of it, if that is a gain, or else 0.
        """
        if item in self._items:
            return float(self._mean[1 + self._items.index(item)])
        name, value = item
        return max(self._expected(item), 0.0) if value is not None and name not in self._base else 0.0

    def deviation(self, a: Item, b: Item) -> float:
        """Standard deviation of the difference of the effects of two values of a setting."""
        items = list(dict.fromkeys([*self._items, *(each for each in (a, b) if each[1] is not None)]))
        covariance = self._covariance if items == self._items else self._fitted(items)[1]
        contrast = np.zeros(len(covariance))
        for sign, item in ((1, a), (-1, b)):
            if item in items:
                contrast[1 + items.index(item)] += sign
        return math.sqrt(max(float(contrast @ covariance @ contrast), 0.0))

    def of(self, profile: RuntimeProfile) -> float:
        """What the profile's settings do together, as the logarithm of a factor: also what it adds of its own."""
        return sum(self.mean(item) for item in profile.settings.items()) + self._own.get(profile.text, 0.0)

    def table(self) -> list[SettingEffect]:
        """Each effect with its 95% interval, the largest first. Only the processes tell: no prior draws it to 0."""
        mean, covariance, _ = self._fitted(self._items, VAGUE)
        found = []
        for place, item in enumerate(self._items, 1):
            reach = t_quantile(math.inf) * math.sqrt(covariance[place, place])
            interval = Interval.around(mean[place], reach)
            text = RuntimeProfile.model_validate(dict([item])).text
            found.append(SettingEffect(text, math.exp(mean[place]), interval, len(self._processes)))
        return sorted(found, key=lambda each: -each.value)

    def design(self, first: Sequence[RuntimeProfile], pool: Sequence[RuntimeProfile]) -> list[RuntimeProfile]:
        """The profiles of `pool` in the order in which their processes tell most, beside those of `first`.

        The next one is always that whose rate is least certain after those before it (a D-optimal design, built step by
        step); of equal ones the first in `pool`.
        """
        used = (item for each in (*first, *pool) for item in each.settings.items())
        items = list(dict.fromkeys([*self._items, *used]))
        covariance = np.diag(np.full(len(items) + 2, DRIFT**2))  # the last one is of the look that is to come
        covariance[:-1, :-1] = self._fitted(items, VAGUE)[1]  # or extremes would be preferred to balance
        rows = {each.text: np.append(_row(each, items), 1.0) for each in (*first, *pool)}
        for each in first:
            covariance = self._after(covariance, rows[each.text])
        left, found = {each.text: each for each in pool if each not in first}, []
        while left:
            text = max(left, key=lambda text: round(float(rows[text] @ covariance @ rows[text]), 9))
            found.append(left.pop(text))
            covariance = self._after(covariance, rows[text])
        return found

    def _after(self, covariance: Array, row: Array) -> Array:
        """The covariance once a process with that row of the design has been measured."""
        seen = covariance @ row
        left: Array = covariance - np.outer(seen, seen) / (self._noise**2 + OWN**2 + row @ seen)
        return left

    def _fitted(self, items: Sequence[Item], effect: float = EFFECT) -> tuple[Array, Array, dict[str, float]]:
        """Mean and covariance of the intercept and the effects of the items, and what each profile adds of its own.

        `effect` is the prior standard deviation of the effects.
        """
        groups = list(dict.fromkeys(each.group for each in self._processes))
        texts = list(dict.fromkeys(each.candidate.profile.text for each in self._processes))
        rows = np.array(
            [
                [
                    *_row(each.candidate.profile, items),
                    *(float(each.candidate.profile.text == text) for text in texts),
                    *(float(each.group == group) for group in groups),
                ]
                for each in self._processes
            ]
        )
        prior = np.repeat([1.0, effect, OWN, DRIFT], [1, len(items), len(texts), len(groups)])
        expected = np.zeros(len(prior))
        expected[1 : 1 + len(items)] = [self._expected(item) for item in items]
        weighted = rows.T / [each.deviation**2 for each in self._processes]
        covariance = np.linalg.inv(np.diag(prior**-2) + weighted @ rows)
        beyond = np.array([each.rate for each in self._processes]) - rows @ expected
        mean = expected + covariance @ weighted @ (beyond - beyond.mean())
        kept = 1 + len(items)
        own = dict(zip(texts, map(float, mean[kept:]), strict=False))
        return mean[:kept], covariance[:kept, :kept], own

    def _expected(self, item: Item) -> float:
        """The prior mean of an effect: what gained elsewhere is favoured, and the values of the start."""
        name, value = item
        gained = GAINED.get(name, 0.0)
        if self._base.get(name) == value:
            return gained + KEPT * self._noise**2
        return gained if name in self._base else gained - KEPT * self._noise**2


def _row(profile: RuntimeProfile, items: Iterable[Item]) -> Array:
    """The intercept, and whether the profile has each item."""
    settings = profile.settings
    return np.array([1.0, *(float(settings.get(name) == value) for name, value in items)])
