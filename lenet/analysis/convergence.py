"""Did a training work? Every record is judged against the band of trainings that are known to have.

The band is made from at least 20 seeds of one batch size: per epoch a two-sided prediction interval for one further
training, mean ± t(1 - a/2, n - 1) · s · sqrt(1 + 1/n), on the log odds of the accuracy and the logarithm of the mean
training loss, where trainings spread more nearly as a normal distribution does than on the raw scales (G. J. Hahn and
W. Q. Meeker, Statistical Intervals, 1991, chapter 4). Bonferroni divides `FALSE_ALARMS` over both figures of all
epochs, so that at most that share of good trainings is flagged at any epoch. The band is never narrower than what the
seeds themselves did, nor than what `LEAST_SPREAD` gives.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from pydantic import Field, model_validator

from lenet.cases.case import DeviceTarget, Frozen, Hyperparameters, Mode, RuntimeProfile
from lenet.cases.frameworks import Framework
from lenet.store.record import DatasetCard, Evaluation, Record, Software, Status

REFERENCE_VERSION = 1
"""Raised with every change that an older reader would misread."""

SEEDS_AT_LEAST = 20
FALSE_ALARMS = 0.01
"""Share of good trainings that the check may flag, over all epochs and both figures together."""

LEAST_SPREAD = 0.01
"""Smallest standard deviation on the transformed scales: about one image of 10,000 at an accuracy of 0.988."""

GUESSING_LOSS = math.log(10)
"""Cross entropy of ten equally likely answers."""


class Verdict(str, Enum):
    """What the check says of one record."""

    CONVERGED = "converged"
    TOO_SLOW = "too slow"
    TOO_GOOD = "implausibly good"
    DIVERGED = "diverged"
    OTHER_TEST_SET = "wrong test set"
    NO_REFERENCE = "no reference"
    NOT_JUDGED = "not judged"

    @property
    def failed(self) -> bool:
        """Whether the figures of such a case must not be quoted."""
        return self in (Verdict.TOO_SLOW, Verdict.TOO_GOOD, Verdict.DIVERGED, Verdict.OTHER_TEST_SET)

    @property
    def held(self) -> bool:
        """Whether the training was held against a reference."""
        return self in (Verdict.CONVERGED, Verdict.TOO_SLOW, Verdict.TOO_GOOD, Verdict.OTHER_TEST_SET)


class Band(Frozen):
    """Where one figure of a further good training lies; `centre` is the middle on the transformed scale."""

    low: float
    centre: float
    high: float


class EpochBand(Frozen):
    """The bands after one whole epoch."""

    epoch: int = Field(ge=1)
    accuracy: Band
    training_loss: Band


class SeedCurve(Frozen):
    """One seed's raw figures, an item an epoch: what the band is made from."""

    seed: int
    case_id: str
    correct: tuple[int, ...]
    training_loss: tuple[float, ...]


class Origin(Frozen):
    """Where and when a run behind a reference was made."""

    lenet_bench_version: str
    created_at: datetime
    machine_id: str
    machine: str
    git_commit: str | None
    git_dirty: bool | None


class Reference(Frozen):
    """The reference for one batch size: provenance, the seeds' raw figures, and the band that they give."""

    schema_version: int = Field(default=REFERENCE_VERSION, ge=1, le=REFERENCE_VERSION)
    dataset: DatasetCard
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    momentum: float = Field(ge=0, lt=1)
    framework: Framework
    device_target: DeviceTarget
    mode: Mode
    profile: RuntimeProfile
    software: Software
    origins: tuple[Origin, ...] = Field(min_length=1)
    epochs: int = Field(ge=1)
    test_images: int = Field(ge=1)
    """Images judged after each epoch."""
    false_alarms: float = Field(gt=0, lt=1)
    band: tuple[EpochBand, ...]
    seeds: tuple[SeedCurve, ...] = Field(min_length=SEEDS_AT_LEAST)

    @model_validator(mode="after")
    def _whole(self) -> Reference:
        lengths = {len(part) for curve in self.seeds for part in (curve.correct, curve.training_loss)}
        if lengths != {self.epochs} or [each.epoch for each in self.band] != list(range(1, self.epochs + 1)):
            raise ValueError("seeds or band do not have an item an epoch")
        if len({curve.seed for curve in self.seeds}) != len(self.seeds):
            raise ValueError("a seed is there twice")
        return self


