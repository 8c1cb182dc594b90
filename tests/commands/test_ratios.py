"""Sampling to the precision of ratios: looks as planned, groups with their baseline, and what is refused."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest

from lenet.analysis import paired
from lenet.analysis.paired import LOOKS
from lenet.cases.case import Case, DeviceTarget, Mode, Plan, RuntimeProfile
from lenet.cases.frameworks import Framework
from lenet.commands import ratios
from lenet.commands.ratios import families, sample_ratios, selector_of
from lenet.commands.run import RunRequest
from lenet.commands.sampling import Goal
from lenet.engine.turns import groups as alive_together
from lenet.engine.turns import start_order
from lenet.errors import UsageError
from lenet.store.record import Status
from lenet.store.run import Store
from tests.analysis.test_compare import NOW, record
from tests.steady import steady

MODES = (Mode.PYNATIVE, Mode.GRAPH, Mode.JIT)
GOAL = Goal(0.03, 1e9, "mode=pynative")


class Machine:
    """Measures by drawing: workers of a group share its speed, and each process differs by `scatter` of its mode."""

    def __init__(self, store, scatter, memory=99, failing=None):
        self.store, self.scatter, self.memory, self.failing = store, scatter, memory, failing
        self.random = np.random.default_rng(20261126)
        self.groups = []
        store.planned_looks = LOOKS

    def __call__(self, cases, alive=None):
        for members in alive_together(cases, "windows", alive):
            self._measure(members)

    def _measure(self, members):
        while members:
            together, members = members[: self.memory], members[self.memory :]
            name = f"g{len(self.groups)}"
            self.groups.append([(case.mode, case.repetition) for case in together])
            shared = self.random.normal(0, 0.5) + self.random.normal(0, 0.2, 8)
            for case in together:
                own = self.random.normal(0, self.scatter.get(case.mode, 0.0))
                self._write(case, 1000 * np.exp(shared + own), name if len(together) + len(members) > 1 else "")

    def _write(self, case, rates, group):
        plain, windows = record(rates.tolist()), steady(rates.tolist(), turns=True)
        status = Status.CRASHED if case.mode is self.failing else Status.OK
        fields = {"case": case, "case_id": case.id, "windows": windows, "group": group, "status": status, "reason": "x"}
        self.store.write_record(plain.model_copy(update=fields | {"started_at": NOW, "finished_at": NOW}))


@pytest.fixture
def sampled(new_store, digits):
    """Sample the ratios of a run of three modes; returns its machine, its messages and the processes of each mode."""

    def run(scatter, goal=GOAL, alive=None, **machine):
        cases = [Case(dataset="digits", mode=mode) for mode in MODES]
        store = new_store(cases, digits)
        fake, messages = Machine(store, scatter, **machine), []
        fake(cases, alive)
        sample_ratios(store, fake, goal, messages.append, time.monotonic(), alive)
        modes = [each.case.mode for each in Store.open(store.path).records()]
        return fake, messages, {mode: modes.count(mode) for mode in MODES}

    return run


def test_narrow_ratios_stop_at_the_first_look_and_not_before(sampled):
    machine, messages, counts = sampled({})
    assert set(counts.values()) == {LOOKS[0]}
    assert "planned looks at 4, 8, 16, 32, 64 groups" in messages[0]
    assert messages[-1] == "--until: all 2 ratios to mode=pynative are within ±3.00%"
    assert {each.planned_looks for each in machine.store.records()} == {LOOKS}


def test_a_wide_ratio_goes_on_with_its_baseline_and_without_those_that_are_narrow(sampled):
    machine, messages, counts = sampled({Mode.JIT: 0.04})
    assert counts[Mode.GRAPH] == LOOKS[0]
    assert counts[Mode.JIT] == counts[Mode.PYNATIVE] > LOOKS[0]
    assert counts[Mode.JIT] in LOOKS, "sampling stops at a planned look"
    later = machine.groups[LOOKS[0] :]
    assert {tuple(mode for mode, _ in group) for group in later} == {(Mode.PYNATIVE, Mode.JIT)}
    assert all(len({repetition for _, repetition in group}) == 1 for group in later)
    assert "the next look is at 8" in messages[LOOKS[0]]


def test_the_last_look_ends_it(sampled, monkeypatch):
    monkeypatch.setattr(paired, "LOOKS", LOOKS[:2])
    _, messages, counts = sampled({Mode.JIT: 3.0})
    assert counts[Mode.JIT] == LOOKS[1]
    assert "the last planned look is over; 1 of 2 ratios to mode=pynative are wider than ±3.00%: " in messages[-1]
    assert "jit" in messages[-1]


def test_the_budget_ends_it(sampled):
    _, messages, counts = sampled({Mode.JIT: 3.0}, Goal(0.03, -1.0, "mode=pynative"))
    assert counts[Mode.JIT] == 1
    assert "the budget of -1 s is spent" in messages[-1]
    assert "2 of 2 ratios" in messages[-1]


def test_groups_are_no_larger_than_asked_for_and_each_has_the_baseline(sampled):
    machine, _, counts = sampled({}, alive=2)
    assert max(map(len, machine.groups)) == 2
    of_two = [tuple(mode for mode, _ in group) for group in machine.groups[2:]]
    assert set(of_two) == {(Mode.PYNATIVE, Mode.GRAPH), (Mode.PYNATIVE, Mode.JIT)}
    assert counts[Mode.PYNATIVE] == counts[Mode.GRAPH] + counts[Mode.JIT] - 1


def test_groups_that_memory_does_not_hold_are_made_smaller(sampled):
    machine, messages, _ = sampled({}, memory=2)
    assert messages[-1].startswith("--until: all 2 ratios")
    assert {tuple(mode for mode, _ in group) for group in machine.groups[4:6]} == {
        (Mode.PYNATIVE, Mode.GRAPH),
        (Mode.PYNATIVE, Mode.JIT),
    }


def test_without_memory_for_two_there_is_no_ratio(sampled):
    _, messages, counts = sampled({}, memory=1)
    assert "memory does not hold two workers" in messages[-1]
    assert max(counts.values()) == 2


@pytest.mark.parametrize(("failing", "message"), [(Mode.JIT, "all 1 ratios"), (Mode.PYNATIVE, "there is no ratio")])
def test_a_case_that_fails_is_not_sampled(sampled, failing, message):
    _, messages, counts = sampled({}, failing=failing)
    assert counts[failing] == 1 if failing is Mode.JIT else counts[Mode.JIT] == 1
    assert message in messages[-1]


def test_an_interrupted_group_is_missing_and_not_lost(new_store, digits):
    cases = [Case(dataset="digits", mode=mode) for mode in MODES]
    store = new_store(cases, digits)
    Machine(store, {})(cases)

    def interrupted(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sample_ratios(store, interrupted, GOAL, lambda _: None, time.monotonic())
    missing = Store.open(store.path).missing()
    assert [(case.mode, case.repetition) for case in missing] == [(mode, 1) for mode in MODES]


class TestFamilies:
    def test_each_case_has_the_baseline_that_is_equal_in_all_else(self):
        cases = [
            Case(mode=mode, hyperparameters={"batch_size": batch}, repetition=repetition)
            for batch in (32, 64)
            for mode in MODES
            for repetition in (0, 1)
        ]
        found = families(cases, "mode=graph")
        assert [(each.mode, each.hyperparameters.batch_size) for each in found] == [(Mode.GRAPH, 32), (Mode.GRAPH, 64)]
        assert [len(members) for members in found.values()] == [2, 2]
        assert all(member.hyperparameters == base.hyperparameters for base in found for member in found[base])

    def test_the_release_is_one_of_its_framework_as_in_a_table(self):
        peer = Case(framework=Framework.PYTORCH, framework_version="2.13.0", mode=Mode.EAGER)
        cases = [*(Case(framework_version=version, mode=Mode.PYNATIVE) for version in ("2.10.0", "2.7.0")), peer]
        assert families(cases, "framework=pytorch") == {peer: cases[:2]}

    @pytest.mark.parametrize(
        ("cases", "selector", "message"),
        [
            ([Case(), Case(mode=Mode.JIT)], "mode=pynative", "no case has mode=pynative"),
            ([Case(mode=Mode.PYNATIVE)], "mode=pynative", "beside another that is equal in all else"),
            ([Case(), Case(mode=Mode.PYNATIVE)], "machine=here", "omit machine"),
            ([Case(), Case(mode=Mode.PYNATIVE)], "speed=9", "write FIELD=VALUE"),
            ([Case(mode=mode, plan=Plan(epochs=1)) for mode in MODES], "mode=pynative", "cannot: choose timed cases"),
            ([Case(mode=mode, device_target=DeviceTarget.GPU) for mode in MODES], "mode=pynative", "cannot: choose"),
        ],
    )
    def test_what_has_no_ratio_of_workers_that_take_turns_is_refused(self, cases, selector, message):
        with pytest.raises(UsageError, match=message) as error:
            families(cases, selector)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("cases", "selector"),
    [
        ([Case(), Case(mode=Mode.PYNATIVE)], "mode=pynative"),
        ([Case(), Case(profile=RuntimeProfile.parse("launch_blocking"))], "profile=default"),
        ([Case(), Case(repetition=1)], "mode=pynative"),
    ],
)
def test_without_a_baseline_it_is_that_of_a_table(cases, selector):
    assert selector_of(Goal(0.03, 1e9, ""), cases) == selector
    assert selector_of(Goal(0.03, 1e9, "mode=jit"), cases) == "mode=jit"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"interleave": "rounds"}, "omit --interleave rounds"),
        ({"alive": 1}, "choose --alive 2 or more"),
        ({"axes": {"device": "CPU", "epochs": "1"}}, "cannot: choose timed cases"),
        ({"axes": {"device": "CPU", "mode": "jit"}}, "no case has mode=pynative"),
    ],
)
def test_options_that_do_not_go_together_are_refused_before_anything_is_measured(tmp_path, options, message):
    request = RunRequest(**{"axes": {"device": "CPU"}, "output": tmp_path / "run", **options}, goal=GOAL)
    with pytest.raises(UsageError, match=message):
        request.begin(lambda _: pytest.fail("the data is not looked for"), print)
    assert not (tmp_path / "run").exists()


class TestStartOrders:
    """Groups are added one round at a time; each second one of the same members starts in the reverse order."""

    def rounds(self, planned, members, alive=None, count=6):
        known = [case for baseline, cases in planned.items() for case in (baseline, *cases)]
        found = []
        for _ in range(count):
            groups = list(ratios._groups(planned, dict.fromkeys(members, 1), alive, known))
            known += [case for group in groups for case in group]
            found.append(groups)
        return found

    @pytest.mark.parametrize(("batches", "alive"), [((32,), None), ((32, 64), None), ((32, 64, 128), None), ((32,), 3)])
    def test_they_are_balanced_for_several_baselines_and_for_split_groups(self, batches, alive):
        others = (Mode.GRAPH, Mode.JIT, Mode.MODEL)
        made = {
            Case(mode=Mode.PYNATIVE, hyperparameters={"batch_size": batch}): [
                Case(mode=mode, hyperparameters={"batch_size": batch}) for mode in others
            ]
            for batch in batches
        }
        found = self.rounds(made, [case for cases in made.values() for case in cases], alive)
        repetitions = [group[0].repetition for groups in found for group in groups]
        assert len(set(repetitions)) == len(repetitions), "cases of one repetition are one group"
        by_members = {}
        for group in (group for groups in found for group in groups):
            order = [case.mode for case in start_order(group, "run")]
            by_members.setdefault(tuple(case.first_repetition for case in group), []).append(order)
        for orders in by_members.values():
            pairs = [(a, b) for a, b in pairwise(orders) if a == b[::-1]]
            assert len(pairs) >= 2, "the first one may pair with a repetition of the run's own"
