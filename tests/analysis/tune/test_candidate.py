"""Candidates: their speeds, ratios within groups, and estimates over looks at different moments."""

from __future__ import annotations

import math

import pytest

from lenet.analysis.paired import TimedTurn
from lenet.analysis.tune.candidate import Candidate, Estimates, Measured, ratio
from lenet.cases.case import RuntimeProfile


def process(rate, group="", **fields):
    turns = tuple(TimedTurn(block, round(rate * 100), 100.0) for block in range(4))
    return Measured(rate, group=group, turns=turns, **fields)


def test_speeds_are_those_of_settled_processes():
    """The confirmation's where there is one: how often a speed occurs among those that won a race says nothing."""
    raced = [process(350), process(4400), process(4000, settled=False)]
    each = Candidate(RuntimeProfile(), raced)
    assert [(speed.images_per_second, speed.processes) for speed in each.speeds] == [(350, 1), (4400, 1)]
    each.confirmed = [process(360), process(355), process(4300)]
    assert [(speed.images_per_second, speed.processes) for speed in each.speeds] == [(357.5, 2), (4300, 1)]


def test_a_ratio_is_of_the_groups_that_both_were_in():
    slow = [process(100, "a"), process(200, "b"), process(1, "only slow")]
    fast = [process(400, "b"), process(200, "a"), process(9999, "only fast")]
    found = ratio(slow, fast)
    assert (found.value, found.groups) == (pytest.approx(2), 2)
    assert ratio(slow[:1], fast[:1]) is None


def test_a_confirmation_without_a_rate_does_not_hide_the_race():
    each = Candidate(RuntimeProfile(), [process(100)], [Measured(None, "timed out")])
    assert (each.rates, each.fault) == ([100], "timed out")


def test_estimates_are_adjusted_for_the_moment_of_a_look():
    """The third was measured while the machine was half as fast, beside the second."""
    first, second, third = (Candidate(RuntimeProfile()) for _ in range(3))
    first.raced = [process(100, "a")]
    second.raced = [process(200, "a"), process(100, "b")]
    third.raced = [process(150, "b")]
    found = Estimates([first, second, third], 0.01)
    assert found[second] - found[first] == pytest.approx(math.log(2), abs=0.05)
    assert found[third] - found[first] == pytest.approx(math.log(3), abs=0.05)


def test_estimates_of_looks_that_share_no_profile_are_of_their_absolute_rates():
    first, second = (Candidate(RuntimeProfile()) for _ in range(2))
    first.raced, second.raced = [process(100, "a")], [process(300, "b")]
    found = Estimates([first, second], 0.05)
    assert found[second] - found[first] == pytest.approx(math.log(3), rel=0.15)


def test_the_deviation_is_that_of_looks_that_both_were_in():
    """A look of its own says little: the machine may have been another."""
    first, second = (Candidate(RuntimeProfile()) for _ in range(2))
    first.raced, second.raced = [process(100, "a")], [process(100, "a")]
    once = Estimates([first, second], 0.05).deviation(first, second)
    assert once == pytest.approx(0.05 * math.sqrt(2), rel=0.05)
    first.raced.append(process(100, "alone"))
    assert once > Estimates([first, second], 0.05).deviation(first, second) > 0.9 * once
    first.raced.append(process(100, "b"))
    second.raced.append(process(100, "b"))
    assert Estimates([first, second], 0.05).deviation(first, second) == pytest.approx(once / math.sqrt(2), rel=0.05)
