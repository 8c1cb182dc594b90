"""Digests and sketches of weights: equality to the last bit, and how far apart two layers are."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest

from lenet.store.sketch import PROJECTIONS, distance, layer


def values(seed=0, shape=(120, 400)):
    return np.random.default_rng(seed).normal(0, 0.02, shape).astype(np.float32)


def test_a_layer_is_its_float32_bytes():
    made = layer("w", values())
    assert made.sha256 == hashlib.sha256(values().astype("<f4").tobytes()).hexdigest()
    assert made.norm == pytest.approx(np.linalg.norm(values().astype(np.float64)))
    assert len(made.sketch) == PROJECTIONS


def test_one_bit_is_another_digest():
    changed = values()
    changed[3, 4] = np.nextafter(changed[3, 4], 1, dtype=np.float32)
    assert layer("w", changed).sha256 != layer("w", values()).sha256


@pytest.mark.parametrize("size", [1e-3, 1.0])
def test_the_estimate_of_a_distance_has_the_spread_of_sixteen_projections(size):
    estimates = []
    for seed in range(1, 41):
        changed = values() + values(seed) * np.float32(size)
        really = np.linalg.norm(changed.astype(np.float64) - values())
        estimates.append(distance(layer("w", values()).sketch, layer("w", changed).sketch) / really)
    # Unbiased in its square; the expected spread is about 0.18.
    assert np.mean(np.square(estimates)) == pytest.approx(1, abs=0.2)
    assert 0.1 < np.std(estimates) < 0.27


def test_equal_layers_are_no_distance_apart():
    assert distance(layer("w", values()).sketch, layer("w", values()).sketch) == 0


def test_values_that_are_not_finite_have_no_norm_and_an_infinite_distance():
    broken = values()
    broken[0, 0] = np.nan
    made = layer("w", broken)
    assert (made.norm, made.sketch) == (None, ())
    assert distance(made.sketch, layer("w", values()).sketch) == math.inf
