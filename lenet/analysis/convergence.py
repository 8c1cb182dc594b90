"""Convergence check: compare the training of a record with the band of correct trainings (`lenet.analysis.bands`)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from lenet.analysis.bands import EpochBand, Reference, between
from lenet.cases.case import Case
from lenet.store.record import DatasetCard, Evaluation, Record, Status

GUESSING_LOSS = math.log(10)
"""Cross entropy of ten equally likely answers."""


class ConvergenceStatus(str, Enum):
    """Result of the convergence check of one record."""

    CONVERGED = "converged"
    TOO_SLOW = "too slow"
    TOO_GOOD = "implausibly good"
    DIVERGED = "diverged"
    OTHER_TEST_SET = "wrong test set"
    NO_REFERENCE = "no reference"
    NOT_ASSESSED = "not judged"

    @property
    def failed(self) -> bool:
        """Whether the figures of the case must not be quoted."""
        kind = type(self)
        return self in (kind.TOO_SLOW, kind.TOO_GOOD, kind.DIVERGED, kind.OTHER_TEST_SET)

    @property
    def compared(self) -> bool:
        """Whether the training was compared with a reference."""
        kind = type(self)
        return self in (kind.CONVERGED, kind.TOO_SLOW, kind.TOO_GOOD, kind.OTHER_TEST_SET)


@dataclass(frozen=True)
class Convergence:
    """Whether the training of one record converged as it should."""

    status: ConvergenceStatus
    reason: str = ""
    """Why the check failed or was not made, or which epochs it covers; one sentence."""


def expected(dataset_sha256: str, case: Case, references: Iterable[Reference]) -> tuple[tuple[EpochBand, ...], str]:
    """The bands for a training and their source; without bands, the reason why there are none."""
    data = [each for each in references if each.dataset.sha256 == dataset_sha256]
    if not data:
        return (), "there is no reference for this data"
    rates = (case.hyperparameters.learning_rate, case.hyperparameters.momentum)
    known = sorted(
        (each for each in data if (each.learning_rate, each.momentum) == rates), key=lambda each: each.batch_size
    )
    if not known:
        return (), f"there is no reference for learning rate {rates[0]:g} and momentum {rates[1]:g}"
    size = case.global_batch_size
    below = [each for each in known if each.batch_size <= size]
    above = [each for each in known if each.batch_size >= size]
    if not below or not above:
        sizes = " to ".join(dict.fromkeys(str(each.batch_size) for each in (known[0], known[-1])))
        return (), f"batch size {size} is outside the references ({sizes})"
    if below[-1].batch_size == size:
        return below[-1].band, f"the reference of {len(below[-1].seeds)} seeds"
    bands = between(below[-1], above[0], size)
    return bands, f"between the references of batch {below[-1].batch_size} and {above[0].batch_size}"


def assess(record: Record, references: Iterable[Reference]) -> Convergence:
    """Compare the training of a record with the references."""
    if record.status is Status.DIVERGED:
        return Convergence(ConvergenceStatus.DIVERGED, record.reason)
    if not record.status.complete or record.dataset is None:
        return Convergence(ConvergenceStatus.NOT_ASSESSED, f"the case is {record.status.value}")
    whole = [each for each in record.evaluations if each.epoch >= 1]
    if record.case.plan.epochs is None or not whole:
        return Convergence(ConvergenceStatus.NOT_ASSESSED, "not whole epochs")
    worst = max((each.training_loss for each in whole if each.training_loss is not None), default=0.0)
    if worst > 2 * GUESSING_LOSS:
        return Convergence(ConvergenceStatus.DIVERGED, f"training loss {worst:.4g}, more than twice that of guessing")
    bands, source = expected(record.dataset.sha256, record.case, references)
    if not bands:
        return Convergence(ConvergenceStatus.NO_REFERENCE, source)
    for evaluation in whole:
        found = _check_images(evaluation, record.dataset, record.case.hyperparameters.batch_size)
        if found is None and evaluation.epoch <= len(bands):
            found = _check_epoch(evaluation, bands[evaluation.epoch - 1])
        if found is not None:
            return found
    both = min(len(bands), whole[-1].epoch)
    return Convergence(ConvergenceStatus.CONVERGED, f"over {both} epoch{'s' if both > 1 else ''}, by {source}")


def _check_images(evaluation: Evaluation, dataset: DatasetCard, batch_size: int) -> Convergence | None:
    whole_batches = dataset.test_images // batch_size * batch_size
    if evaluation.images in (whole_batches, dataset.test_images):
        return None
    reason = f"{evaluation.images:,} images were evaluated after epoch {evaluation.epoch}, and the test set gives "
    return Convergence(ConvergenceStatus.OTHER_TEST_SET, f"{reason}{whole_batches:,}")


def _check_epoch(evaluation: Evaluation, expected: EpochBand) -> Convergence | None:
    """The failed check of that epoch, or None."""
    slow, good = ConvergenceStatus.TOO_SLOW, ConvergenceStatus.TOO_GOOD
    checks = (
        # A low accuracy comes first: together with a low loss, the training learnt another task.
        ("accuracy {:.4f} after epoch", evaluation.accuracy, expected.accuracy, slow, good),
        ("training loss {:.4f} in epoch", evaluation.training_loss, expected.training_loss, good, slow),
    )
    for words, value, band, if_below, if_above in checks:
        if value is not None and value not in band:
            limits = f"{band.low:.4f} to {band.high:.4f} is expected"
            reason = f"{words.format(value)} {evaluation.epoch}, where {limits}"
            return Convergence(if_below if value < band.low else if_above, reason)
    return None
