"""The standing of a race: where the next look starts from, and which profiles it has."""

from __future__ import annotations

import pytest

from lenet.analysis.tune.candidate import Candidate, Measured
from lenet.analysis.tune.space import DEFAULT, together
from lenet.analysis.tune.standing import BEFORE_MORE, Standing
from lenet.cases.case import RuntimeProfile

SETTINGS = [
    RuntimeProfile.parse(text)
    for text in ("onednn_isa=AVX2", "launch_blocking", "operator_threads=1", "dataset_workers=1", "cpu_affinity=1")
]


def standing(rates, start="default", noise=0.03, settings=SETTINGS):
    """That of one look, from images/s by profile; None is a fault."""
    candidates = {
        text: Candidate(RuntimeProfile.parse(text), [Measured(rate, fault="" if rate else "crashed", group="look")])
        for text, rate in rates.items()
    }
    return Standing(settings, candidates.values(), candidates["default"], candidates[start], noise)


def texts(profiles):
    return [each.text for each in profiles]


@pytest.mark.parametrize(("everything", "expected"), [(1030, "onednn_isa=AVX2"), (2000, "everything")])
def test_of_equal_profiles_the_one_with_fewest_settings_is_the_start(everything, expected):
    everything_on = together(SETTINGS).text
    found = standing({"default": 100, everything_on: everything, "onednn_isa=AVX2": 1000})
    assert found.start.profile.text == expected.replace("everything", everything_on)


def test_the_start_stays_unless_another_is_clearly_ahead():
    rates = {"default": 100, "onednn_isa=AVX2": 1000, "onednn_isa=AVX2+operator_threads=1": 1040}
    assert standing(rates, "onednn_isa=AVX2").start.profile.text == "onednn_isa=AVX2"
    rates["onednn_isa=AVX2+operator_threads=1"] = 1500
    assert standing(rates, "onednn_isa=AVX2").start.profile.text == "operator_threads=1+onednn_isa=AVX2"


def test_a_setting_that_gains_clearly_alone_stays_in_every_profile():
    everything_on = together(SETTINGS).text
    found = standing({"default": 100, everything_on: 1000, "onednn_isa=AVX2": 220, "launch_blocking": 230})
    proposed = found.next()
    assert proposed[0] == found.best == together(SETTINGS)
    assert all(each.onednn_isa and each.launch_blocking for each in proposed)
    assert {each.operator_threads for each in proposed} == {each.dataset_workers for each in proposed} == {None, 1}


def test_a_setting_that_takes_cores_away_is_tried_once_and_alone_beside_the_best():
    everything_on = together(SETTINGS).text
    rates = {"default": 100, everything_on: 1000, "onednn_isa=AVX2": 220, "launch_blocking": 230}
    found = standing(rates).next()
    (tried,) = [each for each in found if each.cpu_affinity]
    assert found.index(tried) == BEFORE_MORE, "after those that tell of other settings too"
    assert tried.settings == {**found[0].settings, "cpu_affinity": 1}
    again = standing({**rates, tried.text: 900}).next()
    assert not any(each.cpu_affinity for each in again)


def test_a_value_that_is_slow_whatever_else_there_is_is_not_tried_again():
    rates = {
        "default": 100,
        "onednn_isa=AVX2": 1000,
        "onednn_isa=AVX2+operator_threads=1": 500,
        "onednn_isa=AVX2+operator_threads=1+dataset_workers=1": 510,
    }
    assert not any(each.operator_threads for each in standing(rates).next())


class TestWhatGainedElsewhere:
    """The allocator gained where it was measured. Here the fastest is so far ahead that nothing near it has it."""

    settings = (*SETTINGS, RuntimeProfile.parse("allocator=tcmalloc"))

    def best(self, **more):
        rates = {"default": 100, "onednn_isa=AVX2": 1000, together(self.settings).text: 500, **more}
        return standing(rates, settings=self.settings).best.text

    @pytest.mark.parametrize("alone", [None, 103, 97])
    def test_it_is_in_the_best_while_nothing_speaks_against_it(self, alone):
        more = {"allocator=tcmalloc": alone} if alone else {}
        assert self.best(**more) == "onednn_isa=AVX2+allocator=tcmalloc"

    def test_what_is_slow_alone_is_not(self):
        assert self.best(**{"allocator=tcmalloc": 60}) == "onednn_isa=AVX2"

    def test_what_was_measured_beside_the_fastest_decides(self):
        assert self.best(**{"onednn_isa=AVX2+allocator=tcmalloc": 850}) == "onednn_isa=AVX2"

    def test_what_failed_is_not(self):
        rates = {"default": 100, "onednn_isa=AVX2": 1000, "onednn_isa=AVX2+allocator=tcmalloc": None}
        assert standing(rates, settings=self.settings).best.text == "onednn_isa=AVX2"


def test_what_failed_is_not_proposed():
    rates = {"default": 100, "onednn_isa=AVX2": 1000, "launch_blocking": None, together(SETTINGS).text: None}
    found = standing(rates)
    assert found.best.text == "onednn_isa=AVX2"
    assert found.next()
    assert not any(each.launch_blocking for each in found.next()), "with all others and alone it failed"


def test_a_setting_that_gains_less_than_two_percent_is_not_added():
    def best(gain):
        rates = {"default": 100, "onednn_isa=AVX2": 1000, "onednn_isa=AVX2+operator_threads=1": 1000 * gain}
        return standing(rates, "onednn_isa=AVX2", noise=0.001).best

    assert best(1.015).text == "onednn_isa=AVX2"
    assert best(1.06).text == "operator_threads=1+onednn_isa=AVX2"


def test_without_a_gain_the_default_is_the_best():
    found = standing({"default": 1000, **{each.text: 1000 for each in SETTINGS}})
    assert found.best.settings == DEFAULT.settings
    assert found.start.profile.text == "default"


def test_what_is_decided_is_followed_by_the_neighbours():
    """Nothing but removals and what was never measured is left."""
    settings = SETTINGS[:1]
    found = standing({"default": 100, "onednn_isa=AVX2": 1000}, settings=settings)
    assert texts(found.next()) == ["onednn_isa=AVX2"]
    found = standing({"default": 100, "onednn_isa=AVX2": 1000}, settings=SETTINGS[:2], noise=0.001)
    assert set(texts(found.next())) >= {"launch_blocking+onednn_isa=AVX2"}
