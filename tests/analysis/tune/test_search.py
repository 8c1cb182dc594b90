"""The search on machines whose truth is known: a measured landscape, interacting settings, broken candidates."""

from __future__ import annotations

import dataclasses
import json
import math
import random
from pathlib import Path
from statistics import harmonic_mean

import numpy as np
import pytest
from scipy.stats import gmean, ttest_1samp

from lenet.analysis.paired import LEAST_GROUPS, TimedTurn
from lenet.analysis.tune.candidate import LEAST_RACED_TURNS, NOISE, Measured
from lenet.analysis.tune.search import (
    FIRST_ALIVE,
    LEAST_MEASUREMENTS,
    MOST_ALIVE,
    MOST_GROUPS,
    PROCESS_SECONDS,
    Search,
)
from lenet.analysis.tune.space import DEFAULT, space, together, without
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
    """Gives a profile's true rate, off by `of_look` and by `of_process`; its clock goes on by what a process costs."""

    def __init__(self, truth, of_process=lambda: 1.0, of_look=lambda: 1.0, seconds=4.0):
        self.truth, self.of_process, self.of_look, self.seconds = truth, of_process, of_look, seconds
        self.now = 1000.0
        self.looks = []

    def __call__(self, look):
        self.looks.append(look)
        assert self.now <= look.deadline, "the look is not begun when its time is over"
        self.now += self.seconds * len(look.profiles)
        moment = self.of_look()
        return [self.measured(profile, moment) for profile in look.profiles]

    def measured(self, profile, moment):
        answer = self.truth(profile)
        if isinstance(answer, Measured):
            return answer
        rate = answer * moment * self.of_process()
        turns = (TimedTurn(0, round(rate * 1000), 1000.0),) * LEAST_RACED_TURNS
        return Measured(rate, group=f"group{len(self.looks)}", turns=turns, seconds=self.seconds)

    @property
    def raced(self):
        return [profile.text for look in self.looks if not look.confirms for profile in look.profiles]

    @property
    def confirmations(self):
        return [look for look in self.looks if look.confirms]

    def search(self, budget=300.0, settings=SETTINGS, noise=0.05, **options):
        return Search(settings, self, lambda: self.now, budget, noise=noise, **options).run()


def scatter(seed, deviation):
    """Factors whose logarithm has that standard deviation."""
    generator = random.Random(seed)
    return lambda: generator.lognormvariate(0, deviation)


class Landscape:
    """Images/s of each process of 16 profiles of a machine, in one mode; processes at the same place took turns."""

    def __init__(self, file, mode):
        measured = json.loads(file.read_text(encoding="utf-8"))["images_per_second"]
        self.rates = {
            frozenset(RuntimeProfile.parse(text).settings.items()): np.atleast_1d(rates[mode.value])
            for text, rates in measured.items()
        }
        self.best = max(self.rates.values(), key=gmean)

    def truth(self, profile):
        """The profile's rate, over all its processes."""
        return float(gmean(self.rates[frozenset(profile.settings.items())]))

    def reaches_the_best(self, profile):
        """Whether it has 95% of the best's speed, or its processes do not show that it is slower than that."""
        rates = self.rates[frozenset(profile.settings.items())]
        together = min(len(rates), len(self.best))
        lead = np.log(rates[:together]) - np.log(0.95 * self.best[:together])
        return self.truth(profile) >= 0.95 * gmean(self.best) or (
            together >= LEAST_GROUPS and ttest_1samp(lead, 0, alternative="less").pvalue > 0.025
        )


@pytest.fixture(params=sorted(Path(__file__).parent.glob("landscape-*.json")), ids=lambda file: file.stem)
def landscape(request):
    """The landscape of a machine in a mode."""
    return lambda mode: Landscape(request.param, mode)


