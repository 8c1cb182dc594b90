"""Records as rows, and repetitions as one line: figures worked out by hand."""

from __future__ import annotations

import pytest

from lenet.cases.case import Mode
from lenet.report.table.rows import row, rows
from lenet.store.record import Status

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
