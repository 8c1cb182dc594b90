"""PyTorch's modes: `compile` trains as `eager` does, and says what it lacks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lenet.cases.case import Case, DeviceTarget, Mode, Plan
from lenet.commands.recompute import recompute
from lenet.commands.verify import verify
from lenet.engine.local import LocalEngine
from lenet.machine.card import present_devices
from lenet.store.proof import TrainingStatus
from lenet.store.record import Status
from tests.installed import NEEDS_PYTORCH

pytestmark = NEEDS_PYTORCH


GPU = pytest.mark.skipif(DeviceTarget.GPU not in present_devices(), reason="no GPU is here")
PLAN = Plan(windows=1, warmup_steps=1, window_steps=1, window_seconds=0, evaluation_images=32)


@pytest.mark.parametrize(
    ("target", "variable", "needed"),
    [
        (DeviceTarget.CPU, "CXX", "a C++ compiler such as g++"),
        pytest.param(DeviceTarget.GPU, "CC", "Triton, a C compiler such as gcc", marks=GPU),
    ],
)
def test_without_a_compiler_compile_is_unavailable_with_its_reason(
    digits, new_store, monkeypatch, target, variable, needed
):
    monkeypatch.setenv(variable, "/nowhere/a-compiler")
    case = Case(framework="pytorch", device_target=target, mode=Mode.COMPILE, dataset="digits", plan=PLAN)
    (record,) = LocalEngine().run([case], {"digits": digits}, new_store([case], digits))
    assert record.status is Status.UNAVAILABLE, record.reason
    assert f"cannot compile here, it needs {needed}" in record.reason
    assert "\n" not in record.reason


def test_compilation_finds_nothing_that_an_earlier_process_compiled(tmp_path):
    """Each process has a new folder, for Triton too: on a GPU it keeps what gcc compiled, and then needs no gcc."""
    old = tmp_path / "old"
    code = (
        "import os, torch\n"
        "from lenet.training.torch import compiled\n"
        "_, folder = compiled(torch.nn.ReLU(), torch.device('cpu'))\n"
        "print(folder.name, os.environ['TORCHINDUCTOR_CACHE_DIR'], os.environ['TRITON_CACHE_DIR'], sep='\\n')\n"
    )
    environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(old), "TRITON_CACHE_DIR": str(old)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    folder, *caches = map(Path, done.stdout.split())
    assert all(each == folder or folder in each.parents for each in caches)
    assert not old.exists()


def test_an_old_records_pynative_is_eager(digits, new_store):
    """Its case keeps the name that it was given, and with it its id."""
    plan = Plan(windows=1, warmup_steps=2, window_steps=1, window_seconds=0, resident_windows=0, evaluation_images=32)
    cases = [Case(framework="pytorch", mode=mode, dataset="digits", plan=plan) for mode in (Mode.PYNATIVE, Mode.EAGER)]
    old, new = LocalEngine().run(cases, {"digits": digits}, new_store(cases, digits))
    assert "-pynative-" in old.case_id
    assert "-eager-" in new.case_id
    assert old.losses_sha256 is not None
    assert old.losses_sha256 == new.losses_sha256
    assert old.weights_sha256 == new.weights_sha256


@GPU
def test_a_run_on_a_gpu_is_verified_and_its_training_proved(digits, new_store):
    plan = Plan(windows=4, warmup_steps=20, window_steps=10, window_seconds=0, resident_windows=1)
    cases = [
        Case(framework="pytorch", device_target=DeviceTarget.GPU, mode=mode, dataset="digits", plan=plan)
        for mode in (Mode.EAGER, Mode.COMPILE)
    ]
    store = new_store(cases, digits)
    records = LocalEngine().run(cases, {"digits": digits}, store)
    assert [record.status for record in records] == [Status.OK, Status.OK], [record.reason for record in records]
    result = verify(store.path, lambda claims: recompute(claims, lambda _: digits))
    assert [str(each) for each in result.violations] == []
    assert {proof.status for proof in result.trainings.values()} == {TrainingStatus.PROVED}
    assert all("so is the accuracy" in proof.reason for proof in result.trainings.values())
