"""The instrumented worker on PyTorch; tests/commands/test_explain.py has it on MindSpore."""

from __future__ import annotations

import pytest

from lenet.analysis.explain.account import account
from lenet.analysis.explain.gap import CONVOLUTION, kind
from lenet.cases.case import Case, Mode
from lenet.cases.frameworks import Framework
from lenet.engine import TimeLimits
from lenet.engine.probe import probe
from lenet.worker.instruments import LEAST_ROUNDS, ProbeResult, _precise, _Round, _round
from tests.installed import NEEDS_PYTORCH

STEPS = 12


@pytest.fixture(scope="module")
def watched(digits, tmp_path_factory):
    case = Case(framework=Framework.PYTORCH, mode=Mode.EAGER, dataset="digits")
    found = probe(case, digits, "parts", STEPS, tmp_path_factory.mktemp("probe") / "log", TimeLimits(240))
    assert isinstance(found, ProbeResult), found
    return found


@NEEDS_PYTORCH
class TestPyTorch:
    def test_every_round_has_all_parts(self, watched):
        assert len(watched.rounds) >= LEAST_ROUNDS
        assert sum(each.steps for each in watched.rounds) == watched.steps >= STEPS
        for each in watched.rounds:
            assert min(each.plain_seconds, each.clocked_seconds, each.kernel_seconds) > 0
            assert min(each.host_seconds, each.data_seconds) > 0
        assert watched.seconds == pytest.approx(sum(each.plain_seconds for each in watched.rounds))

    def test_the_operators_are_those_of_the_training(self, watched):
        calls = {each.name: each.calls / watched.steps for each in watched.operators}
        assert calls["addmm"] == 3, "a dense layer each"
        assert calls["max_pool2d_with_indices"] == 2
        assert any(kind(name) == CONVOLUTION for name in calls)

    def test_the_kernels_are_their_operators(self, watched):
        """What an operator takes without those it calls adds up to the time in which operators run."""
        kernels = account(watched.rounds).part("kernels")
        assert sum(each.milliseconds for each in watched.operators) / watched.steps == pytest.approx(kernels, rel=0.1)


class Recorder:
    """Takes the place of training steps, and notes what is asked of it."""

    def __init__(self):
        self.asked = ""

    def plain(self, count):
        self.asked += "p" * count
        return 0.001

    def marked(self, count):
        self.asked += "c" * count
        return [(0, 0, 0, 0)] * count


def test_the_windows_of_a_round_are_balanced_around_the_profiled_one():
    """Of each kind as many steps, and their mean places are those of the profiled ones: a drift cancels."""
    steps = Recorder()

    def run(train):
        steps.asked += "["
        train()
        steps.asked += "]"
        return list

    one = _round(steps, 1, run)
    assert steps.asked == "p" + "pccp" + "[" + "p" + "cccc" + "]" + "p" + "cppc", "the first after a pause is not timed"
    assert len(one.marks) == 4
    kinds = "pccp" + "****" + "cppc"
    means = {kind: sum(place for place, each in enumerate(kinds) if each == kind) / 4 for kind in "pc*"}
    assert means["p"] == means["c"] == means["*"]
    assert one.plain_seconds > 0
    assert one.clocked_seconds > 0


def test_without_a_profiler_the_steps_are_instrumented_all_the_same():
    one = _round(Recorder(), 2, None)
    assert (len(one.marks), one.read) == (8, None)


def test_rounds_end_when_their_ratio_is_precise():
    def measured(*clocked):
        return [_Round(1.0, seconds, 0.0, 0.0, [], None) for seconds in clocked]

    assert _precise(measured(*[1.01, 0.99] * LEAST_ROUNDS))
    assert not _precise(measured(*[1.2, 0.8] * LEAST_ROUNDS))