class TestTheMeasuredLandscapes:
    """16 profiles of machines with AVX-512, in a space that has no other settings than the table."""

    def found(self, landscape, mode, of_process, of_look=lambda: 1.0, measurements=12, more=(), **options):
        """Whether the confirmed winner of a race reaches the table's best; `more` is added to the space."""
        table = landscape(mode)
        known = frozenset().union(*table.rates)
        offered = space(Framework.MINDSPORE, DeviceTarget.CPU, mode, 2, ["avx2", "avx512f"])
        settings = [each for each in (*more, *offered) if each.settings.items() <= known]
        machine = Machine(table.truth, of_process, of_look)
        result = machine.search(settings=settings, measurements=measurements, **options)
        assert result.raced == len(machine.raced) <= measurements
        return table.reaches_the_best(result.winner.profile)

    @pytest.mark.parametrize("mode", [Mode.PYNATIVE, Mode.GRAPH, Mode.JIT])
    def test_the_table_tells_profiles_apart(self, landscape, mode):
        table = landscape(mode)
        reach = [each for each in table.rates if table.reaches_the_best(RuntimeProfile(**dict(each)))]
        assert 1 <= len(reach) <= 8
        assert frozenset() not in reach

    @pytest.mark.parametrize("mode", [Mode.PYNATIVE, Mode.GRAPH, Mode.JIT])
    def test_the_best_is_found_though_each_process_is_off_by_up_to_20_percent(self, landscape, mode):
        """Each for itself, so that nothing cancels: harder than workers that take turns."""
        found = 0
        for seed in range(20):
            generator = random.Random(seed)
            off = lambda generator=generator: generator.uniform(0.8, 1.2)  # noqa: E731
            found += self.found(landscape, mode, off, noise=0.2 / math.sqrt(3))
        assert found >= 19

    @pytest.mark.parametrize("mode", [Mode.PYNATIVE, Mode.GRAPH, Mode.JIT])
    def test_the_best_is_found_though_the_machine_drifts_by_20_percent_between_looks(self, landscape, mode):
        """Which all members of a look share, as workers that take turns do; each differs by 4% of its own."""
        found = [self.found(landscape, mode, scatter(seed, 0.04), scatter(seed + 100, 0.2)) for seed in range(20)]
        assert sum(found) >= 19

    def test_a_best_that_is_two_removals_from_everything_together_takes_a_longer_race(self, landscape):
        """With blocking launch in the space of Graph mode, each single removal from all four settings loses."""
        longer = {"measurements": 30, "more": [RuntimeProfile.parse("launch_blocking")]}
        found = [
            self.found(landscape, Mode.GRAPH, scatter(seed, 0.04), scatter(seed + 100, 0.2), **longer)
            for seed in range(20)
        ]
        assert sum(found) >= 18


PROCESSES = {Mode.PYNATIVE: 14, Mode.GRAPH: 17}
"""Of a race, as many as the default budget holds on the machine of all combinations."""
FIXES = {Mode.PYNATIVE: "onednn_isa=AVX2+launch_blocking", Mode.GRAPH: "onednn_isa=AVX2"}


