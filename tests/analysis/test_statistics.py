"""Intervals hold what they promise, Holm's correction is the published one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lenet.analysis.statistics import blocks, count_needed, expanded_level, holm, intervals, processes_needed, ratio


@pytest.mark.parametrize("size", [3, 5, 6, 12])
@pytest.mark.parametrize("shape", ["normal", "long tails"])
def test_95_of_100_intervals_hold_the_median(size, shape):
    rng = np.random.default_rng(5)
    draws = rng.normal(0, 0.05, (600, size)) if shape == "normal" else 0.03 * rng.standard_t(3, (600, size))
    held = sum(each.low <= 1000 <= each.high for each in intervals((1000 * np.exp(draws)).tolist()))
    assert held / 600 >= 0.93 - 0.005, held


def test_fewer_than_three_have_no_interval():
    assert intervals([[], [1.0], [1.0, 2.0]]) == [None, None, None]


def test_each_sample_has_the_interval_that_it_has_alone():
    samples = [[10.0, 11.0, 12.0], [5.0] * 7, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], [20.0, 21.0, 22.0]]
    assert intervals(samples) == [intervals([each])[0] for each in samples]


def test_equal_values_have_an_interval_without_width():
    (found,) = intervals([[5.0] * 8])
    assert (found.low, found.high) == (5.0, 5.0)


def test_the_expanded_level_tends_to_the_level():
    levels = [expanded_level(size) for size in (6, 12, 50, 1000)]
    assert levels == sorted(levels, reverse=True)
    assert levels[-1] == pytest.approx(0.95, abs=1e-3)


class TestRatio:
    @pytest.mark.parametrize("sizes", [(4, 4), (6, 6), (12, 8), (40, 40)])
    @pytest.mark.parametrize("shape", ["normal", "two speeds"])
    def test_95_of_100_hold_the_ratio(self, sizes, shape):
        rng = np.random.default_rng(6)
        held = 0
        for _ in range(600):
            speeds = (np.log(1.6) * rng.integers(2, size=size) if shape == "two speeds" else 0 for size in sizes)
            a, b = (1000 * np.exp(rng.normal(0, 0.05, size) + speed) for size, speed in zip(sizes, speeds, strict=True))
            found = ratio(a.tolist(), (0.9 * b).tolist()).interval
            held += found.low <= 0.9 <= found.high
        assert 0.92 <= held / 600 <= 0.985, held

    @given(
        st.lists(st.integers(1, 10**6), min_size=6, max_size=20, unique=True),
        st.lists(st.integers(1, 10**6), min_size=6, max_size=20, unique=True),
    )
    def test_the_interval_is_scipys_test_turned_round(self, a, b):
        found = ratio(a, b).interval
        for quotient, refused in ((found.low * (1 - 1e-9), True), (found.low * (1 + 1e-9), False)):
            p = stats.mannwhitneyu(np.multiply(a, quotient), b, method="asymptotic", use_continuity=False).pvalue
            step = 1 / np.sqrt(len(a) * len(b) * (len(a) + len(b) + 1) / 12)  # one pair more, in standard deviations
            z = stats.norm.isf(p / 2)
            assert z >= 1.96 - step if refused else z <= 1.96 + step

    def test_the_value_is_the_median_of_all_quotients(self):
        assert ratio([1.0, 2.0], [2.0, 8.0, 12.0]).value == pytest.approx(
            np.exp(np.median(np.log([2, 8, 12, 1, 4, 6])))
        )

    def test_two_speeds_are_told_apart_from_a_difference(self):
        rng = np.random.default_rng(9)
        values = [
            ratio(*(1000 * np.exp(rng.normal(0, 0.03, 40) + np.log(1.6) * (np.arange(40) % 2)) for _ in "ab")).value
            for _ in range(200)
        ]
        assert np.std(values) < 0.02, "the quotient of the medians would scatter by a tenth"

    def test_one_value_gives_no_interval(self):
        assert ratio([1.0], [1.0, 2.0]).interval is None
        with pytest.raises(ValueError, match="each side"):
            ratio([], [1.0])

    @pytest.mark.parametrize("size", [3, 7])
    def test_values_without_scatter(self, size):
        found = ratio([100.0] * size, [50.0] * size)
        assert found.value == found.interval.low == found.interval.high == pytest.approx(0.5)


class TestProcessesNeeded:
    def test_as_many_do_make_it_that_narrow(self):
        rng = np.random.default_rng(7)
        pilot = np.exp(rng.normal(0, 0.05, 200)).tolist()
        count = processes_needed(pilot, 0.03)
        assert 12 <= count <= 25
        many = intervals(np.exp(rng.normal(0, 0.05, (200, count))).tolist())
        widths = [(each.high - each.low) / 2 for each in many]
        assert np.median(widths) == pytest.approx(0.03, rel=0.25)

    @pytest.mark.parametrize(("values", "expected"), [([], 3), ([7.0], 3), ([7.0, 7.0], 3), ([1.0, 9.0, 90.0], None)])
    def test_the_ends(self, values, expected):
        assert processes_needed(values, 0.03) == expected

    @given(st.lists(st.floats(min_value=1, max_value=1e6), min_size=2, max_size=20))
    def test_a_narrower_interval_never_needs_fewer(self, values):
        wide, narrow = processes_needed(values, 0.05), processes_needed(values, 0.01)
        assert narrow is None or (wide is not None and wide <= narrow)


class TestHolm:
    def test_a_worked_example(self):
        # By hand: 4 x 0.005; 3 x 0.01; 2 x 0.03; then 1 x 0.04, which may not be below the one before.
        assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])

    def test_none_and_one(self):
        assert holm([]) == []
        assert holm([0.2]) == [0.2]

    @given(st.lists(st.floats(min_value=0, max_value=1), max_size=30))
    def test_never_below_the_raw_nor_above_bonferronis(self, values):
        adjusted = holm(values)
        for raw, each in zip(values, adjusted, strict=True):
            assert raw <= each <= min(1, raw * len(values))
        order = sorted(range(len(values)), key=values.__getitem__)
        assert [adjusted[i] for i in order] == sorted(adjusted)

    def test_a_family_without_a_difference_has_a_false_alarm_in_5_of_100_at_most(self):
        rng = np.random.default_rng(8)
        alarms = sum(min(holm(rng.uniform(size=12).tolist())) < 0.05 for _ in range(4000))
        assert alarms / 4000 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 4000)
        assert alarms / 4000 >= 0.03, "it is no stricter than it says"


def test_blocks_are_medians_of_neighbours():
    assert blocks([1, 2, 3]) == [1, 2, 3]
    assert blocks([1, 3, 10, 20, 5, 7, 9, 9, 100]) == [1.0 + 1, 15, 6, 9]


class TestCountNeeded:
    @pytest.mark.parametrize(("sides", "level"), [(1, 0.95), (2, 0.95), (1, 0.975)])
    def test_it_is_the_least_number_whose_interval_is_narrow_enough(self, sides, level):
        needed = count_needed(0.035, 0.03, sides, level)
        reach = {n: stats.t.ppf((1 + level) / 2, sides * (n - 1)) * 0.035 / math.sqrt(n) for n in (needed - 1, needed)}
        assert reach[needed] <= math.log1p(0.03) < reach[needed - 1]

    def test_an_adjusted_mean_has_one_degree_of_freedom_less(self):
        needed = count_needed(0.035, 0.03, adjusted_from=6)
        reach = {n: stats.t.ppf(0.975, n - 2 if n >= 6 else n - 1) * 0.035 / math.sqrt(n) for n in range(3, 20)}
        assert needed == min(n for n, each in reach.items() if each <= math.log1p(0.03))
        assert needed > count_needed(0.035, 0.03)

    def test_there_is_a_least_and_a_most(self):
        assert count_needed(1e-6, 0.03) == 3
        assert count_needed(10.0, 0.001) is None
