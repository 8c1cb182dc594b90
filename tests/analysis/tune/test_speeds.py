"""Processes of one speed and of two, drawn with the scatter that processes have."""

from __future__ import annotations

import random

import pytest

from lenet.analysis.paired import TimedTurn
from lenet.analysis.tune.speeds import LEAST_TURNS, changing_speed, two_speeds

COUNTS = range(1, 13)
"""Processes of a profile: a confirmation has three to five."""


def found(*rates):
    return [(speed.images_per_second, speed.processes) for speed in two_speeds(rates)]


def test_two_speeds_with_how_many_processes_settle_at_each():
    assert found(350, 4400, 360, 4300, 4500) == [(355, 2), (4400, 3)]


def test_one_process_at_another_speed_is_two_speeds():
    assert found(4400, 4300, 350) == [(350, 1), (4350, 2)]


def test_speeds_that_are_nearer_need_processes_that_agree():
    assert found(100, 102, 190, 195) == [(101, 2), (192.5, 2)]
    assert found(100, 130, 235, 240) == [(182.5, 4)]
    assert found(100, 102, 190) == [(102, 3)]


def test_wide_scatter_without_a_gap_is_one_speed():
    assert found(100, 180, 320, 570, 1000) == [(320, 5)]


def test_none_and_one():
    assert found() == []
    assert found(7.0) == [(7.0, 1)]


@pytest.mark.parametrize(
    "off",
    [lambda chance: chance.uniform(0.8, 1.2), lambda chance: chance.lognormvariate(0, 0.2)],
    ids=["within 20%", "standard deviation of 20%"],
)
def test_noise_of_20_percent_is_one_speed(off):
    chance = random.Random(1)
    for count in COUNTS:
        alarms = sum(len(two_speeds([1000 * off(chance) for _ in range(count)])) == 2 for _ in range(500))
        assert alarms <= 2, f"{count} processes"


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_a_mode_that_settles_at_350_or_4400_is_two_speeds_with_the_number_at_each(share):
    """Whole-step jit: recorded speeds, each process off by a standard deviation of 20%."""
    chance = random.Random(2)
    for count in range(3, 13):
        for _ in range(100):
            slow = [chance.random() < share for _ in range(count)]
            rates = [(350 if each else 4400) * chance.lognormvariate(0, 0.2) for each in slow]
            speeds = two_speeds(rates)
            if 0 < sum(slow) < count:
                assert [each.processes for each in speeds] == [sum(slow), count - sum(slow)]


def test_speeds_that_differ_twofold_are_found_where_each_has_two_processes():
    chance = random.Random(3)
    drawn = [[base * chance.lognormvariate(0, 0.04) for base in (500, 500, 500, 1000, 1000)] for _ in range(200)]
    assert sum([each.processes for each in two_speeds(rates)] == [3, 2] for rates in drawn) >= 180


def turns(rates):
    """Turns of 0.1 s each at these images per second."""
    return [TimedTurn(0, round(rate * 100), 100.0) for rate in rates]


def test_slow_and_fast_steps_of_one_process_are_a_changing_speed_with_the_share_of_the_slow():
    found = changing_speed(turns([*[300] * 30, *[4500] * 20]))
    assert (found.slow, found.fast, found.slow_share) == (300, 4500, 0.6)


def test_turns_between_the_two_are_nearer_one_of_them():
    found = changing_speed(turns([*[300] * 10, *[900] * 20, *[1400] * 10, *[4500] * 10]))
    assert (found.slow, found.fast, found.slow_share) == (300, 4500, 0.6)


def test_a_single_hiccup_and_few_turns_are_none():
    assert changing_speed(turns([*[1000] * 40, 10, 20])) is None
    assert changing_speed(turns([300, 4500] * (LEAST_TURNS // 2 - 1))) is None
    assert changing_speed([]) is None


def test_turns_off_by_30_percent_are_one_speed():
    chance = random.Random(3)
    for _ in range(200):
        assert changing_speed(turns([1000 * chance.lognormvariate(0, 0.3) for _ in range(40)])) is None
