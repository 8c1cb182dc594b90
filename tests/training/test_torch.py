"""PyTorch's modes: `compile` trains as `eager` does, and says what it lacks."""

from __future__ import annotations

import importlib.util

import pytest

from lenet.cases.case import Case, Mode, Plan
from lenet.engine.local import LocalEngine
from lenet.store.record import Status

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is not installed (lenet-bench[torch])"
)


def test_without_a_compiler_compile_is_unavailable_with_its_reason(digits, new_store, monkeypatch):
    monkeypatch.setenv("CXX", "/nowhere/a-compiler")
    plan = Plan(windows=1, warmup_steps=1, window_steps=1, window_seconds=0, evaluation_images=32)
    case = Case(framework="pytorch", mode=Mode.COMPILE, dataset="digits", plan=plan)
    (record,) = LocalEngine().run([case], {"digits": digits}, new_store([case], digits))
    assert record.status is Status.UNAVAILABLE, record.reason
    assert "cannot compile here, it needs a C++ compiler such as g++" in record.reason
    assert "\n" not in record.reason


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
