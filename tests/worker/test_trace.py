"""Digests and sketches of weights and batches: what a traced case reports."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest

from lenet.worker.trace import PROJECTIONS, Tracer, distance, layer


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
def test_the_distance_is_known_within_what_sixteen_projections_give(size):
    estimates = []
    for seed in range(1, 41):
        changed = values() + values(seed) * np.float32(size)
        really = np.linalg.norm(changed.astype(np.float64) - values())
        estimates.append(distance(layer("w", values()).sketch, layer("w", changed).sketch) / really)
    # Unbiased in its square; the spread that is promised is about 0.18.
    assert np.mean(np.square(estimates)) == pytest.approx(1, abs=0.2)
    assert 0.1 < np.std(estimates) < 0.27


def test_equal_layers_are_no_distance_apart():
    assert distance(layer("w", values()).sketch, layer("w", values()).sketch) == 0


def test_what_is_not_finite_has_no_norm_and_is_infinitely_far():
    broken = values()
    broken[0, 0] = np.nan
    made = layer("w", broken)
    assert (made.norm, made.sketch) == (None, ())
    assert distance(made.sketch, layer("w", values()).sketch) == math.inf


def test_a_tracer_reports_each_step_with_the_batch_before_it():
    reported = []
    weights = {"a": values(1, (3, 2)), "b": values(2, (4,))}
    tracer = Tracer(weights.items, reported.append)
    tracer.take(0)
    images, labels = values(3, (2, 1, 32, 32)), np.array([7, 1], np.int32)
    tracer.look(images, labels)
    tracer.take(1)
    first, second = reported
    assert (first.step, first.images_sha256, first.labels_sha256) == (0, None, None)
    assert second.step == 1
    assert second.images_sha256 == hashlib.sha256(images.tobytes()).hexdigest()
    assert second.labels_sha256 == hashlib.sha256(labels.tobytes()).hexdigest()
    assert [each.name for each in second.layers] == ["a", "b"]
    assert first.layers == second.layers
