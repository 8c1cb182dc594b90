"""The difference of two cases: from groups where their workers took turns, else from independent processes."""

from __future__ import annotations

import json
import math
import random
import statistics
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from lenet.analysis.difference import SIGNIFICANT, difference, least_processes, mann_whitney, welch
from lenet.analysis.paired import LEAST_GROUPS
from lenet.analysis.stability import sample
from lenet.analysis.statistics import BOOTSTRAP_FROM, ratio
from lenet.store.record import Window
from tests.analysis.test_compare import record

DATA = Path(__file__).parent / "data"
MEDIANS = {
    name: [statistics.median(rates) for rates in json.loads((DATA / f"{name}.json").read_text("utf-8"))["processes"]]
    for name in ("idle", "loaded")
}


def measured(rates, group="", repetition=0):
    """A process with a window of each rate; with a group, its windows are turns of one cycle each."""
    plain = record(rates, repetition)
    if group:
        windows = [
            Window(**{**window.model_dump(), "cycle": cycle, "turn": 2 * cycle})
            for cycle, window in enumerate(plain.windows)
        ]
        plain = plain.model_copy(update={"group": group, "windows": tuple(windows)})
    return plain, sample(plain.windows)


def sides(random_numbers, groups, factor, scatter=0.15, turns=40):
    """Members of so many groups on a machine whose speed differs by 15% from group to group and from turn to turn."""
    a, b = [], []
    for index in range(groups):
        speeds = 1000 * np.exp(random_numbers.normal(0, scatter) + random_numbers.normal(0, scatter, turns))
        noise = np.exp(random_numbers.normal(0, 0.02, turns))
        a.append(measured((speeds * noise).tolist(), f"g{index}", index))
        b.append(measured((factor * speeds).tolist(), f"g{index}", index))
    return a, b


@pytest.fixture
def numbers():
    return np.random.default_rng(11)


class TestGroups:
    def test_members_of_the_same_groups_are_compared_within_them(self, numbers):
        a, b = sides(numbers, 4, 0.95)
        found = difference(a, b)
        assert (found.unit, found.groups) == ("groups", 4)
        assert found.interval.low <= 0.95 <= found.interval.high
        assert found.interval.high < 1
        assert found.p < SIGNIFICANT

    def test_the_same_processes_without_their_groups_say_nothing(self, numbers):
        a, b = sides(numbers, 4, 0.95)
        a, b = ([(each.model_copy(update={"group": ""}), taken) for each, taken in side] for side in (a, b))
        found = difference(a, b)
        assert found.unit == "processes"
        assert found.interval.low < 1 < found.interval.high

    def test_places_among_the_starts_are_no_scatter(self, numbers):
        """The one that starts later is 6% faster, and each starts later in every other group."""
        a, b = sides(numbers, 8, 0.95)
        placed = [
            [
                (each.model_copy(update={"place": (number + member) % 2}), taken)
                for number, (each, taken) in enumerate(side)
            ]
            for member, side in enumerate((a, b))
        ]
        later = [
            [
                measured([1.06**each.place * rate for rate in taken.rates], each.group, each.case.repetition)
                for each, taken in side
            ]
            for side in placed
        ]
        known = [
            [
                (each.model_copy(update={"place": known.place}), taken)
                for (each, taken), (known, _) in zip(side, of, strict=True)
            ]
            for side, of in zip(later, placed, strict=True)
        ]
        found, plain = difference(*known), difference(*later)
        assert found.ratio == pytest.approx(plain.ratio)
        assert found.deviation < plain.deviation / 4

    def test_groups_that_only_one_of_them_was_in_are_left_out(self, numbers):
        a, b = sides(numbers, 5, 0.95)
        assert difference(a, b[:4]) == difference(a[:4], b[:4])

    def test_two_groups_give_an_interval_and_no_test(self, numbers):
        a, b = sides(numbers, 2, 0.5)
        found = difference(a, b)
        assert (found.unit, found.groups, found.p) == ("groups", 2, None)
        assert "these processes only" in found.note
        assert found.interval.high < 1
        assert LEAST_GROUPS == 3

    def test_a_thing_against_itself_raises_5_false_alarms_of_100(self, numbers):
        alarms = sum(difference(*sides(numbers, 4, 1.0)).p < SIGNIFICANT for _ in range(200))
        assert alarms <= 10 + 3 * math.sqrt(200 * 0.05 * 0.95)


