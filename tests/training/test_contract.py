"""Every trainer keeps the contract. The reference trainer shows that the interface is all that a framework needs."""

from __future__ import annotations

import shutil

import pytest
from contract import TrainerContract, found, reference
from fast import FAST

from lenet.cases.case import Case, DeviceTarget, Mode, Pipeline, RuntimeProfile
from lenet.machine.card import present_devices
from tests.installed import NEEDS_PYTORCH

__all__ = ["found", "reference"]  # fixtures


class TestReference(TrainerContract):
    case = Case(pipeline=Pipeline.CACHED)
    trainer = "numpy_trainer:NumpyTrainer"


@pytest.mark.mindspore
class TestMindSporePyNative(TrainerContract):
    case = Case(mode=Mode.PYNATIVE, profile=RuntimeProfile.parse("onednn_isa=AVX2+launch_blocking+operator_threads=1"))

    def test_the_profile_is_in_force(self, found):
        assert found["software"]["details"]["operator_threads"] == "1"


@pytest.mark.mindspore
class TestMindSporeGraphCached(TrainerContract):
    case = Case(mode=Mode.GRAPH, profile=FAST, pipeline=Pipeline.CACHED)


@pytest.mark.mindspore
class TestMindSporeJit(TrainerContract):
    case = Case(mode=Mode.JIT, profile=FAST)


@pytest.mark.mindspore
class TestMindSporeModel(TrainerContract):
    case = Case(mode=Mode.MODEL, profile=FAST)


GPU = pytest.mark.skipif(DeviceTarget.GPU not in present_devices(), reason="no GPU is here")


@NEEDS_PYTORCH
class TestTorchEager(TrainerContract):
    case = Case(framework="pytorch", mode=Mode.EAGER)

    def test_its_precision_is_named_as_mindspores_is(self, found):
        """`compare` refuses to compare float32 with the TF32 that MindSpore has on a GPU by default."""
        assert found["software"]["details"]["precision"] == "float32"


@NEEDS_PYTORCH
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
class TestTorchCompiled(TrainerContract):
    case = Case(framework="pytorch", mode=Mode.COMPILE)


@NEEDS_PYTORCH
class TestTorchCachedWithItsOwnThreads(TrainerContract):
    case = Case(
        framework="pytorch",
        mode=Mode.EAGER,
        pipeline=Pipeline.CACHED,
        profile=RuntimeProfile.parse("operator_threads=1"),
    )

    def test_the_profile_is_in_force(self, found):
        assert found["software"]["details"]["operator_threads"] == "1"


@NEEDS_PYTORCH
@GPU
class TestTorchEagerOnGpu(TrainerContract):
    case = Case(framework="pytorch", device_target=DeviceTarget.GPU, mode=Mode.EAGER)

    def test_the_device_is_named(self, found):
        assert {"device", "cuda", "cudnn"} <= set(found["software"]["details"])
        assert found["software"]["details"]["device"] != "CPU"
        assert found["software"]["details"]["precision"] == "float32"


@NEEDS_PYTORCH
@GPU
class TestTorchCompiledCachedOnGpu(TrainerContract):
    case = Case(framework="pytorch", device_target=DeviceTarget.GPU, mode=Mode.COMPILE, pipeline=Pipeline.CACHED)
