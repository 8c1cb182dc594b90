"""Initial weights, order and pixels are MindSpore's to the last bit; losses of real trainings are recomputed."""

from __future__ import annotations

import numpy as np
import pytest
from contract import child
from fast import FAST
from recomputed import recompute

from lenet.cases.case import Case, Mode
from lenet.workload.initial import initial_weights
from lenet.workload.layers import PARAMETERS
from lenet.workload.order import order
from lenet.workload.pixels import network_input, resize
from tests.installed import NEEDS_PYTORCH

STEPS = 300
TOLERANCE = 2e-6
"""Until a network leaves the plateau of its first losses, three times the difference that rounding makes."""


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

    def test_every_batch_of_a_pass_cached_or_in_numpy(self, reproduction):
        counted = {name: each["compared"] for name, each in reproduction["batches"].items()}
        assert counted == {"train/1/32": 40, "train/2/100": 12, "test/1/32": 16, "test/2/100": 5}
        for name, each in reproduction["batches"].items():
            assert each["cached"], name
            assert each["cached again"], name
            assert each["arrays"], name


def train(case, folder, steps, out):
    return child("train", case.model_dump_json(), folder, steps, out, environment=case.profile.environment)


@pytest.mark.mindspore
@pytest.mark.parametrize("name", ["mnist", "digits"])
def test_the_reference_recomputes_a_training_of_mindspore(name, request, tmp_path):
    dataset = request.getfixturevalue(name)
    case = Case(mode=Mode.GRAPH, dataset=name, profile=FAST)
    theirs = train(case, dataset.folder, STEPS, tmp_path / "out.json")
    ours = recompute(case, dataset, STEPS)
    assert theirs["initial_weights_sha256"] == ours.initial_weights_sha256
    assert len(ours.losses) == STEPS
    assert np.abs(np.subtract(theirs["losses"], ours.losses)).max() < TOLERANCE
    for layer, values in theirs["weights"].items():
        assert ours.final_weights[layer].ravel() == pytest.approx(values, abs=TOLERANCE), layer
    assert theirs["evaluation"] == vars(ours.evaluation)


@NEEDS_PYTORCH
def test_the_reference_recomputes_a_training_of_pytorch(mnist, tmp_path):
    case = Case(framework="pytorch", mode=Mode.EAGER)
    theirs = train(case, mnist.folder, 100, tmp_path / "out.json")
    ours = recompute(case, mnist, 100, evaluation=False)
    assert theirs["initial_weights_sha256"] == ours.initial_weights_sha256
    assert np.abs(np.subtract(theirs["losses"], ours.losses)).max() < TOLERANCE


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


def test_a_uniform_image_stays_uniform():
    assert (resize(np.full((1, 28, 28), 200, np.uint8)) == 200).all()
    made = network_input(np.full((3, 28, 28), 255, np.uint8))
    assert made.shape == (3, 1, 32, 32)
    assert made.dtype == np.float32
    assert made.max() == pytest.approx(1)
