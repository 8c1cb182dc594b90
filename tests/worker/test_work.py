"""The worker with MindSpore: its clock, its plan, its events."""

from __future__ import annotations

import math
import time

import pytest
from fast import FAST

from lenet.cases.case import Case, Hyperparameters, Plan
from lenet.engine.local import LocalEngine
from lenet.store.record import Status
from lenet.worker.clock import PhaseClock
from lenet.worker.loop import DivergedError
from lenet.worker.work import failure

PLAN = Plan(windows=8, window_steps=5, window_seconds=0.1, evaluation_images=100)
"""Under a second: on a fast machine the training would else leave its first plateau."""

EPOCHS = 60


@pytest.fixture(scope="module")
def measured(digits, tmp_path_factory):
    """A case without whole epochs in Graph mode: record, events, and the wall time seen by the parent."""
    import json

    from lenet.cases.matrix import Matrix
    from lenet.machine.card import describe
    from lenet.store.run import Store

    case = Case(dataset="digits", profile=FAST, plan=PLAN)
    folder = tmp_path_factory.mktemp("measured") / "run"
    store = Store.create(folder, Matrix(), [case], {"digits": digits.card}, describe())
    began = time.perf_counter()
    (record,) = LocalEngine().run([case], {"digits": digits}, store)
    wall = time.perf_counter() - began
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    return record, events, wall


@pytest.mark.mindspore
class TestMeasuredCase:
    def test_it_is_ok_and_says_that_the_answer_is_constant(self, measured):
        record, _, _ = measured
        assert record.status is Status.OK, record
        assert record.software.framework_version.startswith("2.")
        assert "constant answer" in record.reason

    def test_the_phases_add_up_to_the_wall_time(self, measured):
        record, _, wall = measured
        phases = record.phases.model_dump()
        total = phases.pop("wall_seconds")
        assert sum(phases.values()) == pytest.approx(total, abs=1e-6)
        # The parent also waits for the interpreter to start and, longer, for MindSpore to end.
        assert total < wall < total + 10

    def test_windows_are_adjacent_and_fill_the_training_phase(self, measured):
        record, _, _ = measured
        steps = 0
        for window in record.windows:
            assert window.first_step == steps
            steps += window.steps
        phases = record.phases
        in_windows = sum(window.seconds for window in record.windows)
        assert in_windows == pytest.approx(phases.compile_and_first_step_seconds + phases.training_seconds, abs=1e-6)

    def test_the_warm_up_has_sixty_steps_and_is_not_in_throughput(self, measured):
        record, _, _ = measured
        assert sum(window.steps for window in record.windows if window.warmup) == 60
        steady = [window for window in record.windows if not window.warmup]
        assert len(steady) == record.summary.throughput.windows == 8

    def test_the_pace_of_the_warm_up_sets_the_length_of_a_window(self, measured):
        record, _, _ = measured
        steady = [window for window in record.windows if not window.warmup]
        last = [window for window in record.windows if window.warmup][-1]
        wanted = math.ceil(PLAN.window_seconds / (last.seconds / last.steps))
        assert {window.steps for window in steady} == {max(PLAN.window_steps, wanted)}
        assert {window.steps for window in record.windows if window.warmup} <= {1, 5, 4}

    def test_the_first_step_is_measured_separately(self, measured):
        record, _, _ = measured
        first = record.windows[0]
        assert (first.steps, first.warmup) == (1, True)
        assert record.summary.compile_seconds == pytest.approx(first.seconds, abs=0.01)

    def test_the_resident_batch_is_measured_after_the_training(self, measured):
        record, events, _ = measured
        names = [event["event"] for event in events]
        assert names.index("resident") > names.index("evaluated")
        assert len(record.resident_windows) == 3
        assert record.summary.resident_throughput.median > 0

    def test_every_loss_is_in_the_event_log(self, measured):
        record, events, _ = measured
        losses = [loss for event in events if event["event"] == "steps" for loss in event["losses"]]
        assert len(losses) == sum(window.steps for window in record.windows)
        assert losses[-1] == record.summary.final_loss

    def test_a_limited_evaluation_is_whole_batches(self, measured):
        record, _, _ = measured
        assert record.summary.evaluated_images == 128

    def test_memory_is_that_of_a_process_with_mindspore(self, measured):
        record, _, _ = measured
        assert 100 * 2**20 < record.summary.peak_memory_bytes < 8 * 2**30


@pytest.mark.mindspore
def test_a_training_whose_loss_is_not_finite_is_diverged(digits, new_store):
    plan = Plan(epochs=5)
    hyper = Hyperparameters(learning_rate=1e6)
    case = Case(dataset="digits", profile=FAST, plan=plan, hyperparameters=hyper)
    (record,) = LocalEngine().run([case], {"digits": digits}, new_store([case], digits))
    assert record.status is Status.DIVERGED
    assert "the loss of step" in record.reason


@pytest.mark.mindspore
def test_digits_are_learned(digits, new_store):
    """Whole epochs reach an accuracy of 0.95 on the way, and the time to it is in the record."""
    hyper = Hyperparameters(learning_rate=0.05)
    case = Case(dataset="digits", profile=FAST, plan=Plan(epochs=EPOCHS, resident_windows=0), hyperparameters=hyper)
    (record,) = LocalEngine().run([case], {"digits": digits}, new_store([case], digits))
    assert record.status is Status.OK, record
    assert record.summary.accuracy >= 0.95
    assert len(record.evaluations) == EPOCHS
    reached = record.summary.seconds_to_accuracy["0.95"]
    assert 0 < reached <= record.phases.compile_and_first_step_seconds + record.phases.training_seconds


def test_the_phases_of_the_clock_add_up():
    clock = PhaseClock(time.perf_counter())
    for phase in ("compile_and_first_step", "training", "evaluation", "training", "resident"):
        time.sleep(0.002)
        clock.enter(phase)
    phases = clock.phases().model_dump()
    wall = phases.pop("wall_seconds")
    assert sum(phases.values()) == pytest.approx(wall, abs=1e-9)
    assert phases["evaluation_seconds"] >= 0.002
    assert phases["other_seconds"] == 0


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MemoryError(), Status.OUT_OF_MEMORY),
        (RuntimeError("Malloc for kernel output failed: Out of Memory"), Status.OUT_OF_MEMORY),
        (RuntimeError("std::bad_alloc"), Status.OUT_OF_MEMORY),
        (DivergedError("the loss of step 3 is nan"), Status.DIVERGED),
        (ModuleNotFoundError("No module named 'mindspore'"), Status.UNAVAILABLE),
        (ValueError("x"), Status.CRASHED),
    ],
)
def test_the_status_of_an_exception(error, status):
    assert failure(error).status is status
