"""Records as rows, and repetitions as one line: figures worked out by hand."""

from __future__ import annotations

import pytest

from lenet.analysis.statistics import intervals
from lenet.case import Mode
from lenet.record import Status
from lenet.report.rows import grouped, merged, row, rows

PROMISED = {
    *("framework", "framework_version", "device_target", "mode", "batch_size", "dataset", "profile", "world_size"),
    *("seed", "status", "reason", "images_per_second", "images_per_second_low", "images_per_second_high"),
    *("compile_seconds", "accuracy", "final_loss", "seconds_to_accuracy", "peak_memory_bytes", "machine"),
}


def test_a_row_has_every_promised_field(measured):
    made = row(measured(epochs=1, correct=98), "run-1").model_dump(mode="json")
    assert set(made) >= PROMISED
    assert {name: made[name] for name in PROMISED} == {
        "framework": "mindspore",
        "framework_version": "2.10.0",
        "device_target": "CPU",
        "mode": "graph",
        "batch_size": 32,
        "dataset": "mnist",
        "profile": "default",
        "world_size": 1,
        "seed": 1,
        "status": "ok",
        "reason": "",
        "images_per_second": pytest.approx(200),
        "images_per_second_low": pytest.approx(150),
        "images_per_second_high": pytest.approx(300),
        "compile_seconds": 0.25,
        "accuracy": 0.98,
        "final_loss": 0.125,
        "seconds_to_accuracy": {"0.95": 12.5, "0.97": 12.5, "0.98": 12.5},
        "peak_memory_bytes": 2**30,
        "machine": "a-machine",
    }


@pytest.mark.parametrize("status", list(Status))
def test_a_case_without_figures_has_null_and_its_status(measured, status):
    made = row(measured((), status=status, reason="why"), "r")
    assert (made.status, made.reason) == (status.value, "why")
    assert made.images_per_second is made.accuracy is made.final_loss is made.peak_memory_bytes is None


def test_rows_are_in_a_tables_order(measured):
    records = [
        measured(mode=Mode.JIT, batch_size=64),
        measured(mode=Mode.PYNATIVE, batch_size=64),
        measured(mode=Mode.GRAPH, profile="a"),
        measured(mode=Mode.JIT),
        measured(mode=Mode.GRAPH),
    ]
    found = [(each.profile, each.batch_size, each.mode) for each in rows(records, "r")]
    assert found == [
        ("default", 32, "graph"), ("default", 32, "jit"), ("default", 64, "pynative"), ("default", 64, "jit"),
        ("a", 32, "graph"),
    ]  # fmt: skip


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

    def test_a_failed_one_is_said_and_not_counted(self, measured):
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
