"""The events of a traced case."""

from __future__ import annotations

import hashlib

import numpy as np

from lenet.worker.trace import Tracer


def values(seed=0, shape=(120, 400)):
    return np.random.default_rng(seed).normal(0, 0.02, shape).astype(np.float32)


def test_a_tracer_reports_each_step_with_the_batch_before_it():
    reported = []
    weights = {"a": values(1, (3, 2)), "b": values(2, (4,))}
    tracer = Tracer(weights.items, reported.append)
    tracer.record(0)
    images, labels = values(3, (2, 1, 32, 32)), np.array([7, 1], np.int32)
    tracer.note_batch(lambda: (images, labels))
    tracer.record(1)
    first, second = reported
    assert (first.step, first.images_sha256, first.labels_sha256) == (0, None, None)
    assert second.step == 1
    assert second.images_sha256 == hashlib.sha256(images.tobytes()).hexdigest()
    assert second.labels_sha256 == hashlib.sha256(labels.tobytes()).hexdigest()
    assert [each.name for each in second.layers] == ["a", "b"]
    assert first.layers == second.layers
