"""Reference bands: what correct trainings reach after each epoch.

A band is computed from at least 20 seeds of one batch size: per epoch a two-sided prediction interval for one further
training, mean ± t(1 - a/2, n - 1) · s · sqrt(1 + 1/n), on the log odds of the accuracy and the logarithm of the mean
training loss, where trainings spread more nearly as a normal distribution does than on the raw scales (G. J. Hahn and
W. Q. Meeker, Statistical Intervals, 1991, chapter 4). Bonferroni divides `FALSE_ALARMS` over both figures of all
epochs, so that at most that share of good trainings is flagged at any epoch. The band is never narrower than the
range of the seeds, nor than `MIN_SPREAD` gives.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

from pydantic import Field, model_validator

from lenet.analysis.statistics import t_quantile
from lenet.cases.base import Instant
from lenet.cases.case import DeviceTarget, Frozen, Mode, RuntimeProfile
from lenet.cases.frameworks import Framework
from lenet.store.record import DatasetCard, Software

REFERENCE_VERSION = 1
"""Increased with every change that an older reader would misread."""

MIN_SEEDS = 20
FALSE_ALARMS = 0.01
"""Share of good trainings that the check may flag, over all epochs and both figures together."""

MIN_SPREAD = 0.01
"""Smallest standard deviation on the transformed scales: about one image of 10,000 at an accuracy of 0.988."""


class Band(Frozen):
    """Interval of one figure of a further good training; `centre` is the middle on the transformed scale."""

    low: float
    centre: float
    high: float

    def __contains__(self, value: float) -> bool:
        """Whether a training with this figure is inside."""
        return self.low <= value <= self.high

    def map(self, function: Callable[..., float], *arguments: int) -> Band:
        """The band on another scale, an increasing function of this one."""
        low, centre, high = (function(each, *arguments) for each in (self.low, self.centre, self.high))
        return Band(low=low, centre=centre, high=high)


class EpochBand(Frozen):
    """The bands after one whole epoch."""

    epoch: int = Field(ge=1)
    accuracy: Band
    training_loss: Band


class SeedCurve(Frozen):
    """Raw figures of one seed, one item per epoch; the band is computed from these."""

    seed: int
    case_id: str
    correct: tuple[int, ...]
    training_loss: tuple[float, ...]


class Origin(Frozen):
    """Where and when a run that a reference is made from was measured."""

    lenet_bench_version: str
    created_at: Instant
    machine_id: str
    machine: str
    git_commit: str | None
    git_dirty: bool | None


class Reference(Frozen):
    """The reference for one batch size: provenance, the raw figures of the seeds, and the band computed from them."""

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
    """Images evaluated after each epoch."""
    false_alarms: float = Field(gt=0, lt=1)
    band: tuple[EpochBand, ...]
    seeds: tuple[SeedCurve, ...] = Field(min_length=MIN_SEEDS)

    @model_validator(mode="after")
    def _whole(self) -> Reference:
        lengths = {len(part) for curve in self.seeds for part in (curve.correct, curve.training_loss)}
        if lengths != {self.epochs} or [each.epoch for each in self.band] != list(range(1, self.epochs + 1)):
            raise ValueError("seeds or band do not have one item per epoch")
        if len({curve.seed for curve in self.seeds}) != len(self.seeds):
            raise ValueError("a seed occurs twice")
        return self


def odds(correct: float, images: int) -> float:
    """Log odds of a right answer, half an image added to both sides so that none and all are finite."""
    return math.log((correct + 0.5) / (images - correct + 0.5))


def _share_odds(accuracy: float, images: int) -> float:
    return odds(accuracy * images, images)


def _accuracy(log_odds: float, images: int) -> float:
    """The inverse of `_share_odds`, clipped to 0 and 1."""
    return min(max(((images + 1) / (1 + math.exp(-log_odds)) - 0.5) / images, 0.0), 1.0)


def band(seeds: Sequence[SeedCurve], test_images: int, false_alarms: float = FALSE_ALARMS) -> tuple[EpochBand, ...]:
    """The band of every epoch, computed from these seeds.

    Raises:
        ValueError: fewer than two seeds, or curves of different lengths.
    """
    epochs, count = len(seeds[0].correct), len(seeds)
    if count < 2 or any(len(curve.correct) != epochs for curve in seeds):
        raise ValueError("a band takes at least two seeds of equally many epochs")
    share = false_alarms / (2 * epochs)
    reach = float(t_quantile(count - 1, 1 - share)) * math.sqrt(1 + 1 / count)

    def limits(values: Sequence[float]) -> Band:
        centre = statistics.fmean(values)
        half = reach * max(statistics.stdev(values, centre), MIN_SPREAD)
        return Band(low=min(centre - half, *values), centre=centre, high=max(centre + half, *values))

    return tuple(
        EpochBand(
            epoch=index + 1,
            accuracy=limits([odds(curve.correct[index], test_images) for curve in seeds]).map(_accuracy, test_images),
            training_loss=limits([math.log(curve.training_loss[index]) for curve in seeds]).map(math.exp),
        )
        for index in range(epochs)
    )


def between(below: Reference, above: Reference, batch_size: int) -> tuple[EpochBand, ...]:
    """The bands at a batch size between two references', over the epochs that both have.

    Linear in the logarithm of the batch size, on the transformed scales, with a margin for a curve that bends: at a
    weight w between the two, every weight within min(w, 1 - w) of it counts as possible. The margin is zero at either
    reference and covers everything between them half-way.
    """
    weight = math.log(batch_size / below.batch_size) / math.log(above.batch_size / below.batch_size)
    margin = min(weight, 1 - weight)
    images = min(below.test_images, above.test_images)

    def mixed(one: float, other: float, at: float) -> float:
        return one + at * (other - one)

    def limits(one: Band, other: Band) -> Band:
        extremes = (weight - margin, weight + margin)
        return Band(
            low=min(mixed(one.low, other.low, at) for at in extremes),
            centre=mixed(one.centre, other.centre, weight),
            high=max(mixed(one.high, other.high, at) for at in extremes),
        )

    return tuple(
        EpochBand(
            epoch=a.epoch,
            accuracy=limits(*(each.accuracy.map(_share_odds, images) for each in (a, b))).map(_accuracy, images),
            training_loss=limits(*(each.training_loss.map(math.log) for each in (a, b))).map(math.exp),
        )
        for a, b in zip(below.band, above.band, strict=False)
    )
