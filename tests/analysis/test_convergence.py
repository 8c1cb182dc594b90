"""The convergence check on simulated trainings: its false alarms, its power, its words."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats

from lenet.analysis.bands import FALSE_ALARMS, band, odds
from lenet.analysis.convergence import ConvergenceStatus, assess, expected
from lenet.cases.case import Case, Hyperparameters
from lenet.cases.frameworks import ABILITIES, Framework
from lenet.store.record import Status

CENTRE = [(round(9984 / (1 + math.exp(-(3.5 + 0.5 * e)))), 0.9 * math.exp(-e)) for e in range(4)]
"""The middle of what is drawn."""


def words(record, *references):
    return assess(record, references).status


def test_a_good_training_converged_and_the_reason_says_by_what(reference, trained):
    found = assess(trained(CENTRE[:3]), [reference()])
    assert found.status is ConvergenceStatus.CONVERGED
    assert found.reason == "over 3 epochs, by the reference of 20 seeds"


@pytest.mark.parametrize(
    ("change", "verdict", "where"),
    [
        (lambda c: [c[0], (int(c[1][0] * 0.97), c[1][1]), c[2]], ConvergenceStatus.TOO_SLOW, "accuracy 0.95"),
        (lambda c: [c[0], c[1], (9980, c[2][1])], ConvergenceStatus.TOO_GOOD, "after epoch 3"),
        (lambda c: [c[0], (c[1][0], c[1][1] * 3), c[2]], ConvergenceStatus.TOO_SLOW, "training loss"),
        (lambda c: [(c[0][0], c[0][1] / 3), *c[1:]], ConvergenceStatus.TOO_GOOD, "in epoch 1"),
        (lambda c: [(0, c[0][1] / 3), *c[1:]], ConvergenceStatus.TOO_SLOW, "accuracy 0.0000"),
        (lambda c: [c[0], (c[1][0], 9.0), c[2]], ConvergenceStatus.DIVERGED, "guessing"),
    ],
)
def test_what_is_wrong_is_named_with_epoch_and_figures(reference, trained, change, verdict, where):
    found = assess(trained(change(CENTRE[:3])), [reference()])
    assert found.status is verdict
    assert verdict.failed
    assert where in found.reason


def test_a_training_is_judged_at_the_epochs_that_both_have(reference, trained):
    wrong_later = [*CENTRE[:3], (100, 0.0001)]
    assert assess(trained(wrong_later), [reference(epochs=3)]).reason.startswith("over 3 epochs")
    assert words(trained(wrong_later), reference(epochs=4)) is ConvergenceStatus.TOO_SLOW
    assert assess(trained(CENTRE[:1]), [reference(epochs=4)]).reason.startswith("over 1 epoch,")


def test_the_limits_are_a_prediction_interval_divided_over_epochs_and_figures(reference):
    made = reference(epochs=3)
    values = [odds(curve.correct[1], made.test_images) for curve in made.seeds]
    reach = stats.t.ppf(1 - FALSE_ALARMS / 6 / 2, 19) * np.std(values, ddof=1) * math.sqrt(1 + 1 / 20)
    low, high = (np.mean(values) + side * reach for side in (-1, 1))
    limits = made.band[1].accuracy
    assert [odds(share * 9984, 9984) for share in (limits.low, limits.high)] == pytest.approx([low, high])


def test_false_alarms_are_as_rare_as_promised(reference, trained, draw):
    """Each training against a band of its own 20 seeds: independent trials."""
    generator = np.random.default_rng(20260102)
    trials = 1500
    flagged = sum(
        words(trained(draw(generator)), reference(seed=1000 + trial)) is not ConvergenceStatus.CONVERGED
        for trial in range(trials)
    )
    # Fewer than the promised share, by any luck but one in a thousand.
    assert flagged <= stats.binom.ppf(0.999, trials, FALSE_ALARMS)
    # And the limits are not so wide that nothing is ever flagged.
    assert flagged > 0


def test_the_band_is_never_narrower_than_what_the_seeds_did(reference):
    """One seed of twenty still on the plateau is further out than three and a half times their spread."""
    curves = [[(1133, 2.30)] if number == 7 else [(9000 + number, 1.6)] for number in range(20)]
    (only,) = reference(epochs=1, curves=curves).band
    assert only.accuracy.low <= 1133 / 9984
    assert only.accuracy.high >= 9000 / 9984
    assert only.training_loss.low <= 1.6 < 2.30 == only.training_loss.high


def test_seeds_that_all_agree_still_give_a_band_of_some_width(reference):
    (only,) = reference(epochs=1, curves=[[(1133, 2.3)]] * 20).band
    assert only.accuracy.low < 1133 / 9984 < only.accuracy.high
    assert only.training_loss.high < 2.3 * 1.1


class TestNoReference:
    def test_other_data(self, reference, trained):
        found = assess(
            trained(CENTRE[:3]), [reference(dataset=reference().dataset.model_copy(update={"sha256": "0" * 64}))]
        )
        assert (found.status, found.reason) == (ConvergenceStatus.NO_REFERENCE, "there is no reference for this data")

    @pytest.mark.parametrize("rates", [{"learning_rate": 0.02}, {"momentum": 0.5}])
    def test_other_hyperparameters(self, reference, trained, rates):
        found = assess(trained(CENTRE[:3], **rates), [reference()])
        assert found.status is ConvergenceStatus.NO_REFERENCE
        assert f"{next(iter(rates.values())):g}" in found.reason
        assert not found.status.failed

    @pytest.mark.parametrize("batch_size", [16, 256])
    def test_a_batch_size_outside(self, reference, trained, batch_size):
        images = 10000 // batch_size * batch_size
        found = assess(trained(CENTRE[:3], batch_size=batch_size, images=images), [reference(32), reference(128)])
        assert found.status is ConvergenceStatus.NO_REFERENCE
        assert "(32 to 128)" in found.reason

    def test_none_at_all(self, trained):
        assert words(trained(CENTRE[:3])) is ConvergenceStatus.NO_REFERENCE


class TestBetween:
    def limits(self, batch_size, references):
        bands, source = expected("cd" * 32, Case(hyperparameters=Hyperparameters(batch_size=batch_size)), references)
        return bands[-1], source

    def test_at_a_reference_it_is_that_reference(self, reference):
        references = [reference(32), reference(128, shift=0.1)]
        for made in references:
            assert self.limits(made.batch_size, references)[0] == made.band[-1]

    def test_half_way_in_the_logarithm_everything_between_the_two_is_possible(self, reference):
        small, large = reference(32), reference(128, shift=0.1)
        found, source = self.limits(64, [large, small])
        assert source == "between the references of batch 32 and 128"
        for figure in ("accuracy", "training_loss"):
            one, other, between = (getattr(each, figure) for each in (small.band[-1], large.band[-1], found))
            assert between.low == pytest.approx(min(one.low, other.low), rel=1e-3)
            assert between.high == pytest.approx(max(one.high, other.high), rel=1e-3)
            assert min(one.centre, other.centre) < between.centre < max(one.centre, other.centre)

    def test_near_a_reference_it_is_nearly_as_strict(self, reference):
        small, large = reference(32), reference(128, shift=0.1)
        near, far = (self.limits(size, [small, large])[0].accuracy for size in (33, 64))
        assert near.low > far.low
        assert near.low == pytest.approx(small.band[-1].accuracy.low, abs=0.01)

    def test_only_epochs_that_both_have(self, reference):
        bands, _ = expected(
            "cd" * 32, Case(hyperparameters=Hyperparameters(batch_size=64)), [reference(32, epochs=2), reference(128)]
        )
        assert [each.epoch for each in bands] == [1, 2]

    def test_a_training_between_is_judged(self, reference, trained):
        references = [reference(32), reference(128, shift=0.1)]
        figures = [(int(correct * 0.95), loss) for correct, loss in CENTRE[:3]]
        assert words(trained(figures, batch_size=64), *references) is ConvergenceStatus.CONVERGED
        assert words(trained([(1133, 2.3)] * 3, batch_size=64), *references) is ConvergenceStatus.TOO_SLOW


def test_a_measurement_of_speed_is_not_judged(reference, trained):
    found = assess(trained([]), [reference()])
    assert (found.status, found.reason) == (ConvergenceStatus.NOT_ASSESSED, "not whole epochs")


@pytest.mark.parametrize("status", [Status.CRASHED, Status.TIMED_OUT, Status.UNAVAILABLE, Status.INVALID])
def test_a_case_that_failed_by_itself_is_not_judged(reference, trained, status):
    found = assess(trained(CENTRE[:3], status=status), [reference()])
    assert found.status is ConvergenceStatus.NOT_ASSESSED
    assert status.value in found.reason


def test_a_diverged_case_needs_no_reference(trained):
    found = assess(trained([], status=Status.DIVERGED, reason="the loss of step 3 is nan"), [])
    assert (found.status, found.reason) == (ConvergenceStatus.DIVERGED, "the loss of step 3 is nan")


def test_a_plateau_is_judged_as_a_training(reference, trained):
    assert words(trained([(1133, 2.3)] * 3, status=Status.PLATEAU), reference()) is ConvergenceStatus.TOO_SLOW


@pytest.mark.parametrize(("images", "good"), [(9984, True), (10000, True), (60000, False), (9952, False)])
def test_a_judgement_over_other_images_than_the_test_sets(reference, trained, images, good):
    figures = [(round(correct / 9984 * images), loss) for correct, loss in CENTRE[:3]]
    found = assess(trained(figures, images=images), [reference()])
    assert found.status is (ConvergenceStatus.CONVERGED if good else ConvergenceStatus.OTHER_TEST_SET)
    assert good or f"{images:,}" in found.reason


@pytest.mark.parametrize("mode", ABILITIES[Framework.MINDSPORE].modes)
def test_every_mode_is_judged_by_the_one_reference(reference, trained, mode):
    assert words(trained(CENTRE[:3], mode=mode), reference()) is ConvergenceStatus.CONVERGED


def test_too_few_seeds_are_no_reference(reference):
    with pytest.raises(ValidationError):
        reference(count=19)


def test_a_band_of_one_seed_is_refused(reference):
    with pytest.raises(ValueError, match="at least two seeds"):
        band(reference().seeds[:1], 9984)
