"""The instrumented worker on PyTorch; tests/commands/test_explain.py has it on MindSpore."""

from __future__ import annotations

import importlib.util

import pytest

from lenet.analysis.explain.account import account
from lenet.analysis.explain.gap import CONVOLUTION, kind
from lenet.cases.case import Case, Mode
from lenet.cases.frameworks import Framework
from lenet.engine import TimeLimits
from lenet.engine.probe import probe
from lenet.worker.instruments import BLOCKS, ProbeResult

STEPS = 12

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is not installed (lenet-bench[torch])"
)


@pytest.fixture(scope="module")
def watched(digits, tmp_path_factory):
    case = Case(framework=Framework.PYTORCH, mode=Mode.EAGER, dataset="digits")
    found = probe(case, digits, "parts", STEPS, tmp_path_factory.mktemp("probe") / "log", TimeLimits(240))
    assert isinstance(found, ProbeResult), found
    return found


def test_every_block_has_all_parts(watched):
    assert len(watched.blocks) == BLOCKS
    assert sum(block.steps for block in watched.blocks) == watched.steps == STEPS
    for block in watched.blocks:
        assert block.plain_seconds > 0
        assert block.kernel_seconds > 0
        assert block.host_seconds > 0
        assert block.data_seconds > 0


def test_the_operators_are_those_of_the_training(watched):
    calls = {each.name: each.calls / STEPS for each in watched.operators}
    assert calls["addmm"] == 3, "a dense layer each"
    assert calls["max_pool2d_with_indices"] == 2
    assert any(kind(name) == CONVOLUTION for name in calls)


def test_the_kernels_are_their_operators(watched):
    """What an operator takes without those it calls adds up to the time in which operators run."""
    kernels = account(watched.blocks).part("kernels")
    assert sum(each.milliseconds for each in watched.operators) / STEPS == pytest.approx(kernels, rel=0.1)
