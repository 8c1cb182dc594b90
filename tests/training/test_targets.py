"""FAKE LAYER: the calls to MindSpore for GPU and Ascend, recorded by a fake in MindSpore's place.

No GPU and no Ascend was there to run it on. These tests show which calls are made, in which order, and what becomes
of their errors; they show nothing about what a device does with them. The names and arguments are those of MindSpore
2.10's documentation, and the last test holds them against the installed MindSpore.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import types

import pytest

from lenet.cases.case import DeviceTarget, RuntimeProfile

CPU, GPU, ASCEND = DeviceTarget.CPU, DeviceTarget.GPU, DeviceTarget.ASCEND


class Recorder(types.ModuleType):
    """In place of any module: records every call by its dotted name, and returns the value in `answers`."""

    def __init__(self, name, calls, answers):
        super().__init__(name)
        self.__dict__.update(_calls=calls, _answers=answers, __path__=[], __version__="2.10.0")

    def __getattr__(self, name):
        if name.startswith("__") and name != "__add__":
            raise AttributeError(name)
        full = f"{self.__name__}.{name}".removeprefix("mindspore.")
        return Recorder(full, self._calls, self._answers)

    def __call__(self, *arguments):
        self._calls.append((self.__name__, arguments))
        answer = self._answers.get(self.__name__)
        if isinstance(answer, Exception):
            raise answer
        return answer if answer is not None else Recorder(f"{self.__name__}()", self._calls, self._answers)


@pytest.fixture
def fake(monkeypatch):
    """`lenet.training.targets` with a recorder; returns the module, the calls and the answers."""
    calls, answers = [], {}
    root = Recorder("mindspore", calls, answers)
    monkeypatch.setitem(sys.modules, "mindspore", root)
    monkeypatch.setitem(sys.modules, "mindspore.communication", Recorder("communication", calls, answers))
    monkeypatch.delitem(sys.modules, "lenet.training.targets", raising=False)
    module = importlib.import_module("lenet.training.targets")
    yield module, calls, answers
    sys.modules.pop("lenet.training.targets", None)


def names(calls):
    return [name for name, _ in calls]


@pytest.mark.parametrize("target", [GPU, ASCEND])
def test_one_process_opens_the_first_visible_device(fake, target):
    targets, calls, _ = fake
    targets.choose_device(target)
    assert calls[0] == ("set_device", (target.value,))
    assert "communication.init" not in names(calls)
    assert any("asnumpy" in name for name in names(calls)), "the device opens at its first operator"


@pytest.mark.parametrize(("target", "backend"), [(GPU, "nccl"), (ASCEND, "hccl")])
def test_a_rank_opens_its_own_device_and_joins_before_the_first_operator(fake, target, backend, monkeypatch):
    targets, calls, _ = fake
    monkeypatch.setenv("DEVICE_ID", "3")
    targets.choose_device(target, world_size=4)
    assert calls[:2] == [("set_device", (target.value, 3)), ("communication.init", (backend,))]
    assert names(calls).index("communication.init") < names(calls).index("Tensor")


def test_on_the_cpu_ranks_share_the_one_device(fake, monkeypatch):
    targets, calls, _ = fake
    monkeypatch.setenv("DEVICE_ID", "1")
    targets.choose_device(CPU, world_size=2)
    assert calls == [("set_device", ("CPU",)), ("communication.init", ("mccl",))]


@pytest.mark.parametrize("target", [GPU, ASCEND])
def test_a_device_that_does_not_open_is_unavailable_with_what_is_missing(fake, target, monkeypatch):
    targets, _, answers = fake
    answers["set_device"] = RuntimeError("Unsupported device target.\nThis process only supports ['CPU'].")
    monkeypatch.setattr(targets, "missing", lambda target: ["the driver", "a library"])
    with pytest.raises(targets.DeviceUnavailableError, match=f"cannot use {target.value} here: the driver; a library"):
        targets.choose_device(target)
    monkeypatch.setattr(targets, "missing", lambda target: [])
    with pytest.raises(targets.DeviceUnavailableError, match="This process only supports"):
        targets.choose_device(target)


def test_deterministic_on_ascend_is_mindspores_switch(fake):
    targets, calls, _ = fake
    targets.make_deterministic(RuntimeProfile.parse("deterministic"), ASCEND)
    assert calls == [("set_deterministic", (True,))]


def test_deterministic_on_a_gpu_fixes_the_convolutions(fake):
    targets, calls, _ = fake
    targets.make_deterministic(RuntimeProfile.parse("deterministic"), GPU)
    assert dict(calls) == {
        "device_context.gpu.op_tuning.conv_fprop_algo": ("implicit_gemm",),
        "device_context.gpu.op_tuning.conv_dgrad_algo": ("algo_1",),
        "device_context.gpu.op_tuning.conv_wgrad_algo": ("algo_1",),
    }


@pytest.mark.parametrize("target", list(DeviceTarget))
def test_default_sets_nothing(fake, target):
    targets, calls, _ = fake
    targets.make_deterministic(RuntimeProfile(), target)
    assert calls == []


def test_gradients_are_summed_and_divided(fake):
    targets, _, answers = fake
    answers["ops.AllReduce"] = lambda gradient: gradient * 4  # four ranks with the same gradient
    assert targets.mean_over_ranks(4)((1.5, -2.0)) == (1.5, -2.0)


def test_hccl_is_set_by_the_environment():
    assert RuntimeProfile.parse("deterministic").environment == {"HCCL_DETERMINISTIC": "true"}
    assert RuntimeProfile.parse("jit_level=O1").environment == {}
    with pytest.raises(ValueError, match="O0"):
        RuntimeProfile.parse("jit_level=O9")


@pytest.mark.mindspore
def test_the_installed_mindspore_has_these_functions():
    code = (
        "import json, inspect, mindspore as ms\n"
        "from mindspore.communication import init, get_rank\n"
        "tuning = ms.device_context.gpu.op_tuning\n"
        "calls = [(ms.set_device, ('Ascend', 1)), (ms.set_deterministic, (True,)), (init, ('hccl',)), (get_rank, ()),\n"
        "    (ms.runtime.max_memory_allocated, ()), (ms.runtime.synchronize, ()),\n"
        "    (tuning.conv_fprop_algo, ('implicit_gemm',)), (tuning.conv_dgrad_algo, ('algo_1',)),\n"
        "    (tuning.conv_wgrad_algo, ('algo_1',))]\n"
        "for function, arguments in calls: inspect.signature(function).bind(*arguments)\n"
        "inspect.signature(ms.jit).bind(jit_level='O1')\n"
        "print(json.dumps(len(calls)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == 9
