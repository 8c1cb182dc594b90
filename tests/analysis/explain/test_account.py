"""The account of a step: from recorded steps and from rounds whose parts are known, whole and with a broken part."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from lenet.analysis.explain.account import DATA, HOST, KERNELS, PROFILER, REST, account
from lenet.store.parts import PartTimes
from lenet.worker.parts import StepMarks, divided
from lenet.worker.profilers import read_runs

RECORDED = Path(__file__).parents[2] / "worker/recorded"


def recorded(mode):
    """Rounds of two recorded steps each; their plain steps took as long."""
    marks = [StepMarks(*each) for each in json.loads((RECORDED / f"{mode}-marks.json").read_text())["marks"]]
    runs = read_runs((RECORDED / f"{mode}-times.txt").read_text().splitlines())
    spans = [(run.begin, run.end) for run in runs]
    rounds = [marks[first : first + 2] for first in range(0, 6, 2)]
    seconds = [(each[-1].ended - each[0].begun) / 1e9 for each in rounds]
    return [divided(took, took, each, spans) for took, each in zip(seconds, rounds, strict=True)]


def one(plain=10.0, data=1.0, host=2.0, kernels=6.0, rest=1.0, steps=10, clocked=None, factor=1.0):
    """A round; the figures are milliseconds per step. `factor`: how slow the machine is meanwhile."""
    sum_of_parts = data + host + (kernels or 0.0) + rest
    return PartTimes(
        steps=steps,
        plain_seconds=factor * plain * steps / 1e3,
        clocked_seconds=factor * (sum_of_parts if clocked is None else clocked) * steps / 1e3,
        instrumented_seconds=factor * sum_of_parts * steps / 1e3,
        data_seconds=factor * data * steps / 1e3,
        host_seconds=factor * host * steps / 1e3,
        kernel_seconds=None if kernels is None else factor * kernels * steps / 1e3,
        rest_seconds=factor * rest * steps / 1e3,
    )


@pytest.mark.parametrize("mode", ["graph", "pynative"])
class TestRecorded:
    def test_the_account_adds_up(self, mode):
        found = account(recorded(mode))
        assert found.adds_up
        assert found.covered == pytest.approx(1, abs=0.02)

    @pytest.mark.parametrize("field", ["kernel_seconds", "host_seconds"])
    @pytest.mark.parametrize("factor", [0, 2])
    def test_a_part_that_is_missing_or_counted_twice_is_seen(self, mode, field, factor):
        broken = [each.model_copy(update={field: factor * getattr(each, field)}) for each in recorded(mode)]
        assert not account(broken).adds_up

    def test_every_part_is_within_its_interval(self, mode):
        found = account(recorded(mode))
        assert [part.name for part in found.parts] == [DATA, HOST, KERNELS, REST, PROFILER]
        for part in (found.step, *found.parts[:-1]):
            assert 0 <= part.low <= part.milliseconds <= part.high
        assert found.covered_low <= found.covered <= found.covered_high


@pytest.mark.parametrize(("plain", "adds_up"), [(10.0, True), (10.5, True), (9.6, True), (10.7, False), (9.4, False)])
def test_the_sum_is_within_5_percent_of_the_step(plain, adds_up):
    found = account([one(plain)] * 3)
    assert found.sum == pytest.approx(10)
    assert found.adds_up is adds_up


def test_the_interval_is_students_over_the_rounds():
    found = account([one(kernels=5), one(kernels=6), one(kernels=7)])
    (kernels,) = [part for part in found.parts if part.name == KERNELS]
    assert kernels.milliseconds == pytest.approx(6)
    assert kernels.high - kernels.milliseconds == pytest.approx(4.3027 / 3**0.5, rel=1e-3)


def test_one_round_gives_no_interval_and_none_no_account():
    assert account([]) is None
    assert account([one()]).step.low is None
    assert account([one()]).covered_low is None


def test_what_the_profiler_takes_is_a_part_below_zero():
    """It makes each step 1.5 ms longer: the parts have it, the clocked steps beside them do not."""
    found = account([one(plain=10.0, host=3.5, clocked=10.0 + each) for each in (-0.1, 0.0, 0.1)])
    profiler = next(part for part in found.parts if part.name == PROFILER)
    assert profiler.milliseconds == pytest.approx(-1.5)
    assert profiler.low < -1.5 < profiler.high < 0
    assert found.sum == pytest.approx(10)
    assert found.adds_up


def test_readings_of_the_clock_that_change_the_step_are_not_hidden():
    assert not account([one(plain=10.0, clocked=11.0)] * 5).adds_up


def test_a_machine_that_changes_its_speed_from_round_to_round_changes_no_share():
    """All windows of a round see it; the interval of the step has it, those of its parts do not."""
    found = account([one(factor=factor) for factor in (0.6, 0.8, 1.0, 1.3, 1.7)])
    assert found.covered == pytest.approx(1)
    assert found.covered_high - found.covered_low < 1e-9
    assert found.step.high - found.step.low > 1
    kernels = next(part for part in found.parts if part.name == KERNELS)
    assert kernels.milliseconds == pytest.approx(0.6 * found.step.milliseconds)
    assert kernels.high - kernels.low < 1e-9


def test_a_window_in_which_the_machine_did_something_else_is_left_out():
    calm = [one(clocked=10.0 + each / 100) for each in range(9)]
    assert account([*calm, one(plain=40.0)]).covered == pytest.approx(1, abs=0.01)
    assert account([*calm, one(clocked=40.0)]).covered == pytest.approx(1, abs=0.01)


def test_the_interval_of_the_sum_has_the_truth_19_times_in_20():
    """500 accounts of ten rounds whose windows scatter by 15%, of which one in ten is disturbed."""
    chance = random.Random(1)
    hits = 0
    for _ in range(500):
        found = account(
            [
                one(plain=10 * off(chance), clocked=10 * off(chance), factor=chance.lognormvariate(0, 0.3))
                for _ in range(10)
            ]
        )
        hits += found.covered_low <= 1 <= found.covered_high
    assert hits / 500 >= 0.92


def off(chance):
    return chance.lognormvariate(0, 0.1) * (1.5 if chance.random() < 0.1 else 1.0)


def test_a_part_that_was_not_measured_is_none_of_the_account():
    found = account([one(kernels=None)] * 2)
    assert (found.part(KERNELS), found.part(PROFILER)) == (None, None)
    assert not found.adds_up


def test_shares():
    assert account([one()]).share(DATA, KERNELS) == pytest.approx(0.7)
