"""Traces of two trainings: where they part, by how much and in which layer."""

from __future__ import annotations

import numpy as np
import pytest

from lenet.analysis.check import Outcome, compare
from lenet.cases.case import Case, Mode
from lenet.store.events import Steps, Traced
from lenet.store.sketch import layer

STEPS = 4
NAMES = ("conv.weight", "fc.weight", "fc.bias")


def digest(number):
    return f"{number:064x}"


@pytest.fixture
def traced(new_store, digits):
    """`traced(change)` compares a plain training with one in which `change(step, weights, loss)` was at work."""
    cases = [Case(dataset="digits", mode=mode) for mode in (Mode.GRAPH, Mode.JIT)]
    store = new_store(cases, digits)

    def report(case, change, labels, images):
        generator = np.random.default_rng(0)
        for step in range(STEPS + 1):
            weights = [generator.normal(0, 1, 500).astype(np.float32) for _ in NAMES]
            weights, loss = change(step, weights, 2.0 - 0.1 * step)
            event = Traced(
                step=step,
                images_sha256=digest(images(step)) if step else None,
                labels_sha256=digest(labels(step)) if step else None,
                layers=tuple(layer(name, value) for name, value in zip(NAMES, weights, strict=True)),
            )
            store.append_event(case, event)
            if step:
                made = Steps(epoch=1, first_step=step - 1, steps=1, images=32, seconds=1, warmup=True, losses=(loss,))
                store.append_event(case, made)

    def run(change=lambda step, weights, loss: (weights, loss), tolerance=1e-3, labels=abs, images=abs):
        report(cases[0], lambda step, weights, loss: (weights, loss), abs, abs)
        report(cases[1], change, labels, images)
        return compare(store, *cases, tolerance)

    return run


def scaled(at, index, by, loss_by=0.0):
    """From step `at` on, layer `index` is larger by the share `by`, and so is every later loss by `loss_by`."""

    def change(step, weights, loss):
        if step >= at:
            weights[index] = weights[index] * np.float32(1 + by)
        return weights, loss * (1 + loss_by) if step > at else loss

    return change


def test_the_same_bits(traced):
    found = traced()
    assert (found.outcome, found.steps) == (Outcome.IDENTICAL, STEPS)
    assert found.same_order
    assert found.same_images
    assert found.same_initial_weights
    assert found.distances == ()
    assert found.largest_loss_difference == 0


def test_close_is_within_the_tolerance_and_the_first_bit_is_named(traced):
    found = traced(scaled(2, 1, 1e-5, 1e-6))
    assert found.outcome is Outcome.WITHIN
    assert (found.first_weights_apart, found.layers_apart) == (2, ("fc.weight",))
    assert found.first_loss_apart == 3
    assert found.largest_loss_difference == pytest.approx(1e-6, rel=1e-3)
    (only,) = found.distances
    assert only.layer == "fc.weight"
    assert 3e-6 < only.relative < 3e-5


def test_parted_at_the_step_and_in_the_layer_where_it_was(traced):
    found = traced(scaled(3, 0, 0.1, 0.5))
    assert found.outcome is Outcome.PARTED
    assert (found.beyond, found.first_weights_apart, found.layers_apart) == (3, 3, ("conv.weight",))
    assert 0.03 < found.distances[0].relative < 0.3
    assert found.largest_loss_difference == pytest.approx(1 / 3)


def test_a_loss_alone_can_part(traced):
    found = traced(lambda step, weights, loss: (weights, loss * 2 if step == 2 else loss))
    assert (found.outcome, found.beyond, found.first_loss_apart) == (Outcome.PARTED, 2, 2)
    assert found.first_weights_apart is None


def test_the_furthest_layer_comes_first(traced):
    def change(step, weights, loss):
        return [weights[0], weights[1] * np.float32(1.1), weights[2] * np.float32(1.01)] if step else weights, loss

    found = traced(change)
    assert [each.layer for each in found.distances] == ["fc.weight", "fc.bias"]


def test_weights_that_are_no_longer_finite(traced):
    def change(step, weights, loss):
        return [weights[0] * np.float32("nan"), *weights[1:]] if step == 4 else weights, loss

    found = traced(change)
    assert (found.outcome, found.beyond) == (Outcome.PARTED, 4)
    assert found.distances[0].relative is None


def test_another_order_of_the_data(traced):
    found = traced(labels=lambda step: step + 100 if step > 2 else step)
    assert (found.outcome, found.first_batch_apart, found.same_order) == (Outcome.OTHER_DATA, 3, False)


def test_images_that_differ_in_their_last_bits_are_said(traced):
    found = traced(images=lambda step: step + 100)
    assert found.outcome is Outcome.IDENTICAL
    assert found.same_images is False


def test_another_start_is_not_a_parting(traced):
    found = traced(scaled(0, 0, 0.5))
    assert (found.outcome, found.same_initial_weights) == (Outcome.OTHER_START, False)


def test_a_case_without_a_trace_is_skipped(new_store, digits):
    cases = [Case(dataset="digits", mode=mode) for mode in (Mode.GRAPH, Mode.JIT)]
    found = compare(new_store(cases, digits), *cases, 0)
    assert found.outcome is Outcome.SKIPPED
    assert "reported no trace" in found.reason


@pytest.mark.parametrize(("by", "outcome"), [(4e-3, Outcome.PARTED), (2e-4, Outcome.WITHIN)])
def test_weights_are_held_to_the_tolerance_as_losses_are(traced, by, outcome):
    assert traced(scaled(3, 1, by), tolerance=1e-3).outcome is outcome
