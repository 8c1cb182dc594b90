"""In every mode the training is the tutorial's, step by step and to the last bit."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from fast import FAST

from lenet.cases.case import Case, Hyperparameters, Mode, Plan
from lenet.cases.frameworks import ABILITIES, Framework
from lenet.commands.script import script
from lenet.engine.local import LocalEngine
from lenet.store.record import Status

pytestmark = pytest.mark.mindspore


def transcribed(case, folder, scratch):
    """What the plain script of the case finds: no harness, nothing shared with the trainer."""
    path, out = scratch / "case.py", scratch / "out.json"
    path.write_text(script(case, None), encoding="utf-8")
    command = [sys.executable, str(path), str(folder), "--json", str(out)]
    subprocess.run(command, check=True, cwd=scratch, timeout=280, capture_output=True)
    return json.loads(out.read_text(encoding="utf-8"))


def ours(case, dataset, new_store, events_of):
    store = new_store([case], dataset)
    (record,) = LocalEngine().run([case], {case.dataset: dataset}, store)
    steps = [event for event in events_of(store, case) if event["event"] == "steps"]
    return record, [loss for event in steps for loss in event["losses"]]


@pytest.fixture(scope="module")
def reference(digits, tmp_path_factory):
    """The transcription of the tutorial in PyNative on digits."""
    case = Case(mode=Mode.PYNATIVE, dataset="digits", profile=FAST, plan=Plan(epochs=2))
    return transcribed(case, digits.folder, tmp_path_factory.mktemp("transcription"))


@pytest.mark.parametrize("mode", ABILITIES[Framework.MINDSPORE].modes)
def test_every_mode_is_the_tutorial_to_the_last_bit(mode, reference, digits, new_store, events_of):
    case = Case(mode=mode, dataset="digits", profile=FAST, plan=Plan(epochs=2, resident_windows=1))
    record, losses = ours(case, digits, new_store, events_of)
    assert record.status is Status.PLATEAU, record
    assert len(losses) == 80
    assert losses == reference["losses"]
    assert losses[:40] != losses[40:], "the second epoch continues with other weights"
    assert [[e.correct, e.images] for e in record.evaluations] == reference["accuracies"]


def test_a_whole_epoch_of_real_mnist_is_the_tutorials(mnist, new_store, events_of, tmp_path):
    case = Case(mode=Mode.GRAPH, profile=FAST, plan=Plan(epochs=1, window_steps=100))
    plain = transcribed(case, mnist.folder, tmp_path)
    record, losses = ours(case, mnist, new_store, events_of)
    assert record.status is Status.OK, record
    assert len(losses) == 1875
    assert losses == plain["losses"]
    assert [[e.correct, e.images] for e in record.evaluations] == plain["accuracies"]
    assert record.summary.accuracy > 0.95


def test_another_seed_is_another_training_and_the_same_seed_the_same(digits, new_store, events_of):
    # Windows of a fixed number of steps: with a length in seconds each training would end elsewhere.
    plan = Plan(windows=1, warmup_steps=3, window_steps=7, window_seconds=0, resident_windows=0, evaluation_images=32)
    cases = [
        Case(
            dataset="digits",
            profile=FAST,
            plan=plan,
            repetition=repetition,
            hyperparameters=Hyperparameters(seed=seed),
        )
        for seed, repetition in ((1, 0), (1, 1), (2, 0))
    ]
    store = new_store(cases, digits)
    first, again, other = LocalEngine().run(cases, {"digits": digits}, store)
    assert first.losses_sha256 == again.losses_sha256
    assert first.weights_sha256 == again.weights_sha256
    assert other.losses_sha256 != first.losses_sha256
    assert other.weights_sha256["initial"] != first.weights_sha256["initial"]
    assert first.weights_sha256["initial"] != first.weights_sha256["final"]


@pytest.mark.parametrize("device", ["GPU", "Ascend"])
def test_a_missing_device_is_unavailable_with_its_reason(device, digits, new_store):
    plan = Plan(windows=1, warmup_steps=1, window_steps=1, evaluation_images=32)
    case = Case(device_target=device, dataset="digits", plan=plan)
    (record,) = LocalEngine().run([case], {"digits": digits}, new_store([case], digits))
    if record.status is Status.OK:
        pytest.skip(f"this machine has a working {device}")
    assert record.status is Status.UNAVAILABLE
    assert device in record.reason
    assert "\n" not in record.reason
    assert record.summary.throughput is None