@dataclass(frozen=True)
class Convergence:
    """What was found of one record."""

    verdict: Verdict
    reason: str = ""
    """Why it failed or could not be judged, or over which epochs it was judged; one sentence."""


def odds(correct: float, images: int) -> float:
    """Log odds of a right answer, half an image added to both sides so that none and all are finite."""
    return math.log((correct + 0.5) / (images - correct + 0.5))


def _accuracy(log_odds: float, images: int) -> float:
    """The accuracy that these log odds stand for; the inverse of `odds`, within 0 and 1."""
    return min(max(((images + 1) / (1 + math.exp(-log_odds)) - 0.5) / images, 0.0), 1.0)


def band(seeds: Sequence[SeedCurve], test_images: int, false_alarms: float = FALSE_ALARMS) -> tuple[EpochBand, ...]:
    """The bands of every epoch that these seeds give.

    Raises:
        ValueError: fewer than two seeds, or curves of different lengths.
    """
    from scipy import stats

    epochs, count = len(seeds[0].correct), len(seeds)
    if count < 2 or any(len(curve.correct) != epochs for curve in seeds):
        raise ValueError("a band takes at least two seeds of equally many epochs")
    share = false_alarms / (2 * epochs)
    reach = float(stats.t.ppf(1 - share / 2, count - 1)) * math.sqrt(1 + 1 / count)

    def limits(values: Sequence[float]) -> tuple[float, float, float]:
        centre = math.fsum(values) / count
        spread = math.sqrt(math.fsum((value - centre) ** 2 for value in values) / (count - 1))
        half = reach * max(spread, LEAST_SPREAD)
        return min(centre - half, min(values)), centre, max(centre + half, max(values))

    bands = []
    for index in range(epochs):
        accuracy = limits([odds(curve.correct[index], test_images) for curve in seeds])
        loss = limits([math.log(curve.training_loss[index]) for curve in seeds])
        bands.append(
            EpochBand(
                epoch=index + 1,
                accuracy=_as_band([_accuracy(value, test_images) for value in accuracy]),
                training_loss=_as_band([math.exp(value) for value in loss]),
            )
        )
    return tuple(bands)


def _as_band(values: Sequence[float]) -> Band:
    low, centre, high = values
    return Band(low=low, centre=centre, high=high)


def _between(below: Reference, above: Reference, batch_size: int) -> tuple[EpochBand, ...]:
    """The bands at a batch size between two references', over the epochs that both have.

    Linear in the logarithm of the batch size and on the transformed scales, with room for a curve that bends: at a
    weight w between the two, whatever lies within min(w, 1 - w) of it counts as possible. That is nothing at either
    reference and everything between the two half-way.
    """
    weight = math.log(batch_size / below.batch_size) / math.log(above.batch_size / below.batch_size)
    room = min(weight, 1 - weight)
    images = min(below.test_images, above.test_images)

    def accuracy(share: float) -> float:
        return odds(share * images, images)

    def mixed(one: float, other: float, at: float) -> float:
        return one + at * (other - one)

    def limits(one: Sequence[float], other: Sequence[float]) -> list[float]:
        near, far = weight - room, weight + room
        lows = [mixed(one[0], other[0], at) for at in (near, far)]
        highs = [mixed(one[2], other[2], at) for at in (near, far)]
        return [min(lows), mixed(one[1], other[1], weight), max(highs)]

    bands = []
    for a, b in zip(below.band, above.band, strict=False):
        odds_limits = limits(*([accuracy(x) for x in (y.low, y.centre, y.high)] for y in (a.accuracy, b.accuracy)))
        loss_limits = limits(
            *([math.log(x) for x in (y.low, y.centre, y.high)] for y in (a.training_loss, b.training_loss))
        )
        bands.append(
            EpochBand(
                epoch=a.epoch,
                accuracy=_as_band([_accuracy(value, images) for value in odds_limits]),
                training_loss=_as_band([math.exp(value) for value in loss_limits]),
            )
        )
    return tuple(bands)


