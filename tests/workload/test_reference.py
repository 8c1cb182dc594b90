"""The reference trainer: its gradients against finite differences, Momentum by hand, data parallel, other trainings."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from recomputed import recompute

from lenet.cases.case import Case, Hyperparameters, Plan, Scaling
from lenet.errors import DatasetError
from lenet.workload.initial import initial_weights, weights_sha256
from lenet.workload.layers import PARAMETERS
from lenet.workload.reference import (
    CELLS,
    ReferenceTraining,
    convolution,
    dense,
    flatten,
    loss_and_gradients,
    max_pooling,
    relu,
    softmax_cross_entropy,
)

STEP = 1e-5
"""Of the central differences, whose error is about STEP**2."""
LABELS = np.array([3, 0, 9, 3])


def draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def numerical_gradient(function, array, positions):
    """Central differences of the scalar `function()` at positions of `array`, which is changed and restored."""
    found = []
    for position in positions:
        value = array[position]
        array[position] = value + STEP
        upper = function()
        array[position] = value - STEP
        lower = function()
        array[position] = value
        found.append((upper - lower) / (2 * STEP))
    return np.array(found)


def some_positions(array, count=40):
    every = list(np.ndindex(*array.shape))
    chosen = np.random.default_rng(5).permutation(len(every))[:count]
    return [every[index] for index in chosen]


@pytest.mark.parametrize(
    ("layer", "inputs"),
    [
        (convolution, [draw(1, 2, 3, 8, 9), draw(2, 4, 3, 5, 5)]),
        (relu, [draw(3, 3, 4, 5)]),
        (max_pooling, [draw(4, 2, 3, 4, 6)]),
        (flatten, [draw(5, 2, 3, 4, 5)]),
        (dense, [draw(6, 5, 7), draw(7, 4, 7), draw(8, 4)]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_gradient_of_each_layer_is_that_of_finite_differences(layer, inputs):
    y, backward = layer(*inputs)
    dy = draw(9, *y.shape)
    gradients = backward(dy)
    assert [gradient.shape for gradient in gradients] == [array.shape for array in inputs]
    for array, gradient in zip(inputs, gradients, strict=True):
        positions = some_positions(array)
        numerical = numerical_gradient(lambda: (layer(*inputs)[0] * dy).sum(), array, positions)
        assert np.array([gradient[position] for position in positions]) == pytest.approx(numerical, abs=1e-7)


def test_the_gradient_of_the_loss_is_that_of_finite_differences():
    logits = draw(10, 4, 10)
    loss, gradient = softmax_cross_entropy(logits, LABELS)
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert loss == pytest.approx(-np.log(chances[range(4), LABELS]).mean())
    positions = list(np.ndindex(4, 10))
    numerical = numerical_gradient(lambda: softmax_cross_entropy(logits, LABELS)[0], logits, positions)
    assert gradient.ravel() == pytest.approx(numerical, abs=1e-8)


def test_large_logits_do_not_overflow():
    loss, gradient = softmax_cross_entropy(np.array([[1e4, 0.0], [0.0, 1e4]]), np.array([0, 0]))
    assert loss == 5e3
    assert np.isfinite(gradient).all()


def test_pooling_gives_the_gradient_to_the_first_of_equal_maxima():
    _, backward = max_pooling(np.ones((1, 1, 2, 2)))
    assert backward(np.full((1, 1, 1, 1), 7.0))[0].tolist() == [[[[7, 0], [0, 0]]]]


def test_the_gradient_of_the_network_is_that_of_finite_differences():
    # With weights as large as these, every layer contributes.
    weights = {name: draw(index, *shape) * 0.2 for index, (name, shape) in enumerate(PARAMETERS.items())}
    images = np.random.default_rng(11).random((4, 1, 32, 32))
    loss, gradients = loss_and_gradients(weights, images, LABELS)
    assert gradients.keys() == PARAMETERS.keys()
    assert loss > 0
    for name, gradient in gradients.items():
        positions = some_positions(weights[name], 8)
        numerical = numerical_gradient(lambda: loss_and_gradients(weights, images, LABELS)[0], weights[name], positions)
        found = np.array([gradient[position] for position in positions])
        assert found == pytest.approx(numerical, rel=1e-4, abs=1e-7), name
        assert np.abs(found).max() > 1e-4, name


def test_momentum_by_hand(digits):
    case = Case(dataset="digits", hyperparameters=Hyperparameters(learning_rate=0.5, momentum=0.75))
    training = ReferenceTraining(case, digits, np.float64)
    weights = [dict(training.weights)]
    batches = list(islice(training._training_pass(), 3))
    for images, labels in batches:
        training.step(images, labels)
        weights.append(dict(training.weights))
    name = "layers.9.weight"
    first, second, third = (
        loss_and_gradients(before, images.astype(np.float64), labels)[1][name]
        for before, (images, labels) in zip(weights, batches, strict=False)
    )
    assert weights[1][name] == pytest.approx(weights[0][name] - 0.5 * first, abs=1e-15)
    assert weights[2][name] == pytest.approx(weights[1][name] - 0.5 * (0.75 * first + second), abs=1e-15)
    velocity = 0.75 * (0.75 * first + second) + third
    assert weights[3][name] == pytest.approx(weights[2][name] - 0.5 * velocity, abs=1e-15)


class TestRecompute:
    def test_a_whole_short_training(self, digits):
        hyper = Hyperparameters(batch_size=8, learning_rate=0.05)
        found = recompute(Case(dataset="digits", plan=Plan(epochs=2), hyperparameters=hyper), digits, 320)
        assert found.initial_weights_sha256 == weights_sha256(initial_weights(1).items())
        assert len(found.losses) == 320
        assert found.final_weights["layers.0.weight"].dtype == np.float32
        assert found.evaluation.images == 512
        assert found.evaluation.correct > 150, "by chance it is 51"

    def test_the_evaluation_is_as_planned(self, digits):
        case = Case(dataset="digits", plan=Plan(evaluation_images=100))
        assert recompute(case, digits, 1).evaluation.images == 128
        assert recompute(case, digits, 1, evaluation=False).evaluation is None

    def test_a_batch_larger_than_the_training_set(self, digits):
        case = Case(dataset="digits", hyperparameters=Hyperparameters(batch_size=2048))
        with pytest.raises(DatasetError, match="fewer images than a batch"):
            recompute(case, digits, 1)

    def test_float32_differs_from_float64_by_rounding(self, digits):
        case = Case(dataset="digits", hyperparameters=Hyperparameters(learning_rate=0.05))
        single, double = (recompute(case, digits, 20, evaluation=False, dtype=t) for t in (np.float32, np.float64))
        differences = np.abs(np.subtract(single.losses, double.losses))
        assert 0 < differences.max() < 2e-6
        assert double.final_weights["layers.0.weight"].dtype == np.float64

    def test_strong_scaling_is_the_training_of_one_process(self, digits):
        one = Case(dataset="digits", hyperparameters=Hyperparameters(batch_size=16))
        four = one.model_copy(update={"world_size": 4})
        a, b = (recompute(case, digits, 10, evaluation=False, dtype=np.float64) for case in (one, four))
        assert b.losses == pytest.approx(a.losses, abs=1e-13)
        assert b.losses != a.losses, "the ranks' losses are averaged"

    def test_weak_scaling_is_the_training_with_the_whole_batch(self, digits):
        ranks = Case(
            dataset="digits", world_size=2, scaling=Scaling.WEAK, hyperparameters=Hyperparameters(batch_size=16)
        )
        whole = Case(dataset="digits", hyperparameters=Hyperparameters(batch_size=32))
        a, b = (recompute(case, digits, 42, evaluation=False, dtype=np.float64) for case in (ranks, whole))
        assert a.losses == pytest.approx(b.losses, abs=1e-12), "over the end of the first pass of 40 steps, too"

    @pytest.mark.parametrize(
        ("change", "step"),
        [
            ({"seed": 2}, 1),
            ({"learning_rate": 0.011}, 2),
            ({"momentum": 0.8}, 3),
        ],
    )
    def test_another_training_differs_from_the_step_where_it_must(self, digits, change, step):
        hyper = Hyperparameters()
        case = Case(dataset="digits", hyperparameters=hyper)
        other = case.model_copy(update={"hyperparameters": hyper.model_copy(update=change)})
        a, b = (recompute(each, digits, 6, evaluation=False).losses for each in (case, other))
        differs = [abs(x - y) > 1e-6 for x, y in zip(a, b, strict=True)]
        assert differs.index(True) + 1 == step
        assert all(differs[step:])

    def test_a_missing_layer_differs_at_the_first_step(self, digits):
        case = Case(dataset="digits")
        identity = flatten  # of what is a matrix already
        other = ReferenceTraining(case, digits, cells=(*CELLS[:8], identity, *CELLS[9:]))
        (honest,) = recompute(case, digits, 1, evaluation=False).losses
        assert abs(next(other.losses()) - honest) > 1e-6