class TestAllCombinations:
    """The whole space of a machine, in which all combinations beside the fixes were measured: they are near each other.

    Beside less than the fixes, the other settings are taken to do the same, and the fixes what the landscape says.
    """

    here = Path(__file__).parent

    def measured(self, name, mode):
        """Images/s of each process, by settings."""
        content = json.loads((self.here / f"{name}-dd7541b6.json").read_text(encoding="utf-8"))
        return {
            frozenset(RuntimeProfile.parse(text).settings.items()): np.array(each)
            for text, each in content["images_per_second"][mode.value].items()
        }

    def truth(self, mode):
        rates = {settings: float(gmean(each)) for settings, each in self.measured("combinations", mode).items()}
        fixes = RuntimeProfile.parse(FIXES[mode])
        all_fixes = frozenset(fixes.settings.items())
        of_affinity = rates[all_fixes | {("cpu_affinity", 1)}] / rates[all_fixes]
        landscape = Landscape(self.here / "landscape-dd7541b6.json", mode)

        def rate(profile):
            beside_fixes = {**profile.settings, **fixes.settings}
            affinity = beside_fixes.pop("cpu_affinity", None)
            fixed = RuntimeProfile(**dict(profile.settings.items() & all_fixes))
            less = landscape.truth(fixed) / landscape.truth(fixes)
            return rates[frozenset(beside_fixes.items())] * less * (of_affinity if affinity else 1)

        return rate, max(rates.values())

    def offered(self, mode, allocators):
        """The whole space of that machine."""
        settings = space(Framework.MINDSPORE, DeviceTarget.CPU, mode, 2, ["avx2", "avx512f"], allocators)
        assert len(settings) == len(FIXES[mode].split("+")) + 3 + len(allocators)
        return settings

    def reached(self, mode, truth, best, allocators=()):
        """In how many of 40 searches, with the noise of processes there, the winner has 95% of the best speed."""
        settings = self.offered(mode, allocators)
        count = 0
        for seed in range(40):
            machine = Machine(truth, scatter(seed, 0.035), scatter(seed + 100, 0.1))
            found = machine.search(settings=settings, measurements=PROCESSES[mode], noise=0.035)
            count += truth(found.winner.profile) >= 0.95 * best
        return count

    @pytest.mark.parametrize("mode", list(PROCESSES))
    def test_95_percent_of_the_best_are_reached(self, mode):
        assert self.reached(mode, *self.truth(mode)) >= 37

    def allocator(self, mode):
        """How many times faster the allocator is, over the combinations of two other settings."""
        rates, item = self.measured("allocator", mode), ("allocator", "tcmalloc")
        return float(gmean([rates[each | {item}] / rates[each] for each in rates if item not in each], axis=None))

    def with_allocator(self, mode, gain=None):
        """The truth, and the best speed, of a space with the allocator, which gains as there or so many times."""
        beside, best = self.truth(mode)
        gain = gain or self.allocator(mode)
        assert gain > 1

        def rate(profile):
            others = without(profile, "allocator") if profile.allocator else profile
            return beside(others) * (gain if profile.allocator else 1)

        return rate, best * gain

    def test_24_groups_of_whole_step_jit_do_not_tell_whether_the_allocator_gains(self):
        """So both profiles are the best known there (docs/tuning.md)."""
        without_it, with_it = self.measured("allocator", Mode.JIT).values()
        found = ttest_1samp(np.log(with_it / without_it), 0).confidence_interval(0.95)
        assert len(with_it) == 24
        assert found.low < 0 < math.log(1.02) < (found.low + found.high) / 2

    @pytest.mark.parametrize("mode", list(PROCESSES))
    @pytest.mark.parametrize("gain", [None, 1.055])
    def test_they_are_reached_with_an_allocator_too(self, mode, gain):
        """A gain of 5% is hardly seen in so few processes; the prior mean finds it. None: what it gained there."""
        truth, best = self.with_allocator(mode, gain)
        assert self.reached(mode, truth, best, ["tcmalloc"]) >= 37

    def test_they_are_reached_though_a_slow_process_has_two_turns_and_every_turn_scatters(self):
        """As in real races, whose turns of a tenth of a second differ by a sixth."""
        truth, best = self.with_allocator(Mode.PYNATIVE)
        settings = self.offered(Mode.PYNATIVE, ["tcmalloc"])
        count = 0
        for seed in range(100):
            found = RacingMachine(truth, seed).search(settings=settings, measurements=16, noise=NOISE)
            count += truth(found.best.profile) >= 0.95 * best
        assert count >= 95

    def test_they_are_reached_in_time_though_the_default_warms_up_for_15_s(self):
        """Slower than usual, as on a busy machine: the time that is kept for the confirmation leaves a race."""
        truth, best = self.with_allocator(Mode.PYNATIVE)
        settings = self.offered(Mode.PYNATIVE, ["tcmalloc"])
        reached = confirmed = 0
        for seed in range(40):
            machine = UnevenMachine(lambda profile: 0.6 * truth(profile), seed, warm_up_images=1920)
            machine.of_process = scatter(seed, 0.035)
            outcome = machine.search(145.0, settings=settings, noise=0.035, warm_up_images=1920)
            reached += truth(outcome.best.profile) >= 0.95 * best
            confirmed += outcome.winner is outcome.best
        assert reached >= 30
        assert confirmed == 40


class RacingMachine(Machine):
    """Ends a process of a race after two turns if it is five times slower than the fastest, and else after 17."""

    def __init__(self, truth, seed):
        super().__init__(truth, scatter(seed, 0.02), scatter(seed + 100, 0.1))
        self.of_turn = scatter(seed + 200, 0.165)

    def measured(self, profile, moment):
        found = super().measured(profile, moment)
        fastest = max(map(self.truth, self.looks[-1].profiles))
        hopeless = not self.looks[-1].confirms and self.truth(profile) * 5 < fastest
        rates = [found.images_per_second * self.of_turn() for _ in range(2 if hopeless else 17)]
        turns = tuple(TimedTurn(cycle, round(rate * 1000), 1000.0) for cycle, rate in enumerate(rates))
        return dataclasses.replace(found, images_per_second=harmonic_mean(rates), turns=turns)


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
def test_it_finds_settings_that_gain_only_together_and_none_that_costs(seed):
    outcome = Machine(interacting, scatter(seed, 0.02), scatter(seed + 100, 0.1)).search()
    winner = outcome.winner.profile
    assert (winner.launch_blocking, winner.operator_threads, winner.cpu_affinity) == (True, 1, None)
    assert outcome.gain.value == pytest.approx(5.2, rel=0.1)
    assert LEAST_GROUPS <= outcome.gain.groups == len(outcome.winner.confirmed)


