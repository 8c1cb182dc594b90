"""Sketches of weights against recomputed ones; the causes that they name are in `test_training.py`."""

from __future__ import annotations

import numpy as np
import pytest

from lenet.analysis.weights import first_steps, last_step
from lenet.cases.case import Hyperparameters
from lenet.store.events import Layer
from lenet.store.sketch import project
from lenet.workload.recomputation import RecomputedLayer

SIZE = 1000
ROUNDING, UPDATE_ERROR = 1e-8, 1e-11


def draw(seed, scale):
    return np.random.default_rng(seed).normal(0, scale / np.sqrt(SIZE), SIZE)


BEFORE, CHANGE = draw(1, 1.0), draw(2, 1e-4)


def expected(**changes):
    known = RecomputedLayer(
        SIZE, project(BEFORE + CHANGE), project(CHANGE), np.zeros(16), 1e-4, 1e-6, ROUNDING, UPDATE_ERROR
    )._replace(**changes)
    return {"a": known, "b": known}


def layer(name, difference=0.0, **fields):
    values = BEFORE + CHANGE + difference
    return Layer(name=name, sha256="0" * 64, **{"norm": 1.0, "sketch": tuple(project(values)), **fields})


def compare(*layers, step=1, **changes):
    return first_steps(step, layers, expected(**changes), Hyperparameters())


def test_equal_weights():
    assert compare(layer("a"), layer("b")) is None


@pytest.mark.parametrize(("distance", "differs"), [(0.2 * ROUNDING, False), (2 * ROUNDING, True)])
def test_a_difference_is_compared_with_the_rounding_of_the_weights(distance, differs):
    assert (compare(layer("a"), layer("b", draw(3, distance))) is not None) is differs


@pytest.mark.parametrize(
    "bad",
    [
        layer("c"),
        layer("b", sketch=(), norm=None),
        layer("b", sketch=(1.0,) * 15),
        layer("b", sketch=(1e308,) * 16),
    ],
)
def test_a_parameter_that_is_missing_or_not_finite_differs(bad):
    found = compare(layer("a"), bad)
    assert found.step == 2
    assert "are others (b), by" in found.reason
    assert last_step((layer("a"), bad), expected()) is not None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_recomputation_that_overflowed_proves_nothing(value):
    weights = np.full(16, value)
    assert compare(layer("a"), layer("b"), weights=weights, rounding=value) is None
    assert last_step((layer("a"),), expected(weights=weights, rounding=value)) is None


def test_a_difference_that_is_no_multiple_is_lower_precision_if_it_is_small_and_another_gradient_if_not():
    small, large = (compare(layer("a"), layer("b", draw(3, share * 1e-4))) for share in (0.01, 1.0))
    assert (small.step, large.step) == (1, 2)
    assert "are others (b), by 0.009 of the step's change: lower precision" in small.reason
    assert "another gradient" in large.reason


def test_a_multiple_of_the_change_before_is_another_momentum():
    before = draw(4, 1e-4)
    found = compare(layer("a"), layer("b", -0.01 * before), step=2, change_before=project(before))
    assert found.step == 3
    assert "are others (b): a momentum of 0.89" in found.reason


def test_the_weights_after_many_steps_may_be_rounded_more_often():
    assert last_step((layer("a"), layer("b", draw(3, 5 * ROUNDING))), expected()) is None
    assert "are others (b), by" in last_step((layer("a"), layer("b", draw(3, 30 * ROUNDING))), expected())


def test_a_tie_that_is_decided_otherwise_may_move_them_by_a_hundredth_of_their_way():
    for share, differs in ((5e-3, False), (5e-2, True)):
        members = layer("a"), layer("b", draw(3, share))
        assert (last_step(members, expected(moved=1.0)) is not None) is differs
        assert compare(*members, moved=1.0) is not None, "in the first steps no weight has moved yet"
