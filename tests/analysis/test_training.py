"""The verdict on a training: honest ones are proved, planted changes are named with the step that they begin at."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from itertools import islice

import numpy as np
import pytest
from variants import BELOW_ROUNDING, MORE, PLANTED, Variant, half_dense, in_precision, replaced

from lenet.analysis.training import RecordedTraining, prove, tolerances
from lenet.cases.case import Case, Hyperparameters
from lenet.store.proof import TrainingStatus
from lenet.store.record import Evaluation, Record, Status
from lenet.store.sketch import SKETCHED_STEPS, layers
from lenet.workload.recomputation import EvaluationBounds, Recomputation, RecomputedStep
from lenet.workload.reference import ReferenceTraining

STEPS = 45
"""Over the end of the first pass."""


def recorded(case, losses, weights=None, initial="", **fields):
    """What a record with these losses and sketches claims."""
    now = datetime(2026, 1, 2, tzinfo=timezone.utc)
    record = Record(
        case_id=case.id, case=case, status=Status.OK, started_at=now, finished_at=now,
        weights_sha256={"initial": initial}, **fields,
    )  # fmt: skip
    return RecordedTraining(record, losses, weights or {})


class Known:
    """A case whose training was recomputed."""

    def __init__(self, digits, steps=STEPS, **hyper):
        self.case = Case(dataset="digits", hyperparameters=Hyperparameters(**hyper))
        self.digits = digits
        self.training = Recomputation(self.case, digits)
        self.steps = list(islice(self.training, steps))
        self._trained = {}

    def prove(self, losses, case=None, weights=None, **changes):
        case = case or self.case
        steps_per_epoch = self.digits.card.training_images // case.global_batch_size
        return prove(
            recorded(case, losses, weights, **{"initial": self.training.initial_weights_sha256, **changes}),
            self.training.initial_weights_sha256,
            self.steps,
            steps_per_epoch,
            {**self.training.weights, len(self.steps): self.training.layers()},
        )

    def prove_variant(self, change, steps=STEPS):
        losses, weights = self._train(change, steps)
        return self.prove(losses, weights=weights)

    def variant(self, change, steps=STEPS):
        """The losses of the changed training."""
        return list(self._train(change, steps)[0])

    def _train(self, change, steps):
        """Each changed training once, for all tests that judge it."""
        if (id(change), steps) not in self._trained:
            self._trained[id(change), steps] = change, change.train(self.case, self.digits, steps)
        return self._trained[id(change), steps][1]


@pytest.fixture(scope="module")
def known(digits):
    return Known(digits)


@pytest.fixture(scope="module")
def fast(digits):
    """A training that leaves its first plateau."""
    return Known(digits, 170, learning_rate=0.05)


def reported(training, steps):
    """The losses and sketches that a worker reports of a reference training."""
    losses, sketches = [], {}
    for step, loss in enumerate(islice(training.losses(), steps), 1):
        losses.append(loss)
        if step in (*SKETCHED_STEPS, steps):
            sketches[step] = layers(training.weights.items())
    return losses, sketches


class TestHonest:
    def test_the_reference_in_float32_is_proved(self, known):
        proof = known.prove_variant(Variant())
        assert (proof.status, proof.steps, proof.parted_at) == (TrainingStatus.PROVED, STEPS, None), proof
        assert "the weights after the first 2 are those expected" in proof.reason
        assert "so are the weights after its last step" in proof.reason

    def test_a_record_without_weights_is_proved_by_its_losses(self, known):
        proof = known.prove(known.variant(Variant()))
        assert proof.status is TrainingStatus.PROVED
        assert "weights" not in proof.reason

    def test_a_mean_that_is_summed_in_order_is_proved(self, digits):
        # As MindSpore does on CPU: with 256 images it differs from the exact mean by more than the tolerance.
        known = Known(digits, 5, batch_size=256)
        ordered = [step.summed_in_order() for step in known.steps]
        assert known.prove(ordered).status is TrainingStatus.PROVED
        largest = max(abs(a - step.loss) for a, step in zip(ordered, known.steps, strict=True))
        assert largest > 0.5 * min(tolerances(known.steps))

    @pytest.mark.parametrize(("batch_size", "seed"), [(1, 5), (7, 6), (64, 7)])
    def test_other_batches_and_seeds(self, digits, batch_size, seed):
        known = Known(digits, 12, batch_size=batch_size, seed=seed)
        losses, weights = reported(ReferenceTraining(known.case, digits), 12)
        assert known.prove(losses, weights=weights).status is TrainingStatus.PROVED

    def test_two_processes(self, known, digits):
        together = known.case.model_copy(update={"world_size": 2})
        losses, weights = reported(ReferenceTraining(together, digits), STEPS)
        assert known.prove(losses, together, weights=weights).status is TrainingStatus.PROVED

    def test_a_chaotic_training_is_compared_until_rounding_could_hide_another(self, digits):
        known = Known(digits, 260, batch_size=7, learning_rate=0.05)
        losses = list(islice(ReferenceTraining(known.case, digits).losses(), 260))
        proof = known.prove(losses)
        assert proof.status is TrainingStatus.PROVED
        assert 100 < proof.steps < 260
        assert "rounding alone" in proof.reason
        apart = [abs(a - step.loss) for a, step in zip(losses, known.steps, strict=True)]
        assert max(apart) > 0.1, "float32 and float64 train apart"


def parameters(changes):
    return pytest.mark.parametrize(("change", "step"), [pytest.param(*each, id=name) for name, each in changes.items()])


class TestPlanted:
    @parameters({**PLANTED, **MORE})
    def test_a_change_is_named_with_its_step(self, known, change, step):
        proof = known.prove_variant(change, max(step + 2, 12))
        assert proof.status is TrainingStatus.ANOTHER
        assert proof.parted_at == step, proof

    @parameters({name: each for name, each in {**PLANTED, **MORE}.items() if name not in BELOW_ROUNDING})
    def test_the_losses_alone_name_it_in_records_without_weights(self, known, change, step):
        proof = known.prove(known.variant(change, max(step + 2, 12)))
        assert proof.status is TrainingStatus.ANOTHER
        assert proof.parted_at == step, proof

    def test_the_losses_alone_show_a_small_change_when_it_is_beyond_rounding(self, known):
        proof = known.prove(known.variant(Variant(weight_decay=1e-4)))
        assert proof.status is TrainingStatus.ANOTHER
        assert 2 < proof.parted_at < 30
        assert "weight decay" in proof.reason

    @pytest.mark.parametrize("cells", [replaced(7, half_dense), in_precision(0, 10)])
    def test_the_losses_alone_show_a_layer_in_float16_when_they_fall(self, fast, cells):
        proof = fast.prove(fast.variant(Variant(cells=cells, learning_rate=0.05), 170))
        assert proof.status is TrainingStatus.ANOTHER
        assert 40 < proof.parted_at < 150
        assert "lower precision" in proof.reason

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("learning rate 0.011", "a learning rate of 0.011,"),
            ("learning rate 0.0101", "a learning rate of 0.0101,"),
            ("Nesterov", "1.9 times as much as expected: Nesterov's momentum"),
            ("momentum 0.8", "a momentum of 0.8"),
            ("momentum 0.89", "a momentum of 0.89"),
            ("dampening", "a dampening of 0.1,"),
            ("weight decay 1e-4", "a weight decay of 0.0001"),
            ("weight decay 1e-5", "a weight decay of 9.8"),
            ("half the gradient", "0.5 times as much as expected"),
            ("a learning rate that decays", "0.99 times as much as expected: a learning rate of 0.0099"),
            ("layer 3 is not trained", "(layers.3.weight): they did not change"),
            ("gradients of two batches", "7 later parameters): they did not change: not trained, or not in every step"),
            ("Adam", "another gradient or optimiser"),
            (
                "float16 in layer 7",
                "(layers.7.bias and 2 later parameters), by 0.0005 of the step's change: lower precision",
            ),
            ("float16 in layer 0", "lower precision in a layer"),
            ("resize", "pixels"),
            ("drop_remainder off", "pass 2 over the data"),
        ],
    )
    def test_the_weights_say_what_changed(self, known, name, words):
        change, step = {**PLANTED, **MORE}[name]
        assert words in known.prove_variant(change, step + 1).reason

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("resize", "pixels"),
            ("learning rate 0.011", "learning rate"),
            ("momentum 0.8", "momentum"),
            ("another order in the second pass", "pass 2 over the data"),
        ],
    )
    def test_the_reason_says_what_the_step_means(self, known, name, words):
        change, step = {**PLANTED, **MORE}[name]
        assert words in known.prove(known.variant(change, step + 1)).reason

    def test_other_initial_weights_are_named_even_if_the_losses_agree(self, known):
        proof = known.prove(known.variant(Variant(), 12), initial="0" * 64)
        assert (proof.status, proof.parted_at) == (TrainingStatus.ANOTHER, 1)
        assert "initial weights" in proof.reason

    def test_a_loss_that_is_not_finite(self, known):
        losses = known.variant(Variant(), 6)
        losses[4] = math.nan
        assert known.prove(losses).parted_at == 5


class TestAccuracy:
    def proof(self, known, correct, images=512):
        evaluation = Evaluation(
            epoch=0, steps=3, training_seconds=1, seconds=1, images=images, correct=correct, distinct_answers=2
        )
        start = known.training.initial_weights_sha256
        claim = recorded(known.case, known.variant(Variant(), 3), initial=start, evaluations=(evaluation,))
        return prove(claim, start, known.steps[:3], 40, {}, EvaluationBounds(512, 100, 103))

    @pytest.mark.parametrize("correct", [100, 103])
    def test_within_the_bounds(self, known, correct):
        proof = self.proof(known, correct)
        assert proof.status is TrainingStatus.PROVED
        assert "100 to 103 of 512" in proof.reason

    @pytest.mark.parametrize(("correct", "images"), [(99, 512), (104, 512), (101, 511)])
    def test_outside(self, known, correct, images):
        proof = self.proof(known, correct, images)
        assert (proof.status, proof.parted_at) == (TrainingStatus.ANOTHER, None)
        assert "another test set" in proof.reason


def step(loss=2.3, rounding=1e-7, drift=0.0):
    return RecomputedStep(loss, np.array([loss]), rounding, drift)


class TestTolerances:
    def test_they_are_units_in_the_last_place_of_the_loss(self):
        assert tolerances([step(2.3), step(0.5)]) == [3.5 * 2**-22, 3.5 * 2**-23]

    def test_a_device_of_lower_precision_has_that_of_its_emulation(self):
        assert tolerances([step(rounding=1e-5), step(rounding=2e-5)]) == [4e-5, 4e-5]

    def test_the_drift_adds_and_ends_the_comparison(self):
        found = tolerances([step(), step(drift=1e-7), step(drift=1e-4), step()])
        assert found[1] == pytest.approx(found[0] + 1e-5)
        assert found[2:] == [math.inf, math.inf]

    def test_a_training_that_overflows_is_not_compared(self):
        assert tolerances([step(math.nan)]) == [math.inf]
        proof = prove(recorded(Case(dataset="digits"), [math.nan], initial="a"), "a", [step(math.nan)], 40, {})
        assert proof.status is TrainingStatus.NOT_PROVED
