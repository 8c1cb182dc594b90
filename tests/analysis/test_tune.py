"""The search on simulated machines whose truth is known: noisy clocks, interacting settings, broken candidates."""

from __future__ import annotations

import dataclasses
import random

import pytest

from lenet.analysis.tune import CONFIRMING_PROCESSES, DEFAULT, Candidate, Measured, Search, beyond_noise, space
from lenet.cases.case import DeviceTarget, Mode, RuntimeProfile
from lenet.cases.frameworks import Framework

SETTINGS = [
    RuntimeProfile.parse(text)
    for text in (
        "onednn_isa=AVX2", "launch_blocking", "operator_threads=1", "dispatch_threads=1", "dataset_workers=1",
        "dataset_prefetch=2", "cpu_affinity=1",
    )
]  # fmt: skip


class Machine:
    """Gives a profile's true rate with noise; its clock goes on by what a measurement costs."""

    def __init__(self, truth, noise, seed, cost=10.0):
        self.truth, self.noise, self.cost = truth, noise, cost
        self.random = random.Random(seed)
        self.now = 1000.0
        self.asked = []

    def __call__(self, profile):
        self.now += self.cost
        self.asked.append(profile)
        answer = self.truth(profile)
        if isinstance(answer, Measured):
            return answer
        return Measured(answer * self.random.lognormvariate(0, self.noise))

    def search(self, budget=300.0, settings=SETTINGS):
        return Search(settings, self, lambda: self.now, budget).run()


def interacting(profile):
    """Blocking launch is worth 4 times, one operator thread is worth something only with it, affinity costs half."""
    rate = 500.0
    if profile.launch_blocking:
        rate *= 4
        rate *= 1.3 if profile.operator_threads == 1 else 1
    elif profile.operator_threads == 1:
        rate *= 0.98
    return rate * (0.5 if profile.cpu_affinity else 1)


@pytest.mark.parametrize("seed", range(20))
def test_it_finds_settings_that_gain_only_together(seed):
    outcome = Machine(interacting, 0.02, seed).search()
    assert outcome.winner.profile.launch_blocking
    assert outcome.winner.profile.operator_threads == 1
    assert outcome.winner.profile.cpu_affinity is None
    assert outcome.gain == pytest.approx(5.2, rel=0.1)
    assert len(outcome.winner.confirmed) == CONFIRMING_PROCESSES


def test_without_a_gain_the_default_wins():
    winners = [Machine(lambda profile: 1000.0, 0.05, seed).search().winner.profile for seed in range(100)]
    false_gains = sum(profile != DEFAULT for profile in winners)
    # Three finalists at most, each by chance above the default in all four processes once in 70 times.
    assert false_gains <= 8


def test_every_setting_is_measured_alone_and_the_default_twice():
    machine = Machine(interacting, 0.01, 1)
    outcome = machine.search()
    assert [each.profile for each in outcome.alone] == SETTINGS
    assert len(outcome.default.screened) == 2
    assert outcome.skipped == 0


@pytest.mark.parametrize("budget", [150.0, 200.0, 300.0])
def test_the_budget_is_kept(budget):
    machine = Machine(interacting, 0.02, 3)
    machine.search(budget)
    assert machine.now - 1000.0 <= budget + machine.cost


def test_a_small_budget_skips_settings_and_says_how_many():
    machine = Machine(interacting, 0.02, 3)
    outcome = machine.search(150.0)
    assert outcome.skipped > 0
    assert len(outcome.alone) + outcome.skipped >= len(SETTINGS)
    assert outcome.winner.profile.launch_blocking, "what little was tried is still confirmed"


def test_a_setting_that_changes_the_training_never_wins():
    def truth(profile):
        if profile.launch_blocking:
            return Measured(None, "its losses part from the default's at step 3")
        return 1000.0 * (1.5 if profile.operator_threads == 1 else 1)

    outcome = Machine(truth, 0.02, 4).search()
    assert outcome.winner.profile.operator_threads == 1
    assert not outcome.winner.profile.launch_blocking
    (faulty,) = [each for each in outcome.alone if each.fault]
    assert faulty.profile.launch_blocking


def test_a_candidate_that_fails_in_the_confirmation_is_out():
    seen = []

    def truth(profile):
        if profile.launch_blocking and profile.operator_threads is None:
            seen.append(profile)
            return 4000.0 if len(seen) == 1 else Measured(None, "crashed")
        return 1000.0

    outcome = Machine(truth, 0.001, 5).search()
    assert outcome.winner.profile.text != "launch_blocking"