class TestIndependentProcesses:
    @pytest.mark.parametrize("size", [3, 5])
    def test_few_are_tested_by_welch(self, numbers, size):
        a, b = (np.exp(numbers.normal(7, 0.1, size)).tolist() for _ in "ab")
        found = difference([measured([x] * 3) for x in a], [measured([x] * 3) for x in b])
        expected = stats.ttest_ind(np.log(b), np.log(a), equal_var=False)
        low, high = expected.confidence_interval(0.95)
        assert found.p == pytest.approx(expected.pvalue)
        assert (found.interval.low, found.interval.high) == pytest.approx((math.exp(low), math.exp(high)))

    def test_many_are_tested_by_their_ranks(self, numbers):
        a, b = (np.exp(numbers.normal(7, 0.1, 8)).tolist() for _ in "ab")
        found = difference([measured([x] * 3) for x in a], [measured([x] * 3) for x in b])
        assert found.p == pytest.approx(stats.mannwhitneyu(a, b).pvalue)

    def test_ranks_decide_only_where_they_can_be_significant(self):
        assert [least_processes(tests) for tests in (1, 2, 7)] == [4, 5, 6]
        a, b = ([measured([rate + index] * 3) for index in range(BOOTSTRAP_FROM)] for rate in (1000, 100))
        assert difference(a, b, tests=100).p * 100 < SIGNIFICANT
        assert mann_whitney([1000 + i for i in range(6)], [100 + i for i in range(6)]) * 100 > SIGNIFICANT

    @pytest.mark.parametrize(("a", "b", "p"), [((100.0,) * 3, (50.0,) * 3, 0.0), ((100.0,) * 3, (100.0,) * 3, 1.0)])
    def test_samples_without_any_spread(self, a, b, p):
        assert welch(a, b) == p

    def test_two_processes_give_an_interval_and_no_test(self):
        a, b = ([measured([rate] * 3), measured([rate * 1.01] * 3)] for rate in (1000.0, 500.0))
        found = difference(a, b)
        assert (found.unit, found.p) == ("processes", None)
        assert found.interval is not None

    @pytest.mark.parametrize("name", MEDIANS)
    @pytest.mark.parametrize("size", [3, 4, 5])
    def test_recorded_processes_against_each_other_raise_5_false_alarms_of_100(self, name, size):
        """Two fifths of the idle ones ran at about half the speed: a hard case for a t test."""
        draws, alarms, chance = 1000, 0, random.Random(5)
        for _ in range(draws):
            chosen = chance.sample(MEDIANS[name], 2 * size)
            a, b = chosen[:size], chosen[size:]
            interval = ratio(a, b).interval
            alarms += welch(a, b) < SIGNIFICANT and (interval.low > 1 or interval.high < 1)
        assert alarms <= draws * 0.05 + 3 * math.sqrt(draws * 0.05 * 0.95)


def test_processes_without_scatter_are_compared_without_a_warning():
    """SciPy's test warns where one side is the same number again and again; warnings are errors here."""
    same, other = [0.1 + 0.2] * 3, [0.3, 0.31, 0.32]
    assert 0 < welch(same, other) < 1
    assert welch(same, same) == 1.0
    assert welch([1.0, 1.0], [2.0, 2.0]) == 0.0
    a, b = [1.0, 1.1, 1.3], [1.2, 1.25, 1.6, 1.4]
    logs = [[math.log(value) for value in side] for side in (b, a)]
    assert welch(a, b) == pytest.approx(stats.ttest_ind(*logs, equal_var=False).pvalue)
