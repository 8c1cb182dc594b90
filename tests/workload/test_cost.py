"""The arithmetic of the workload against two other accounts of it."""

from __future__ import annotations

from lenet.workload.cost import LENET, bytes_per_step, flops_per_image


def test_the_parameters_are_lenets():
    # Counted by hand from the layers: 150 + 2400 + 48120 + 10164 + 850, no bias in the convolutions.
    assert [layer.weights for layer in LENET] == [150, 2400, 48_120, 10_164, 850]


def test_layers_fit_together():
    """Each layer's output, halved twice where pooling stands, is the next one's input."""
    pooled = [4, 4, 1, 1]
    for layer, following, factor in zip(LENET, LENET[1:], pooled, strict=False):
        assert layer.outputs == factor * following.inputs


def test_flops_of_the_training_step():
    # conv 1: 28*28*6*25, conv 2: 10*10*16*150, dense: 400*120, 120*84, 84*10 multiply-adds.
    forward = 117_600 + 240_000 + 48_000 + 10_080 + 840
    assert flops_per_image() == 2 * (3 * forward - 117_600) == 2_263_920


def test_traffic_grows_with_the_batch_and_weights_are_moved_once_a_step():
    one, two, three = (bytes_per_step(size) for size in (1, 2, 3))
    assert three - two == two - one
    assert one > two - one
