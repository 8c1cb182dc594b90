"""Effects of settings: simulated processes of known truth, and what a design tells."""

from __future__ import annotations

import itertools
import math
import random
import statistics

import numpy as np
import pytest

from lenet.analysis.paired import TimedTurn
from lenet.analysis.tune.candidate import Candidate, Measured
from lenet.analysis.tune.effects import EFFECT, OWN, Effects
from lenet.analysis.tune.space import DEFAULT
from lenet.cases.case import RuntimeProfile

A, B, C = "operator_threads=1", "dispatch_threads=1", "dataset_workers=1"
ITEM = {A: ("operator_threads", 1), B: ("dispatch_threads", 1), C: ("dataset_workers", 1)}


def profile(*settings):
    return RuntimeProfile.parse("+".join(settings)) if settings else DEFAULT


ALL = [profile(*(text for bit, text in enumerate((A, B, C)) if number >> bit & 1)) for number in range(8)]


def measured(looks, truth, noise=0.0, drift=0.0, seed=0):
    """Candidates of looks, each a list of profiles; `truth` is the logarithm of a profile's rate."""
    chance = random.Random(seed)
    found = {}
    for number, look in enumerate(looks):
        moment = chance.gauss(0, drift)
        for each in look:
            rate = math.exp(truth(each) + moment + chance.gauss(0, noise))
            found.setdefault(each.text, Candidate(each)).raced.append(Measured(rate, group=f"{number}"))
    return list(found.values())


def additive(each, **effects):
    return 8.0 + sum(effects.get(name, 0.0) for name in each.settings)


def test_effects_of_a_balanced_design_are_those_of_the_truth():
    """Drawn towards 0 as far as what profiles add of their own may be the reason."""
    near = measured([ALL], lambda each: additive(each, operator_threads=-0.05, dispatch_threads=0.03))
    found = Effects(DEFAULT, near, 0.001)
    drawn = 1 / (1 + 4 / 8 * (OWN / EFFECT) ** 2)
    expected = [-0.05 * drawn, 0.03 * drawn, 0.0]
    assert [found.mean(ITEM[each]) for each in (A, B, C)] == pytest.approx(expected, rel=0.01, abs=1e-4)
    assert found.of(profile(A, B)) - found.of(profile()) == pytest.approx(-0.02, abs=0.001)


