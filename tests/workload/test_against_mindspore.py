"""MindSpore's weights, order and pixels, made again in numpy: equal to the last bit. And the twin on real MNIST."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from contract import child

from lenet.analysis.traces import compare
from lenet.workload.initial import initial_weights
from lenet.workload.layers import PARAMETERS
from lenet.workload.order import order
from lenet.workload.pixels import network_input, resize

MNIST_STEPS = 200
MNIST_TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def reproduction(digits, tmp_path_factory):
    return child("reproduction", digits.folder, tmp_path_factory.mktemp("reproduction") / "out.json")


@pytest.mark.mindspore
class TestAgainstMindSpore:
    def test_the_initial_weights(self, reproduction):
        assert len(reproduction["weights"]) == 5
        assert all(reproduction["weights"].values()), reproduction["weights"]

    def test_the_order(self, reproduction):
        assert len(reproduction["orders"]) == 50
        assert [name for name, same in reproduction["orders"].items() if not same] == []

    def test_the_pixels_of_noise_and_edges(self, reproduction):
        assert len(reproduction["pixels"]) == 304
        assert all(reproduction["pixels"])

    def test_every_batch_of_a_pass_held_or_in_numpy(self, reproduction):
        counted = {name: each["compared"] for name, each in reproduction["batches"].items()}
        assert counted == {"train/1/32": 40, "train/2/100": 12, "test/1/32": 16, "test/2/100": 5}
        for name, each in reproduction["batches"].items():
            assert each["cached"], name
            assert each["cached again"], name
            assert each["arrays"], name


@pytest.mark.mindspore
def test_the_twin_agrees_with_mindspore_step_by_step_on_real_mnist(mnist, tmp_path):
    if importlib.util.find_spec("torch") is None:
        pytest.skip("PyTorch is not installed (lenet-bench[torch])")
    # Capped to AVX2, where MindSpore 2.10's convolutions are fast on every machine.
    fast = {"ONEDNN_MAX_CPU_ISA": "AVX2"}
    theirs = child(
        "epoch", "mindspore", "graph", "tutorial", mnist.folder, MNIST_STEPS, tmp_path / "a", environment=fast
    )
    twin = child("epoch", "pytorch", "pynative", "tutorial", mnist.folder, MNIST_STEPS, tmp_path / "b")
    agreement = compare(theirs["losses"], twin["losses"], MNIST_TOLERANCE)
    assert agreement.steps == MNIST_STEPS
    assert agreement.within, agreement


def test_an_order_is_a_permutation_that_the_seed_decides():
    for count in (1, 2, 97, 1285):
        assert sorted(order(count, 3).tolist()) == list(range(count))
    assert order(97, 3).tolist() != order(97, 4).tolist()


def test_weights_have_their_shapes_and_the_seed_decides_them():
    one, two = initial_weights(1), initial_weights(2)
    assert {name: value.shape for name, value in one.items()} == PARAMETERS
    assert {value.dtype for value in one.values()} == {np.dtype(np.float32)}
    assert all((one[name] != two[name]).any() for name in PARAMETERS)
    assert np.std(one["layers.7.weight"]) == pytest.approx(0.02, rel=0.02)


def test_a_plain_image_stays_plain():
    assert (resize(np.full((1, 28, 28), 200, np.uint8)) == 200).all()
    made = network_input(np.full((3, 28, 28), 255, np.uint8))
    assert made.shape == (3, 1, 32, 32)
    assert made.dtype == np.float32
    assert made.max() == pytest.approx(1)
