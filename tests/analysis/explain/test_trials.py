"""The effect of a change: paired where the workers took turns, and said so; otherwise of independent processes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lenet.analysis.explain.trials import GAIN_AT_LEAST, speed, tried
from lenet.store.record import Status
from tests.analysis.test_compare import record
from tests.steady import steady


@pytest.fixture
def numbers():
    return np.random.default_rng(5)


def member(rates, group, repetition):
    """A process that took turns, one window in each cycle."""
    return record(rates, repetition).model_copy(update={"group": group, "windows": steady(rates, turns=True)})


def groups(numbers, count, factor):
    """Both sides of groups on a machine whose speed differs by a third from turn to turn, for both at once."""
    before, after = [], []
    for index in range(count):
        speeds = 1000 * np.exp(numbers.normal(0, 0.3, 24))
        noise = np.exp(numbers.normal(0, 0.02, 24))
        before.append(member(speeds.tolist(), f"g{index}", index))
        after.append(member((factor * speeds * noise).tolist(), f"g{index}", index))
    return before, after


def test_the_gain_is_the_paired_ratio_with_its_interval(numbers):
    found = tried("--profile x", *groups(numbers, 4, 1.5))
    assert (found.unit, found.groups) == ("groups", 4)
    assert found.gain == pytest.approx(1.5, rel=0.03)
    assert found.low < 1.5 < found.high
    assert found.high / found.low < 1.1, "the machine's own changes cancel"
    assert found.gained
    assert "paired in 4 groups" in found.words
    assert "these processes only" not in found.words


@pytest.mark.parametrize("count", [1, 2])
def test_fewer_than_three_groups_speak_for_these_processes_only(numbers, count):
    words = tried("--profile x", *groups(numbers, count, 1.5)).words
    assert f"paired in {count} group" in words
    assert "these processes only" in words


def test_no_gain_is_within_the_noise(numbers):
    found = tried("--profile x", *groups(numbers, 4, 1.0))
    assert not found.gained
    assert not found.holds or found.gain < GAIN_AT_LEAST
    assert tried("--profile x", *groups(numbers, 4, 0.7)).words.endswith("within the noise")


def test_processes_that_took_no_turns_are_independent():
    before = [record([rate] * 5, index) for index, rate in enumerate((500, 505, 510))]
    after = [record([rate] * 5, index) for index, rate in enumerate((2000, 2020, 2040))]
    found = tried("--mode graph", before, after)
    assert found.unit == "processes"
    assert "3 independent processes each" in found.words
    assert found.gain == pytest.approx(4, rel=0.01)
    assert found.gained


def test_one_process_on_each_side_that_took_no_turns():
    found = tried("--mode graph", [record([500, 510, 505, 500])], [record([1000, 1010, 990, 1000])])
    assert found.unit == "windows"
    assert "not paired" in found.method


def test_a_change_that_failed_has_no_effect():
    failed = record([], status=Status.CRASHED)
    assert tried("x", [record([500] * 5)], [failed]) is None
    assert tried("x", [record([500] * 5)], []) is None
    assert speed([failed]) is None


def test_the_speed_is_the_median_over_the_processes():
    assert speed([record([rate] * 5, index) for index, rate in enumerate((100, 300, 200))]) == pytest.approx(200)
    assert math.isclose(speed([record([100] * 5), record([], status=Status.CRASHED)]), 100)