def test_two_settings_that_both_must_be_there_are_found():
    """Neither gains alone, as an instruction set and blocking launch may: the search starts from all together too."""

    def truth(profile):
        return 3000.0 if profile.launch_blocking and profile.onednn_isa else 200.0

    assert {"launch_blocking", "onednn_isa"} <= Machine(truth, scatter(1, 0.03)).search().winner.profile.settings.keys()


def test_a_race_that_ends_by_itself_is_not_short():
    assert not Machine(interacting, scatter(1, 0.02)).search(budget=1000).short
    few = Machine(interacting, scatter(1, 0.02))
    assert not few.search(settings=SETTINGS[:2], budget=1000, measurements=8).short
    assert len(few.raced) < LEAST_MEASUREMENTS


def test_without_a_gain_the_default_wins():
    outcomes = [Machine(lambda profile: 1000.0, scatter(seed, 0.05)).search() for seed in range(100)]
    # A confirmation is wrong once in 40 times at its level of 95%, on the side that counts.
    assert sum(each.winner is not each.default for each in outcomes) <= 6


def test_a_setting_without_effect_is_seldom_kept():
    gained = lambda profile: 3000.0 if profile.launch_blocking else 1000.0  # noqa: E731
    counts = [len(Machine(gained, scatter(seed, 0.01)).search().winner.profile.settings) for seed in range(20)]
    assert min(counts) == 1
    assert sum(counts) <= 2 * len(counts)


def test_each_look_has_the_default_or_the_best_so_far():
    machine = Machine(interacting, scatter(1, 0.02))
    result = machine.search()
    first, *later = [look for look in machine.looks if not look.confirms]
    assert [each.text for each in first.profiles] == [
        "default",
        together(SETTINGS).text,
        *(each.text for each in SETTINGS[: FIRST_ALIVE - 2]),
    ]
    assert later
    for look in later:
        assert interacting(look.profiles[0]) >= 0.95 * interacting(result.winner.profile)


@pytest.mark.parametrize("alive", [2, 3, 5, None])
def test_no_look_has_more_members_than_may_be_alive(alive):
    machine = Machine(interacting, scatter(1, 0.02))
    outcome = machine.search(budget=1000, alive=alive)
    assert max(len(look.profiles) for look in machine.looks if not look.confirms) <= (alive or MOST_ALIVE)
    assert outcome.winner.profile.launch_blocking


@pytest.mark.parametrize("seconds", [1.0, 4.0, 7.0])
@pytest.mark.parametrize("budget", [60.0, 150.0, 400.0])
def test_the_budget_is_kept_with_the_confirmation(budget, seconds):
    machine = Machine(interacting, scatter(3, 0.02), seconds=seconds)
    outcome = machine.search(budget)
    # Before the first look nobody knows what a process takes.
    first = len(machine.looks[0].profiles) * max(0.0, seconds - PROCESS_SECONDS)
    assert machine.now - 1000.0 <= budget + first
    if budget >= 150:
        assert len(machine.confirmations) >= LEAST_GROUPS
        assert outcome.winner.profile.launch_blocking


def test_the_warm_up_of_a_slow_default_is_part_of_the_plan():
    """Confirming needs minutes here: more of the time is kept for it, and the race has less."""
    quick, slow = (Machine(interacting, scatter(3, 0.02)) for _ in range(2))
    quick.search(200)
    slow.search(200, warm_up_images=10_000)
    assert len(slow.raced) < len(quick.raced)


def test_the_time_kept_is_that_of_the_default_and_the_best():
    """Which is fast here, so that a second look fits beside three groups, of which each needs a long warm-up."""
    machine = Machine(interacting, scatter(3, 0.02))
    machine.search(200, warm_up_images=15_000)  # 30 s of the default, 4 to 8 s of what has blocking launch
    assert len(machine.looks) - len(machine.confirmations) >= 2
    assert len(machine.confirmations) >= LEAST_GROUPS