def expected(
    dataset_sha256: str, hyperparameters: Hyperparameters, references: Iterable[Reference]
) -> tuple[tuple[EpochBand, ...], str]:
    """The bands for that training and where they come from; without bands, why there are none."""
    data = [each for each in references if each.dataset.sha256 == dataset_sha256]
    if not data:
        return (), "there is no reference for this data"
    rates = (hyperparameters.learning_rate, hyperparameters.momentum)
    known = sorted(
        (each for each in data if (each.learning_rate, each.momentum) == rates), key=lambda each: each.batch_size
    )
    if not known:
        return (), f"there is no reference for learning rate {rates[0]:g} and momentum {rates[1]:g}"
    size = hyperparameters.batch_size
    below = [each for each in known if each.batch_size <= size]
    above = [each for each in known if each.batch_size >= size]
    if not below or not above:
        sizes = " to ".join(dict.fromkeys(str(each.batch_size) for each in (known[0], known[-1])))
        return (), f"batch size {size} is outside the references ({sizes})"
    if below[-1].batch_size == size:
        return below[-1].band, f"the reference of {len(below[-1].seeds)} seeds"
    bands = _between(below[-1], above[0], size)
    return bands, f"between the references of batch {below[-1].batch_size} and {above[0].batch_size}"


def judge(record: Record, references: Iterable[Reference]) -> Convergence:
    """Whether the training behind a record worked, as far as the references can say."""
    if record.status is Status.DIVERGED:
        return Convergence(Verdict.DIVERGED, record.reason)
    if not record.status.complete or record.dataset is None:
        return Convergence(Verdict.NOT_JUDGED, f"the case is {record.status.value}")
    whole = [each for each in record.evaluations if each.epoch >= 1]
    if record.case.plan.epochs is None or not whole:
        return Convergence(Verdict.NOT_JUDGED, "not whole epochs")
    worst = max((each.training_loss for each in whole if each.training_loss is not None), default=0.0)
    if worst > 2 * GUESSING_LOSS:
        return Convergence(Verdict.DIVERGED, f"training loss {worst:.4g}, more than twice that of guessing")
    bands, source = expected(record.dataset.sha256, record.case.hyperparameters, references)
    if not bands:
        return Convergence(Verdict.NO_REFERENCE, source)
    for evaluation in whole:
        found = _judge_images(evaluation, record.dataset, record.case.hyperparameters.batch_size)
        if found is None and evaluation.epoch <= len(bands):
            found = _judge_epoch(evaluation, bands[evaluation.epoch - 1])
        if found is not None:
            return found
    both = min(len(bands), whole[-1].epoch)
    return Convergence(Verdict.CONVERGED, f"over {both} epoch{'s' if both > 1 else ''}, by {source}")


def _judge_images(evaluation: Evaluation, dataset: DatasetCard, batch_size: int) -> Convergence | None:
    whole_batches = dataset.test_images // batch_size * batch_size
    if evaluation.images in (whole_batches, dataset.test_images):
        return None
    reason = f"{evaluation.images:,} images were judged after epoch {evaluation.epoch}, and the test set gives "
    return Convergence(Verdict.OTHER_TEST_SET, f"{reason}{whole_batches:,}")


def _judge_epoch(evaluation: Evaluation, expected: EpochBand) -> Convergence | None:
    """What is wrong with that epoch, or None."""
    loss = evaluation.training_loss
    accuracy_words = (
        f"accuracy {evaluation.accuracy:.4f} after epoch {evaluation.epoch}, where {expected.accuracy.low:.4f} to "
        f"{expected.accuracy.high:.4f} is expected"
    )
    # A low accuracy is named first: with a low loss beside it, something else was learnt than is asked.
    if evaluation.accuracy < expected.accuracy.low:
        return Convergence(Verdict.TOO_SLOW, accuracy_words)
    if evaluation.accuracy > expected.accuracy.high:
        return Convergence(Verdict.TOO_GOOD, accuracy_words)
    if loss is None:
        return None
    loss_words = (
        f"training loss {loss:.4f} in epoch {evaluation.epoch}, where {expected.training_loss.low:.4f} to "
        f"{expected.training_loss.high:.4f} is expected"
    )
    if loss > expected.training_loss.high:
        return Convergence(Verdict.TOO_SLOW, loss_words)
    if loss < expected.training_loss.low:
        return Convergence(Verdict.TOO_GOOD, loss_words)
    return None
