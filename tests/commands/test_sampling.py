"""Sampling until the intervals are narrow, with workers that give planted rates."""

from __future__ import annotations

import sys
import time
from datetime import timedelta

import pytest

from lenet.cases.case import Case, Mode
from lenet.commands.measurement import Run
from lenet.commands.sampling import Goal, precisions, sample_until
from lenet.engine.local import LocalEngine
from lenet.store.run import Store

WORKER = """
import json, os, sys
fd = int(sys.argv[1])
case = json.loads(sys.stdin.read())["case"]
n = case["repetition"]
rate = 1000 + (n * 7919 % 13 - 6) * (20 if case["mode"] == "graph" else 0)
def emit(**event):
    os.write(fd, json.dumps(event).encode() + b"\\n")
emit(event="started", initial_weights_sha256="0" * 64,
     software={"framework_version": "2", "python_version": "3", "numpy_version": "1"})
for i in range(4):
    emit(event="steps", epoch=1, first_step=i, steps=1, images=32, seconds=32 / rate, warmup=i < 1, losses=[2.0])
emit(event="evaluated", epoch=0, steps=4, training_seconds=1, seconds=1, images=64, correct=32, distinct_answers=9)
phases = {f"{name}_seconds": 1.0 for name in ("import_and_setup", "compile_and_first_step", "training", "evaluation",
          "resident", "other", "wall")}
emit(event="finished", phases=phases, final_weights_sha256="1" * 64, losses_sha256="2" * 64, peak_memory_bytes=1)
"""


@pytest.fixture
def begun(tmp_path, digits, new_store):
    """A run of two cases, one that scatters and one that does not, each measured once; and what measures more cases."""
    script = tmp_path / "worker.py"
    script.write_text(WORKER, encoding="utf-8")
    cases = [Case(dataset="digits", mode=mode) for mode in (Mode.GRAPH, Mode.JIT)]
    store = new_store(cases, digits)
    engine = LocalEngine(command=(sys.executable, str(script)))
    run = Run(store, {"digits": digits})
    engine.run(cases, run.datasets, store)
    return run, lambda cases: engine.run(cases, run.datasets, store)


def processes(run):
    modes = [record.case.mode for record in run.store.records()]
    return modes.count(Mode.GRAPH), modes.count(Mode.JIT)


def test_wide_cases_are_repeated_until_they_are_narrow(begun):
    run, measure = begun
    messages = []
    sample_until(run.store, measure, Goal(0.08, 300), messages.append, time.monotonic())
    graph, jit = processes(run)
    assert jit == 3
    assert 4 <= graph <= 20
    assert max(each.width for each in precisions(run.store.records())) <= 0.08
    assert messages[-1] == "--until: all 2 cases are within ±8.00%"
    again = Store.open(run.store.path)
    assert again.records() == run.store.records()
    assert not again.missing()
    rounds = [record.case.mode for record in again.records()][:6]
    assert rounds == [Mode.GRAPH, Mode.JIT] * 3, "rounds are interleaved"


def test_the_budget_ends_it_and_names_the_wide_cases(begun):
    run, measure = begun
    messages = []
    sample_until(run.store, measure, Goal(0.01, 0.01), messages.append, time.monotonic())
    assert processes(run) == (1, 1)
    assert "budget of 0.01 s is spent" in messages[-1]
    assert "2 of 2 cases" in messages[-1]
    assert "fewer than 3 processes" in messages[-1]


def test_an_interrupted_round_is_missing_and_not_lost(begun, digits):
    run, _ = begun
    more = Case(dataset="digits", mode=Mode.GRAPH, repetition=1)
    run.store.extend([more, run.store.manifest.cases[0]])
    again = Store.open(run.store.path)
    assert again.missing() == [more]
    assert len(again.manifest.cases) == 3


def test_failed_cases_are_not_repeated(begun):
    run, _ = begun
    records = [record.model_copy(update={"status": "crashed"}) for record in run.store.records()]
    assert precisions([run.store.records()[0], records[1]])[0].case.mode is Mode.GRAPH
    assert len(precisions([run.store.records()[0], records[1]])) == 1


def test_a_round_takes_as_long_as_its_cases_do_without_the_turns_of_others(begun):
    run, _ = begun
    record = run.store.records()[0]
    phases = record.phases.model_copy(update={"waiting_seconds": 90.0})
    later = record.started_at + timedelta(seconds=100)
    (found,) = precisions([record.model_copy(update={"phases": phases, "finished_at": later})])
    assert found.seconds == pytest.approx(10)
