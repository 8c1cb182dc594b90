"""When a difference is faster, slower, the same or unresolved, and what it takes to resolve it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from lenet.analysis.difference import SpeedDifference
from lenet.analysis.statistics import Interval
from lenet.analysis.verdict import Mark, decide
from lenet.report.table.basis import basis, needed


def found(low, high, p=0.001, unit="groups", groups=8, **more):
    return SpeedDifference(unit, math.sqrt(low * high), Interval(low, high), p, groups, **more)


@pytest.mark.parametrize(
    ("difference", "mark"),
    [
        (found(1.02, 1.08), Mark.FASTER),
        (found(0.9, 0.95), Mark.SLOWER),
        (found(0.985, 1.015, 0.9), Mark.SAME),
        (found(1.001, 1.009), Mark.SAME),  # a difference that is there, and too small to matter
        (found(1.005, 1.03), Mark.UNRESOLVED),  # less than the margin, or more
        (found(0.95, 1.05, 0.9), Mark.UNRESOLVED),
        (found(1.04, 1.08, None), Mark.UNRESOLVED),
        (SpeedDifference("groups", 2.0, None, 0.001), Mark.UNRESOLVED),
    ],
)
def test_the_mark_of_an_interval(difference, mark):
    assert [each for each, _ in decide([difference], 0.02)] == [mark]


def test_holms_correction_counts_those_that_have_a_test():
    alone = found(1.03, 1.3, 0.02)
    assert decide([alone])[0] == (Mark.FASTER, 0.02)
    marks = decide([alone, found(0.9, 1.1, None), found(0.9, 1.1, 0.8), found(0.9, 1.1, 0.9)])
    assert marks[0] == (Mark.UNRESOLVED, pytest.approx(0.06))
    assert marks[1] == (Mark.UNRESOLVED, None)


def test_identical_cases_within_the_margin_are_the_same_and_never_faster():
    """Equivalence by simulation: at the margin itself "the same" is claimed in at most 5% of the draws (TOST)."""
    random = np.random.default_rng(13)
    claims = {}
    for truth in (1.0, 1.02):
        logs = math.log(truth) + random.normal(0, 0.01, (2000, 8))
        differences = []
        for each in logs:
            interval = stats.ttest_1samp(each, 0).confidence_interval(0.95)
            differences.append(
                found(math.exp(interval.low), math.exp(interval.high), stats.ttest_1samp(each, 0).pvalue)
            )
        marks = [decide([each], 0.02)[0][0] for each in differences]
        claims[truth] = {mark: marks.count(mark) / len(marks) for mark in Mark}
    assert claims[1.0][Mark.SAME] > 0.9
    assert claims[1.0][Mark.FASTER] + claims[1.0][Mark.SLOWER] <= 0.05
    assert claims[1.02][Mark.SAME] <= 0.05


class TestNeeded:
    def test_groups_by_students_t_over_groups(self):
        difference = found(0.95, 1.05, deviation=0.035)
        assert needed("groups", difference.needed(0.03), 0.03) == "±3% takes about 9 groups"
        n = difference.needed(0.01)
        reach = [stats.t.ppf(0.975, count - 2) * 0.035 / math.sqrt(count) for count in (n, n - 1)]
        assert reach[0] <= math.log1p(0.01) < reach[1]

    def test_planned_looks_take_more(self):
        assert found(0.95, 1.05, deviation=0.035, planned=True).needed(0.01) > found(
            0.95, 1.05, deviation=0.035
        ).needed(0.01)

    def test_processes_on_each_side_have_two_samples(self):
        difference = found(0.9, 1.1, unit="processes", groups=0, deviation=0.1 * math.sqrt(2))
        n = difference.needed(0.05)
        reach = [stats.t.ppf(0.975, 2 * count - 2) * 0.1 * math.sqrt(2 / count) for count in (n, n - 1)]
        assert reach[0] <= math.log1p(0.05) < reach[1]
        assert needed("processes", n, 0.05) == f"±5% takes about {n} processes on each side"

    def test_more_than_a_thousand_is_no_number(self):
        difference = found(0.9, 1.1, deviation=2.0)
        assert needed("groups", difference.needed(0.01), 0.01) == "±1% takes over 1,000 groups"

    def test_windows_of_one_process_need_another_design(self):
        assert found(0.9, 1.1, unit="windows", groups=0).needed(0.01) is None
        assert needed("windows", None, 0.01) == ""


def test_what_ratios_rest_on_is_said_for_each_kind():
    pair, few = found(0.9, 1.1), found(0.9, 1.1, groups=2)
    apart = found(0.9, 1.1, unit="processes", groups=0)
    assert "Ratios of workers that took turns, within 8 groups: the mean" in basis([pair])
    assert "within 2 groups: the intervals are of these processes only, no verdict" in basis([few])
    mixed = basis([pair, pair, apart])
    assert "2 ratios of workers that took turns" in mixed
    assert "1 ratio of independent processes" in mixed
    assert "looks at 4, 8, 16, 32, 64 groups" in basis([found(0.9, 1.1, planned=True)])
