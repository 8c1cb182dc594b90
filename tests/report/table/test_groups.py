"""Repetitions as one line, and scaling over processes: figures worked out by hand."""

from __future__ import annotations

import pytest

from lenet.analysis.statistics import intervals
from lenet.cases.case import Mode
from lenet.report.table.groups import grouped, merged
from lenet.report.table.rows import row, rows
from lenet.store.record import Status


class TestMerged:
    def test_two_processes_become_their_median_and_range(self, measured):
        table = rows([measured((rate,), repetition=i) for i, rate in enumerate((100, 300))], "r")
        (group,) = grouped(table)
        assert (group.processes, group.of) == (2, 2)
        assert group.row.images_per_second == pytest.approx(200)
        assert group.row.images_per_second_low == pytest.approx(100)
        assert group.row.images_per_second_high == pytest.approx(300)
        assert group.row.windows == 2

    def test_three_processes_have_an_interval_and_a_verdict(self, measured):
        table = rows([measured((rate,), repetition=i) for i, rate in enumerate((100, 300, 260))], "r")
        (group,) = grouped(table)
        assert group.row.images_per_second == pytest.approx(260)
        (interval,) = intervals([(100, 300, 260)])
        assert group.row.images_per_second_low == pytest.approx(interval.low)
        assert group.row.images_per_second_high == pytest.approx(interval.high)
        assert {each.samples for each in table} == {3}
        assert {each.verdict for each in table} == {"unstable: too few samples"}
        assert {each.more_processes for each in table} == {None}  # a factor of 3 would take over 1,000

    def test_three_processes_that_agree_are_stable(self, measured):
        table = rows([measured((rate,) * 4, repetition=i) for i, rate in enumerate((1000, 1001, 1002))], "r")
        assert {(each.verdict, each.more_processes) for each in table} == {("stable", 0)}

    def test_a_failed_process_is_named_and_not_counted(self, measured):
        good, bad = measured((100,)), measured((900,), repetition=1, status=Status.CRASHED, reason="SIGSEGV")
        group = merged([row(good, "r"), row(bad, "r")])
        assert (group.processes, group.of) == (1, 2)
        assert group.row.images_per_second == pytest.approx(100)
        assert (group.row.status, group.row.reason) == ("1 of 2 ok", "SIGSEGV")

    def test_one_that_never_started_is_still_a_repetition(self, measured):
        good, bad = measured(), measured((), repetition=1, status=Status.TIMED_OUT)
        assert len(grouped([row(good, "r"), row(bad, "r")])) == 1

    def test_all_failed(self, measured):
        bad = [row(measured((), repetition=i, status=Status.UNAVAILABLE, reason="no GPU"), "r") for i in range(2)]
        group = merged(bad)
        assert (group.processes, group.row.status, group.row.reason) == (0, "unavailable", "no GPU")
        assert group.row.images_per_second is None

    def test_different_cases_stay_apart(self, measured):
        records = [measured(), measured(mode=Mode.JIT), measured(batch_size=64), measured(profile="x")]
        assert len(grouped(rows(records, "r"))) == 4
        assert len(grouped([*rows(records, "r"), *rows(records, "another")])) == 8


def test_scaling_efficiency_is_against_one_process_of_the_same_batch(measured):
    records = [
        measured((1000.0,)),
        measured((1500.0,), world_size=2),
        measured((1800.0,), world_size=2, scaling="weak"),
        measured((2000.0,), world_size=4),
        measured((500.0,), world_size=2, batch_size=64),
        measured((100.0,), world_size=2, status=Status.CRASHED, mode=Mode.JIT),
        measured((100.0,), mode=Mode.JIT),
    ]
    found = {
        (g.row.mode, g.row.batch_size, g.row.world_size, g.row.scaling): g.efficiency
        for g in grouped(rows(records, "run"))
    }
    assert found == {
        ("graph", 32, 1, "strong"): None,
        ("graph", 32, 2, "strong"): 0.75,
        ("graph", 32, 2, "weak"): 0.9,
        ("graph", 32, 4, "strong"): 0.5,
        ("graph", 64, 2, "strong"): None,
        ("jit", 32, 1, "strong"): None,
        ("jit", 32, 2, "strong"): None,
    }


def test_a_speed_that_may_not_be_quoted_is_none(measured):
    bad = measured((100, 100), status=Status.DIVERGED, reason="nan", mode=Mode.JIT)
    assert [group.speed for group in grouped(rows([measured((100, 100)), bad], "r"))] == [pytest.approx(100), None]
