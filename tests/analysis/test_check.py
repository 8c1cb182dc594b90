"""Comparing two traced trainings (where they differ, by how much, in which layer), and whether a rung holds."""

from __future__ import annotations

import numpy as np
import pytest

from lenet.analysis.check import Match, Pair, Rung, TraceComparison, compare, evaluate, holds
from lenet.analysis.convergence import ConvergenceStatus
from lenet.cases.case import Case, DeviceTarget, Mode
from lenet.store.events import Steps, Traced
from lenet.store.record import Status
from lenet.store.sketch import layer

STEPS = 4
NAMES = ("conv.weight", "fc.weight", "fc.bias")


def digest(number):
    return f"{number:064x}"


@pytest.fixture
def traced(new_store, digits):
    """`traced(change)` compares a plain training with one that `change(step, weights, loss)` alters."""
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
    assert (found.outcome, found.steps) == (Match.IDENTICAL, STEPS)
    assert found.same_order
    assert found.same_images
    assert found.same_initial_weights
    assert found.distances == ()
    assert found.largest_loss_difference == 0


def test_close_is_within_the_tolerance_and_the_first_bit_is_named(traced):
    found = traced(scaled(2, 1, 1e-5, 1e-6))
    assert found.outcome is Match.WITHIN
    assert (found.first_weights_apart, found.layers_apart) == (2, ("fc.weight",))
    assert found.first_loss_apart == 3
    assert found.largest_loss_difference == pytest.approx(1e-6, rel=1e-3)
    (only,) = found.distances
    assert only.layer == "fc.weight"
    assert 3e-6 < only.relative < 3e-5


def test_a_difference_is_located_by_step_and_layer(traced):
    found = traced(scaled(3, 0, 0.1, 0.5))
    assert found.outcome is Match.DIFFERENT
    assert (found.beyond, found.first_weights_apart, found.layers_apart) == (3, 3, ("conv.weight",))
    assert 0.03 < found.distances[0].relative < 0.3
    assert found.largest_loss_difference == pytest.approx(1 / 3)


def test_a_difference_in_a_loss_alone(traced):
    found = traced(lambda step, weights, loss: (weights, loss * 2 if step == 2 else loss))
    assert (found.outcome, found.beyond, found.first_loss_apart) == (Match.DIFFERENT, 2, 2)
    assert found.first_weights_apart is None


def test_the_furthest_layer_comes_first(traced):
    def change(step, weights, loss):
        return [weights[0], weights[1] * np.float32(1.1), weights[2] * np.float32(1.01)] if step else weights, loss

    found = traced(change)
    assert [each.layer for each in found.distances] == ["fc.weight", "fc.bias"]


def test_weights_that_become_infinite(traced):
    def change(step, weights, loss):
        return [weights[0] * np.float32("nan"), *weights[1:]] if step == 4 else weights, loss

    found = traced(change)
    assert (found.outcome, found.beyond) == (Match.DIFFERENT, 4)
    assert found.distances[0].relative is None


def test_another_order_of_the_data(traced):
    found = traced(labels=lambda step: step + 100 if step > 2 else step)
    assert (found.outcome, found.first_batch_apart, found.same_order) == (Match.OTHER_DATA, 3, False)


def test_images_that_differ_in_their_last_bits_are_noted(traced):
    found = traced(images=lambda step: step + 100)
    assert found.outcome is Match.IDENTICAL
    assert found.same_images is False


def test_other_initial_weights_are_their_own_outcome(traced):
    found = traced(scaled(0, 0, 0.5))
    assert (found.outcome, found.same_initial_weights) == (Match.OTHER_START, False)


def test_a_case_without_a_trace_is_skipped(new_store, digits):
    cases = [Case(dataset="digits", mode=mode) for mode in (Mode.GRAPH, Mode.JIT)]
    found = compare(new_store(cases, digits), *cases, 0)
    assert found.outcome is Match.SKIPPED
    assert "reported no trace" in found.reason


@pytest.mark.parametrize(("by", "outcome"), [(4e-3, Match.DIFFERENT), (2e-4, Match.WITHIN)])
def test_the_tolerance_applies_to_weights_as_to_losses(traced, by, outcome):
    assert traced(scaled(3, 1, by), tolerance=1e-3).outcome is outcome


BASE = Case(dataset="digits", mode=Mode.GRAPH)


def compared(outcome, **fields):
    return TraceComparison(outcome=outcome, steps=50, **fields)


@pytest.mark.parametrize(
    ("rung", "comparison", "expected"),
    [
        (Rung.REPEAT, compared(Match.IDENTICAL), True),
        (Rung.REPEAT, compared(Match.WITHIN), False),
        (Rung.MODES, compared(Match.WITHIN), True),
        (Rung.MODES, compared(Match.DIFFERENT), False),
        (Rung.FRAMEWORK, compared(Match.OTHER_DATA), False),
        (Rung.DEVICE, compared(Match.OTHER_START), False),
        (Rung.SEED, compared(Match.OTHER_DATA, same_order=False, same_initial_weights=False), True),
        (Rung.SEED, compared(Match.OTHER_START, same_order=True, same_initial_weights=False), False),
        (Rung.SEED, compared(Match.OTHER_DATA, same_order=False, same_initial_weights=True), False),
    ],
)
def test_what_a_rung_requires(rung, comparison, expected):
    assert holds(rung, comparison) is expected


@pytest.mark.parametrize(
    ("status", "expected"), [(Status.UNAVAILABLE, None), (Status.CRASHED, False), (Status.TIMED_OUT, False)]
)
def test_a_case_that_failed(new_store, digits, plain_record, status, expected):
    pair = Pair(rung=Rung.DEVICE, compared="x", a=BASE, b=BASE.model_copy(update={"device_target": DeviceTarget.GPU}))
    store = new_store(pair.cases, digits)
    store.write_record(plain_record(pair.a))
    store.write_record(plain_record(pair.b, status, "no such thing here"))
    (result,) = evaluate(store, [pair], 1e-3, ())
    assert result.holds is expected
    assert "no such thing here" in result.reason


def test_a_pair_that_was_not_run(new_store, digits):
    pair = Pair(rung=Rung.REPEAT, compared="x", a=BASE, b=BASE.model_copy(update={"repetition": 1}))
    (result,) = evaluate(new_store(pair.cases, digits), [pair], 1e-3, ())
    assert (result.holds, result.reason) == (None, "not run")


def test_an_epoch_that_does_not_learn_does_not_hold(new_store, digits, plain_record):
    store = new_store([BASE], digits)
    store.write_record(plain_record(BASE, Status.DIVERGED, "the loss of step 3 is nan"))
    (result,) = evaluate(store, [Pair(rung=Rung.LEARN, compared="x", a=BASE)], 1e-3, ())
    assert (result.holds, result.verdict) == (False, ConvergenceStatus.DIVERGED)
