"""Tuning through the real engine, with a worker of known speed in place of the framework."""

from __future__ import annotations

import sys
import textwrap

import pytest

from lenet.cases.case import Case, Mode
from lenet.cases.matrix import Matrix
from lenet.commands.tune import prepare
from lenet.commands.tune import tune as run_search
from lenet.engine import TimeLimits
from lenet.engine.local import LocalEngine
from lenet.report.text.tune import tuning_text
from lenet.store.profiles import load, resolve
from lenet.store.run import Store

WORKER = """
import json, os, sys
fd = int(sys.argv[1])
case = json.loads(sys.stdin.read())["case"]
profile = case["profile"]
def emit(**event):
    os.write(fd, json.dumps(event).encode() + b"\\n")
rate, loss = 500.0, 2.3
{body}
jitter = 1 + 0.001 * case["repetition"]
emit(event="started", initial_weights_sha256="0" * 64,
    software={{"framework_version": "2", "python_version": "3", "numpy_version": "1"}})
for first in range(8):
    emit(event="steps", epoch=1, first_step=first, steps=1, images=32, seconds=32 / rate / jitter, warmup=first < 2,
        losses=[loss - first / 100])
emit(event="evaluated", epoch=0, steps=8, training_seconds=1.0, seconds=0.1, images=32, correct=20, distinct_answers=9)
phases = {{name + "_seconds": 1.0 for name in
    ("import_and_setup", "compile_and_first_step", "training", "evaluation", "resident", "other", "wall")}}
emit(event="finished", phases=phases, final_weights_sha256="1" * 64, losses_sha256="2" * 64, peak_memory_bytes=1)
"""


@pytest.fixture(scope="module")
def tune(tmp_path_factory, digits):
    """Tune with a worker whose speed and losses `body` changes; returns results, messages and the run's store."""

    def go(body, modes=("pynative",)):
        folder = tmp_path_factory.mktemp("tune")
        messages = []
        script = folder / "worker.py"
        script.write_text(WORKER.format(body=textwrap.dedent(body)), encoding="utf-8")
        matrix = Matrix(modes=modes, datasets=("digits",))
        run = prepare(matrix, lambda _: digits, messages.append, folder / "run")
        engine = LocalEngine(TimeLimits(30, 30), command=(sys.executable, str(script)))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LENET_BENCH_PROFILES", str(folder / "profiles"))
            return list(run_search(run, 600, messages.append, engine)), messages, run.store

    return go


FASTER = "rate *= 4 if profile['launch_blocking'] else 1"


@pytest.fixture(scope="module")
def faster(tune):
    """PyNative and Graph mode on a machine where blocking launch is worth four times, in both."""
    return tune(FASTER, ("pynative", "graph"))


def test_the_winner_is_saved_and_resolves(faster, monkeypatch):
    (tuned, _), _, store = faster
    assert tuned.search.winner.profile.text == "launch_blocking"
    assert tuned.tuned.tuned_images_per_second / tuned.tuned.default_images_per_second == pytest.approx(4, rel=0.01)
    monkeypatch.setenv("LENET_BENCH_PROFILES", str(tuned.path.parent))
    assert load(tuned.tuned.scope) == tuned.tuned
    asked = tuned.case.model_copy(update={"profile": tuned.case.profile.parse("tuned")})
    (case,) = resolve([asked], store.manifest.machine.id)
    assert case.profile.launch_blocking
    assert case.profile.tuned_by == "run"


def test_every_measurement_is_a_record_of_the_run(faster):
    _, messages, store = faster
    records = Store.open(store.path).records()
    assert len(records) == len(store.manifest.cases) > 10
    assert messages == []
    assert {record.case.hyperparameters for record in records} == {Case().hyperparameters}, "the workload is untouched"


def test_each_mode_is_tuned_for_itself(faster):
    found, _, _ = faster
    assert [each.case.mode for each in found] == [Mode.PYNATIVE, Mode.GRAPH]
    assert [each.tuned.profile.launch_blocking for each in found] == [True, False]


def test_the_table_fits_and_has_default_each_setting_and_winner(faster):
    (tuned, _), _, _ = faster
    text = tuning_text(tuned.case, tuned.search, 200, 1e-4)
    assert max(map(len, text.splitlines())) <= 80
    for word in ("default", "alone", "confirmed", "launch_blocking", "dispatch_threads=1", "4.0", "0.0001"):
        assert word in text


def test_a_profile_that_changes_the_training_is_refused(tune):
    (tuned,), _, _ = tune(FASTER + "\nloss += 0.01 if profile['launch_blocking'] else 0")
    assert tuned.search.winner is tuned.search.default
    assert tuned.tuned.profile.settings == {}
    text = tuning_text(tuned.case, tuned.search, 200, 1e-4)
    assert "changes the training" in " ".join(text.split())
    assert "No gain beyond noise" in text


def test_last_bits_of_a_loss_may_differ(tune):
    (tuned,), _, _ = tune(FASTER + "\nloss += 1e-6 if profile['launch_blocking'] else 0")
    assert tuned.search.winner.profile.launch_blocking


def test_a_case_that_cannot_run_saves_nothing(tune):
    (tuned,), _, _ = tune("emit(event='failed', status='unavailable', reason='no such device'); sys.exit(1)")
    assert tuned.tuned is None
    assert "no such device" in tuning_text(tuned.case, tuned.search, 200, 1e-4)