def test_a_default_that_cannot_run_ends_the_search_at_once():
    machine = Machine(lambda profile: Measured(None, "unavailable"), 0, 1)
    outcome = machine.search()
    assert len(machine.asked) == 1
    assert outcome.winner.profile == DEFAULT
    assert outcome.default.fault == "unavailable"


def test_a_setting_without_effect_is_not_kept():
    gained = lambda profile: 3000.0 if profile.launch_blocking else 1000.0  # noqa: E731
    counts = [len(Machine(gained, 0.002, seed).search().winner.profile.settings) for seed in range(20)]
    assert counts.count(1) >= 15


def test_beyond_noise_needs_every_process_and_all_of_them():
    default = Candidate(DEFAULT, confirmed=[Measured(rate) for rate in (100, 101, 102, 103)])
    better = Candidate(SETTINGS[0], confirmed=[Measured(rate) for rate in (110, 111, 112, 113)])
    assert beyond_noise(better, default)
    better.confirmed[0] = Measured(102.5)
    assert not beyond_noise(better, default)
    better.confirmed[0] = Measured(110)
    better.confirmed.pop()
    assert not beyond_noise(better, default)
    tiny = Candidate(SETTINGS[0], confirmed=[Measured(rate) for rate in (103.1, 103.2, 103.3, 103.4)])
    assert not beyond_noise(tiny, default), "below 2 %"


class TestSpace:
    def texts(self, mode=Mode.PYNATIVE, cores=8, sets=("avx2", "avx512f"), device=DeviceTarget.CPU):
        return [each.text for each in space(Framework.MINDSPORE, device, mode, cores, sets)]

    def test_the_cap_to_avx2_needs_avx512(self):
        assert "onednn_isa=AVX2" in self.texts()
        assert not any("onednn_isa" in text for text in self.texts(sets=("avx", "avx2", "fma")))

    def test_no_more_threads_than_cores_and_none_that_is_the_default(self):
        texts = self.texts(cores=8)
        assert [text for text in texts if text.startswith("operator_threads")] == [
            f"operator_threads={count}" for count in (1, 2, 4)
        ]
        assert not any(text.startswith(("operator_threads", "cpu_affinity")) for text in self.texts(cores=1))

    def test_blocking_launch_is_tried_in_pynative_only(self):
        assert "launch_blocking" in self.texts(Mode.PYNATIVE)
        assert "launch_blocking" not in self.texts(Mode.GRAPH)

    def test_settings_of_the_cpu_are_tried_on_the_cpu_only(self):
        texts = self.texts(device=DeviceTarget.GPU)
        assert not any(text.startswith(("operator_threads", "onednn_isa", "cpu_affinity")) for text in texts)

    def test_a_machines_settings_are_few_and_within_it(self, machine_card):
        sets, cores = machine_card.instruction_sets, machine_card.usable_cores
        found = space(Framework.MINDSPORE, DeviceTarget.CPU, Mode.PYNATIVE, cores, sets)
        assert len({each.text for each in found}) == len(found) <= 16
        assert ("onednn_isa=AVX2" in {each.text for each in found}) is ("avx512f" in sets)
        for each in found:
            for name in ("operator_threads", "dataset_workers", "cpu_affinity"):
                assert each.settings.get(name, 0) < max(cores, 2)


def test_merged_profiles_keep_both_and_the_latter_wins():
    first, second = (
        RuntimeProfile.parse(text) for text in ("operator_threads=2+launch_blocking", "operator_threads=1")
    )
    both = first.with_settings(second)
    assert both.settings == {"operator_threads": 1, "launch_blocking": True}
    assert both == RuntimeProfile.parse(both.name.replace("avx2", "AVX2"))


def test_stored_measurements_cost_what_they_cost_when_they_were_measured():
    """A resumed search replays its measurements in no time, and still plans with the time that a new one takes."""
    fresh = Machine(interacting, 0.02, 1)
    fresh.search(budget=150)
    replay = Machine(interacting, 0.02, 1, cost=0.0)
    measured = Search(
        SETTINGS,
        lambda profile: dataclasses.replace(replay(profile), seconds=10.0),
        lambda: replay.now + 10.0 * len(replay.asked),
        150,
    ).run()
    assert replay.asked == fresh.asked
    assert measured.skipped
