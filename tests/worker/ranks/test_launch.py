"""Two real ranks on this machine's CPU: the same training as one process, and a rank that dies."""

from __future__ import annotations

import functools
import threading
import time

import psutil
import pytest
from fast import FAST
from recomputed import recompute

from lenet.analysis.traces import losses
from lenet.cases.case import Case, Hyperparameters, Mode, Plan
from lenet.commands.recompute import recompute as recompute_trainings
from lenet.commands.verify import verify
from lenet.dataset import at_hand
from lenet.engine import SilentObserver, TimeLimits
from lenet.engine.local import LocalEngine
from lenet.store.events import Steps
from lenet.store.proof import TrainingStatus
from lenet.store.record import Status

pytestmark = [pytest.mark.mindspore, pytest.mark.parallel]

LOSS_TOLERANCE = 2e-6
"""Float32 sums in another order, over two epochs in which the network learns nothing yet."""


def ranks_of_this_process():
    found = {}
    for process in psutil.Process().children(recursive=True):
        try:
            if "rank.py" in process.cmdline() and process.environ().get("MS_ROLE") == "MS_WORKER":
                found[process.environ()["RANK_ID"]] = process
        except psutil.Error:
            continue
    return found


def assert_proved(store):
    """The run is verified, and its trainings are recomputed with their weights."""
    result = verify(store.path, functools.partial(recompute_trainings, find=at_hand))
    assert [str(each) for each in result.violations] == []
    assert len(result.trainings) == len(store.manifest.cases)
    for proof in result.trainings.values():
        assert proof.status is TrainingStatus.PROVED, proof
        assert "weights after the first 2" in proof.reason


def test_two_ranks_train_what_one_process_trains(digits, new_store):
    """Strong scaling: the whole batch is the same, image by image, so the losses are, but for rounding."""
    plan = Plan(epochs=2, resident_windows=1, window_steps=10, window_seconds=0)
    alone = Case(mode=Mode.GRAPH, dataset="digits", profile=FAST, plan=plan)
    together = alone.model_copy(update={"world_size": 2})
    store = new_store([alone, together], digits)
    one, two = LocalEngine(TimeLimits(240, 200)).run([alone, together], {"digits": digits}, store)
    assert one.status is Status.PLATEAU, one
    assert two.status is Status.PLATEAU, two
    first, second = losses(store, alone), losses(store, together)
    assert len(first) == len(second) == 80
    assert first != second, "two processes sum in another order: equal bits would mean that nothing was shared"
    assert max(abs(a - b) for a, b in zip(first, second, strict=True)) < LOSS_TOLERANCE
    assert recompute(together, digits, 80, evaluation=False).losses == pytest.approx(second, abs=LOSS_TOLERANCE)
    assert one.weights_sha256["initial"] == two.weights_sha256["initial"]
    assert [window.images for window in one.windows] == [window.images for window in two.windows]
    assert abs(one.evaluations[-1].correct - two.evaluations[-1].correct) <= 3
    assert two.software.details["ranks"] == "2"
    assert two.summary.resident_throughput.median > 0
    assert two.summary.peak_memory_bytes > one.summary.peak_memory_bytes
    assert_proved(store)


def test_a_rank_that_is_killed_is_a_record_and_no_hang(digits, new_store):
    """The other rank waits for its gradients; nothing outlives the case."""
    case = Case(mode=Mode.GRAPH, dataset="digits", profile=FAST, world_size=2, plan=Plan(epochs=10_000))
    seen = {}

    class Killer(SilentObserver):
        def event(self, case, event):
            if isinstance(event, Steps) and not seen:
                seen.update(ranks_of_this_process(), began=time.monotonic())
                threading.Timer(0.2, seen["1"].kill).start()

    (record,) = LocalEngine(TimeLimits(240, 200), Killer()).run([case], {"digits": digits}, new_store([case], digits))
    assert record.status is Status.CRASHED, record
    assert "rank 1 of 2 died" in record.reason
    assert record.stderr_tail.rstrip().endswith("== end of worker_1.log")
    assert time.monotonic() - seen["began"] < 60
    _, alive = psutil.wait_procs([seen["0"], seen["1"]], timeout=10)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []
    assert len(record.windows) >= 1


def test_weak_scaling_trains_a_batch_a_rank_until_the_budget_ends(digits, new_store):
    """Pace and budget are read from each rank's own clock, and must end the training on both at the same step."""
    plan = Plan(
        windows=10_000, budget_seconds=3, warmup_steps=3, window_steps=4, window_seconds=0.02, resident_windows=0
    )
    case = Case(
        mode=Mode.JIT, dataset="digits", profile=FAST, world_size=2, scaling="weak", plan=plan,
        hyperparameters=Hyperparameters(batch_size=32),
    )  # fmt: skip
    store = new_store([case], digits)
    (record,) = LocalEngine(TimeLimits(240, 200)).run([case], {"digits": digits}, store)
    assert record.status is Status.OK, record
    assert record.windows[0].images == 64
    trace = losses(store, case)
    assert recompute(case, digits, len(trace), evaluation=False).losses == pytest.approx(trace, abs=LOSS_TOLERANCE)
    assert_proved(store)
    assert 3 <= sum(window.seconds for window in record.windows) < 60
