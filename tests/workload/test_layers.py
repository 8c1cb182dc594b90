"""The layers' shapes and the workload's arithmetic, against figures counted by hand."""

from __future__ import annotations

import math

from lenet.workload.layers import LAYERS, PARAMETERS, bytes_per_step, forward_flops, training_flops


def test_parameters_are_lenets():
    # 150 + 2400 + 48120 + 10164 + 850, no bias in the convolutions.
    counts = [sum(map(math.prod, layer.parameters.values())) for layer in LAYERS]
    assert counts == [150, 2400, 48_120, 10_164, 850]
    assert sum(map(math.prod, PARAMETERS.values())) == sum(counts)


def test_layers_fit_together():
    """Each output, its sides halved where pooling follows, is the next input."""
    for layer, following, pooling in zip(LAYERS, LAYERS[1:], (4, 4, 1, 1), strict=False):
        assert math.prod(layer.output_shape) == pooling * math.prod(following.input_shape)


def test_flops():
    # conv 1: 28*28*6*25, conv 2: 10*10*16*150, dense: 400*120, 120*84, 84*10 multiply-adds.
    forward = 117_600 + 240_000 + 48_000 + 10_080 + 840
    assert forward_flops() == 2 * forward == 833_040
    assert training_flops() == 2 * (3 * forward - 117_600) == 2_263_920


def test_bytes_grow_with_the_batch_and_weights_are_moved_once_a_step():
    one, two, three = (bytes_per_step(size) for size in (1, 2, 3))
    assert three - two == two - one
    assert one > two - one
