"""The split of what remains to PyTorch and to the limit of arithmetic."""

from __future__ import annotations

import pytest

from lenet.analysis.explain.account import Part, StepAccount
from lenet.analysis.explain.gap import gap, kind
from lenet.analysis.explain.observation import Bounds, Observed, Operator, Speed, StepTimes
from lenet.cases.case import Case, Hyperparameters
from lenet.workload.layers import training_flops


def accounted(**parts):
    def part(name, ms):
        return Part(name=name, milliseconds=ms, low=None, high=None)

    named = tuple(part(name.replace("_", " "), ms) for name, ms in parts.items())
    return StepAccount(step=part("step", sum(parts.values())), parts=named)


def operators(**times):
    return tuple(Operator(name=name, calls=1, milliseconds=ms) for name, ms in times.items())


OURS = accounted(data_wait=1.0, host=2.0, kernels=6.0, rest=0.5, less_profiler=-0.3)
THEIRS = accounted(data_wait=0.5, host=1.0, kernels=2.0, rest=0.0)
CASE = Case(hyperparameters=Hyperparameters(batch_size=64))


OPERATORS = operators(Conv2D=3.0, Conv2DBackpropFilter=1.0, MatMul=2.0, ApplyMomentum=2.0)


BOUNDS = Bounds.of(100.0, 10.0, 64, 1000.0)


def observed(account=OURS, ops=OPERATORS, bounds=BOUNDS):
    return Observed(
        case=CASE,
        cores=2,
        speed=Speed(rates=(1000.0,)),
        step=StepTimes(whole=64.0, resident=None, cores_busy=None, system_share=None),
        account=account,
        operators=ops,
        bounds=bounds,
    )


TWIN = (THEIRS, operators(mkldnn_convolution=1.0, addmm=0.5, _foreach_add_=0.4, as_strided=0.1))


class TestGap:
    def test_the_columns_add_up_to_the_steps_and_the_limit(self):
        lines = gap(observed(), TWIN)
        assert sum(each.ours for each in lines) == pytest.approx(OURS.sum)
        assert sum(each.theirs for each in lines) == pytest.approx(THEIRS.sum)
        assert sum(each.limit for each in lines) == pytest.approx(64 * training_flops() / 100e6)

    def test_waits_and_kinds_of_kernels_are_named(self):
        lines = {each.name: each for each in gap(observed(), TWIN)}
        assert set(lines) == {
            "data wait", "host", "rest", "less profiler", "convolution", "matrix product", "optimiser", "other kernels",
        }  # fmt: skip
        assert lines["convolution"].ours == pytest.approx(6 * 4 / 8), "operators of 8 ms in 6 ms: some ran together"
        assert lines["optimiser"].theirs == pytest.approx(0.4)
        assert lines["other kernels"].ours == 0
        assert lines["host"].limit == 0
        assert lines["convolution"].limit > lines["matrix product"].limit > 0

    def test_without_pytorch(self):
        assert {each.theirs for each in gap(observed(), None)} == {None}

    def test_without_measured_limits_there_is_no_line_of_them(self):
        lines = gap(observed(ops=(), bounds=None), TWIN)
        assert {each.limit for each in lines} == {None}
        assert sum(each.ours for each in lines) == pytest.approx(OURS.sum)
        alone = gap(observed(ops=(), bounds=None), (THEIRS, ()))
        assert [each.name for each in alone] == [each.name for each in OURS.parts], "no convolution of 0 ms"

    def test_with_nothing_to_put_beside_it_there_is_none(self):
        assert gap(observed(bounds=None), None) == ()

    def test_without_operators_the_kernels_are_one_part(self):
        lines = {each.name: each.ours for each in gap(observed(ops=()), None)}
        assert lines["kernels"] == 6.0

    def test_without_an_account_there_is_none(self):
        assert gap(observed(account=None), TWIN) == ()


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("Conv2DBackpropInput", "convolution"),
        ("convolution_backward", "convolution"),
        ("MaxPoolGrad", "pooling"),
        ("max_pool2d_with_indices_backward", "pooling"),
        ("ReluGrad", "activation"),
        ("threshold_backward", "activation"),
        ("SparseSoftmaxCrossEntropyWithLogits", "loss"),
        ("_log_softmax_backward_data", "loss"),
        ("BiasAddGrad", "matrix product"),
        ("mm", "matrix product"),
        ("addmm", "matrix product"),
        ("ApplyMomentum", "optimiser"),
        ("add_", "optimiser"),
        ("Flatten", "other kernels"),
        ("resolve_conj", "other kernels"),
    ],
)
def test_operators_of_both_frameworks_have_a_kind(operator, expected):
    assert kind(operator) == expected
