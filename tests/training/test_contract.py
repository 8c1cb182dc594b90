"""Every trainer keeps the contract. The reference trainer shows that the interface is all that a framework needs."""

from __future__ import annotations

import importlib.util
import shutil

import pytest
from contract import TrainerContract, found, reference
from fast import FAST

from lenet.cases.case import Case, Mode, Pipeline, RuntimeProfile

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


TORCH = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is not installed (lenet-bench[torch])"
)


@TORCH
class TestTorchEager(TrainerContract):
    case = Case(framework="pytorch", mode=Mode.EAGER)


@TORCH
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
class TestTorchCompiled(TrainerContract):
    case = Case(framework="pytorch", mode=Mode.COMPILE)


@TORCH
class TestTorchCachedWithItsOwnThreads(TrainerContract):
    case = Case(
        framework="pytorch",
        mode=Mode.EAGER,
        pipeline=Pipeline.CACHED,
        profile=RuntimeProfile.parse("operator_threads=1"),
    )

    def test_the_profile_is_in_force(self, found):
        assert found["software"]["details"]["operator_threads"] == "1"