class UnevenMachine(Machine):
    """Whose processes warm up before a confirmation, and whose looks take up to 30% less or more than they should.

    What the time is over for is ended, with what it has; before the first turn that is nothing.
    """

    def __init__(self, truth, seed, warm_up_images, slow=1.0):
        super().__init__(truth, scatter(seed, 0.04), scatter(seed + 100, 0.1), seconds=0.0)
        self.pace = random.Random(seed)
        self.warm_up_images = warm_up_images
        self.slow = slow
        """How many times slower a process is while it warms up, and in every second turn."""

    def __call__(self, look):
        began = self.now
        found = super().__call__(look)
        pace = self.pace.uniform(0.7, 1.3)
        turns = len(look.profiles) * 2.4
        before = len(look.profiles) * 2.0
        if look.confirms:
            before += sum(self.warm_up_images / self.truth(profile) for profile in look.profiles) * self.slow
        self.now = min(began + (before + turns) * pace, look.deadline)
        return found if began + before * pace < look.deadline else [Measured(None) for _ in found]

    def measured(self, profile, moment):
        found = super().measured(profile, moment)
        rate = found.images_per_second
        turns = tuple(
            TimedTurn(0, round(each * 1000), 1000.0) for each in (rate / self.slow, rate, rate * self.slow) * 2
        )
        return dataclasses.replace(found, turns=turns)


@pytest.mark.parametrize(("both", "slow"), [(10, 1.0), (15, 1.0), (5, 1.5), (7, 1.7)])
def test_a_large_gain_is_confirmed_in_time(both, slow):
    """The default takes 11 s or more to warm up for each group, and no look takes exactly what the one before took.

    Where slow and fast turns alternate, as in whole-step jit, the mean of the race says little of the warm-up.
    """

    def truth(profile):
        gains = (2.4 if profile.onednn_isa else 1) * (2.6 if profile.launch_blocking else 1)
        return 170.0 * (both if profile.onednn_isa and profile.launch_blocking else gains)

    confirmed = 0
    for seed in range(50):
        machine = UnevenMachine(truth, seed, warm_up_images=1920, slow=slow)
        outcome = machine.search(150.0, warm_up_images=1920)
        assert machine.now <= 1150.0
        confirmed += {"onednn_isa", "launch_blocking"} <= outcome.winner.profile.settings.keys()
    assert confirmed == 50


def test_where_turns_alternate_too_much_to_tell_profiles_apart_the_simpler_one_is_confirmed():
    """Both settings are worth 4 times and one of them 2.4 times, but six turns that differ 2.9 times do not show it."""

    def truth(profile):
        return 170.0 * ((4 if profile.launch_blocking else 2.4) if profile.onednn_isa else 1)

    winners = [
        UnevenMachine(truth, seed, 1920, slow=1.7).search(150.0, warm_up_images=1920).winner.profile.text
        for seed in range(20)
    ]
    assert "default" not in winners
    assert winners.count("onednn_isa=AVX2") > 10


def test_where_fast_and_slow_turns_alternate_more_of_the_time_is_for_the_confirmation():
    """Such processes differ so much that three groups show little."""

    def groups(slow, seed):
        machine = UnevenMachine(interacting, seed, warm_up_images=1500 / slow, slow=slow)
        return machine.search(150.0, warm_up_images=1500 / slow).gain.groups

    steady, alternating = (sum(groups(slow, seed) for seed in range(20)) for slow in (1.0, 2.0))
    assert alternating > steady + 5, "though a process warms up in the same time"


@pytest.mark.parametrize(("seconds", "groups"), [(4.0, MOST_GROUPS), (12.0, LEAST_GROUPS)])
def test_there_are_as_many_groups_as_there_is_time_for_however_long_they_were_expected_to_take(seconds, groups):
    """A group is expected to take 8 s, and the race leaves time for three of 10 s."""
    machine = Machine(interacting, scatter(3, 0.02))

    def measure(look):
        began = machine.now
        found = machine(look)
        if look.confirms:
            machine.now = began + seconds
        return found

    outcome = Search(SETTINGS, measure, lambda: machine.now, 150.0).run()
    assert len(machine.confirmations) == groups == outcome.gain.groups


def test_a_small_budget_names_the_settings_that_were_not_tried():
    outcome = Machine(interacting, scatter(3, 0.02)).search(40.0)
    tried = {name for each in outcome.tried for name in each.profile.settings}
    assert outcome.untried
    assert outcome.short
    assert not {text.split("=")[0] for text in outcome.untried} & tried