def test_the_moment_of_a_look_is_no_effect():
    """One setting is in one look only, which ran while the machine was 20% slower."""
    looks = [[profile(), profile(A)], [profile(B), profile(A, B), profile()]]
    near = measured(looks, lambda each: additive(each, operator_threads=0.03))
    for each in near:
        each.raced = [
            Measured(raced.images_per_second * (0.8 if raced.group == "1" else 1), group=raced.group)
            for raced in each.raced
        ]
    found = Effects(DEFAULT, near, 0.005)
    assert found.mean(ITEM[B]) == pytest.approx(0, abs=0.01)
    assert found.of(profile(A)) - found.of(profile()) == pytest.approx(0.03, abs=0.005)


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Effects, what profiles add of their own, moments and processes are as the model takes them to be."""
    held, noise = [], 0.04
    for seed in range(200):
        chance = random.Random(f"truth {seed}")
        effects = {ITEM[each][0]: chance.gauss(0, 0.03) for each in (A, B, C)}
        own = {each.text: chance.gauss(0, 0.025) for each in ALL}
        near = measured([ALL], lambda each: additive(each, **effects) + own[each.text], noise, 0.1, seed)  # noqa: B023
        for each in Effects(DEFAULT, near, noise).table():
            name = each.setting.split("=")[0]
            held.append(each.interval.low <= math.exp(effects[name]) <= each.interval.high)
    assert 0.92 <= statistics.fmean(held) <= 0.98  # 600 intervals at 95%


def test_where_processes_tell_little_what_there_is_stays():
    """The less they tell, the more an effect is drawn towards that of the profile to start from."""
    near = measured([ALL], lambda each: additive(each, operator_threads=-0.02))
    effects = [Effects(profile(A), near, noise).mean(ITEM[A]) for noise in (0.001, 0.05, 0.2)]
    assert effects == sorted(effects)
    assert effects[0] == pytest.approx(-0.015, abs=0.001)
    assert effects[-1] > 0
    assert Effects(DEFAULT, near, 0.2).mean(ITEM[B]) < 0, "what it does not have is not added"


def test_a_process_whose_turns_differ_much_weighs_less():
    def candidate(each, rate, turns):
        return Candidate(each, [Measured(rate, group="a", turns=tuple(TimedTurn(0, images, 1.0) for images in turns))])

    steady, wild = [1000] * 8, [300, 3000] * 4
    found = []
    for turns in (steady, wild):
        near = [candidate(profile(), 1000.0, steady), candidate(profile(A), 1060.0, turns)]
        found.append(Effects(DEFAULT, near, 0.01).mean(ITEM[A]))
    assert found[0] > 0.02 > 0.005 > found[1]


def test_what_is_the_same_in_all_has_no_effect():
    near = measured([[profile(A), profile(A, B)]], lambda each: additive(each, dispatch_threads=0.1))
    found = Effects(profile(A), near, 0.01)
    assert found.varied == {"dispatch_threads": [None, 1]}
    assert found.mean(ITEM[A]) == 0
    assert [each.setting for each in found.table()] == [B]


class TestADesign:
    start = Effects(DEFAULT, measured([[profile()]], additive), 0.04)

    def test_it_tells_more_than_one_setting_at_a_time(self):
        """The variance of effects by least squares, of 12 processes and five settings."""
        names = [A, B, C, "dataset_prefetch=2", "launch_blocking"]
        pool = [profile(*chosen) for count in range(6) for chosen in itertools.combinations(names, count)]
        designed = [profile(), *self.start.design([profile()], pool)[:11]]
        single = [profile(), *(profile(each) for each in names)] * 2
        worst = []
        for look in (designed, single):
            on = [[1.0, *(float(each in of.text.split("+")) for each in names)] for of in look]
            worst.append(np.diag(np.linalg.inv(np.transpose(on) @ on))[1:].max())
        assert worst[1] == pytest.approx(1.0)
        assert worst[0] < 0.45, "a third at best: 4 / 12"

    def test_no_two_settings_are_always_on_together(self):
        chosen = [profile(), *self.start.design([profile()], ALL)[:3]]
        levels = [[float(ITEM[text][0] in each.settings) for text in (A, B, C)] for each in chosen]
        correlations = np.abs(np.corrcoef(np.transpose(levels)) - np.eye(3))
        assert correlations.max() < 0.6

    def test_it_has_every_profile_once_and_not_what_is_measured_anyway(self):
        found = self.start.design([profile(A)], ALL)
        assert sorted(each.text for each in found) == sorted(each.text for each in ALL if each.text != A)

    def test_known_effects_are_not_asked_for_again(self):
        near = measured([[profile(), profile(A)]] * 8, additive)
        first, *_ = Effects(DEFAULT, near, 0.02).design([profile()], [profile(A), profile(B)])
        assert first == profile(B)


def test_what_gained_elsewhere_is_taken_to_gain_until_the_processes_say_otherwise():
    fast = "allocator=tcmalloc"
    item, few = ("allocator", "tcmalloc"), [[profile(), profile(fast)]]
    many = [[one for each in ALL for one in (each, each.with_settings(profile(fast)))] * 2]
    for looks, truth, low, high in ((few, 0.0, 0.02, 0.04), (many, 0.0, 0.0, 0.015), (many, -0.1, -0.1, -0.06)):
        near = measured(looks, lambda each, truth=truth: additive(each, allocator=truth))
        found = Effects(DEFAULT, near, 0.03)
        assert low < found.mean(item) < high
        shown = next(each for each in found.table() if each.setting == fast)
        assert shown.value == pytest.approx(math.exp(truth), rel=0.003)