def test_what_was_not_confirmed_is_not_the_winner():
    outcome = Machine(interacting, seconds=6.0).search(30.0)
    assert outcome.best.profile.launch_blocking
    assert outcome.gain is None
    assert outcome.winner is outcome.default


def test_a_setting_that_changes_the_training_never_wins():
    def truth(profile):
        if profile.launch_blocking:
            return Measured(None, "its losses part from the default's at step 3")
        return 1000.0 * (1.5 if profile.operator_threads == 1 else 1)

    outcome = Machine(truth, scatter(4, 0.02)).search()
    assert outcome.winner.profile.operator_threads == 1
    assert not outcome.winner.profile.launch_blocking
    faulty = [each for each in outcome.tried if each.fault]
    assert faulty
    assert all(each.profile.launch_blocking for each in faulty)


def test_a_candidate_that_fails_in_the_confirmation_is_out():
    machine = Machine(lambda profile: 4000.0 if profile.launch_blocking else 1000.0, scatter(5, 0.001))
    honest = machine.truth

    def truth(profile):
        if machine.confirmations and profile.launch_blocking:
            return Measured(None, "crashed")
        return honest(profile)

    machine.truth = truth
    outcome = machine.search()
    assert outcome.best.fault == "crashed"
    assert outcome.winner is outcome.default


def test_a_confirmation_that_the_time_cut_short_holds_from_three_groups_on():
    machine = Machine(lambda profile: 4000.0 if profile.launch_blocking else 1000.0, scatter(5, 0.02))
    honest = machine.truth
    machine.truth = lambda profile: honest(profile) if len(machine.confirmations) <= LEAST_GROUPS else Measured(None)
    outcome = machine.search(1000)
    assert len(machine.confirmations) > LEAST_GROUPS
    assert outcome.gain.groups == LEAST_GROUPS
    assert outcome.winner.profile.launch_blocking


def test_a_default_that_cannot_run_ends_the_search_at_once():
    machine = Machine(lambda profile: Measured(None, "unavailable"))
    outcome = machine.search()
    assert len(machine.looks) == 1
    assert outcome.winner.profile == DEFAULT
    assert outcome.default.fault == "unavailable"


def near_equal(profile):
    """Blocking launch is worth 4 times; beside it one operator thread costs 10% and one dispatch thread gains 8%."""
    rate = 2000.0 if profile.launch_blocking else 500.0
    return rate * (0.9 if profile.operator_threads else 1) * (1.08 if profile.dispatch_threads else 1)


def test_it_says_what_each_setting_does_to_the_fastest_profiles():
    outcome = Machine(near_equal, scatter(1, 0.01)).search(noise=0.01)
    effects = {each.setting: each for each in outcome.effects}
    assert [outcome.effects[0].setting, outcome.effects[-1].setting] == ["dispatch_threads=1", "operator_threads=1"]
    assert effects["operator_threads=1"].interval.high < 1 < effects["dispatch_threads=1"].interval.low
    assert "launch_blocking" not in effects, "what gains four times is in all of the fastest"


def test_small_effects_add_up_to_the_best():
    """Within a quarter of the best all settings are told apart together: no pair of processes could show 8%."""
    shares = []
    for seed in range(20):
        winner = Machine(near_equal, scatter(seed, 0.03), scatter(seed + 100, 0.1)).search(noise=0.03).winner.profile
        shares.append(near_equal(winner) / (2000.0 * 1.08))
    assert sum(share >= 0.95 for share in shares) >= 19


def test_stored_measurements_cost_what_they_cost_when_they_were_measured():
    """A resumed search replays its looks in no time, and still plans with the time that a new one takes."""
    fresh = Machine(interacting, scatter(1, 0.02))
    fresh.search(100)
    replay = Machine(interacting, scatter(1, 0.02))
    count = len(fresh.looks) - len(fresh.confirmations)

    def measure(look):
        found = replay(look)
        if len(replay.looks) <= count:
            replay.now -= replay.seconds * len(look.profiles)
        return found

    Search(SETTINGS, measure, lambda: replay.now, 100, noise=0.05).run()
    looks = [[profile.text for profile in look.profiles] for look in fresh.looks if not look.confirms]
    again = [[profile.text for profile in look.profiles] for look in replay.looks if not look.confirms]
    assert [look[: len(first)] for look, first in zip(again, looks, strict=False)] == looks
