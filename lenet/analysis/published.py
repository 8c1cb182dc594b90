"""Published figures beside measured ones: reproduced, refuted, or not comparable and why."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from enum import Enum
from itertools import pairwise

from lenet.analysis.statistics import Interval, t_quantile
from lenet.cases.case import Case, Frozen, Hyperparameters, RuntimeProfile
from lenet.cases.claims import Publication, PublishedFigure, Quantity
from lenet.cases.values import Pipeline
from lenet.store.record import Record, Status

LEAST_TRAININGS = 3
"""Fewer have no spread that an interval could be made of."""


class PublishedVerdict(str, Enum):
    """What measured records say of a published figure."""

    REPRODUCED = "reproduced"
    REFUTED = "refuted"
    NOT_COMPARABLE = "not comparable"


class PublishedResult(Frozen):
    """A published figure and what was measured."""

    publication: str
    figure: PublishedFigure
    verdict: PublishedVerdict
    measured: float | None
    """Mean over the trainings; None where nothing was measured that it could be held against."""
    low: float | None
    high: float | None
    """The interval that one more training lies in with 95% (a prediction interval); None below three trainings."""
    trainings: int
    why: str


def compare_published(publication: Publication, records: Iterable[Record]) -> list[PublishedResult]:
    """A result for each figure of the publication, in its order.

    A published figure is one training or a few. It is held against the prediction interval of one more training,
    Student's t over trainings with different seeds (G. J. Hahn and W. Q. Meeker, Statistical Intervals, 1991): inside,
    it is reproduced; outside, refuted. What does not depend on the seed, such as speed, is compared over processes.
    """
    matrix = publication.matrix
    wanted = [
        Hyperparameters(batch_size=size, learning_rate=matrix.learning_rate, momentum=matrix.momentum)
        for size in matrix.batch_sizes
    ]
    fitting = [
        record for record in records if record.status is Status.OK and _same_training(publication, record.case, wanted)
    ]
    return [_compared(publication, figure, fitting) for figure in publication.figures]


def _same_training(publication: Publication, case: Case, wanted: Sequence[Hyperparameters]) -> bool:
    """Whether the case trains as the publication's matrix says, whatever the seed, mode, profile and machine."""
    matrix = publication.matrix
    return (
        case.plan.epochs is not None
        and case.world_size == 1
        and case.framework in matrix.frameworks
        and case.dataset in matrix.datasets
        and case.hyperparameters.model_copy(update={"seed": wanted[0].seed}) in wanted
    )


def _compared(publication: Publication, figure: PublishedFigure, records: Sequence[Record]) -> PublishedResult:
    if figure.quantity is Quantity.ACCURACY:
        values = _accuracies(figure, records)
        missing = ", ".join(publication.not_stated) or "its training"
        obstacle = "" if publication.same_training else f"the source does not state {missing}"
    else:
        records = [record for record in records if _as_published(publication, record.case)]
        values = [value for record in records if (value := _speed(figure.quantity, record)) is not None]
        obstacle = _other_machine(publication, records)
    measured = statistics.fmean(values) if values else None
    found = prediction_interval(values)
    if not obstacle and found is None:
        obstacle = f"{LEAST_TRAININGS} trainings are needed, {len(values)} so far"
    verdict, why = PublishedVerdict.NOT_COMPARABLE, obstacle
    if not obstacle and found is not None:
        verdict, why = _verdict(figure, found)
    return PublishedResult(
        publication=publication.name,
        figure=figure,
        verdict=verdict,
        measured=measured,
        low=found.low if found else None,
        high=found.high if found else None,
        trainings=len(values),
        why=why,
    )


def _verdict(figure: PublishedFigure, measured: Interval) -> tuple[PublishedVerdict, str]:
    if figure.low <= measured.high and figure.high >= measured.low:
        return PublishedVerdict.REPRODUCED, "inside the interval of one more training"
    apart = figure.low - measured.high if figure.low > measured.high else figure.high - measured.low
    return PublishedVerdict.REFUTED, f"{apart:+.4g} outside the interval of one more training"


def _other_machine(publication: Publication, records: Sequence[Record]) -> str:
    """Why speeds are not comparable; empty if they are."""
    if not publication.machine and not publication.machine_id:
        return "the source does not name its machine"
    if not records:
        return f"nothing was measured on {publication.device.value if publication.device else 'such a device'}"
    if any(record.machine_id != publication.machine_id for record in records):
        return f"another machine: {publication.machine or publication.machine_id}"
    return ""


def _as_published(publication: Publication, case: Case) -> bool:
    """Whether the case's speed may be set beside the published one: its device and mode, and nothing tuned."""
    matrix = publication.matrix
    devices = matrix.device_targets or (case.device_target,)
    wanted = publication.device or case.device_target
    return (
        case.mode in matrix.modes
        and case.device_target in devices
        and case.device_target is wanted
        and case.profile.settings == RuntimeProfile().settings
        and case.pipeline is Pipeline.TUTORIAL
    )


def _accuracies(figure: PublishedFigure, records: Iterable[Record]) -> list[float]:
    """One accuracy a seed: other modes and profiles of a seed are the same training again."""
    by_seed: dict[int, float] = {}
    for record in records:
        for each in record.evaluations:
            if each.epoch == figure.epoch:
                by_seed.setdefault(record.case.hyperparameters.seed, each.accuracy)
    return list(by_seed.values())


def _speed(quantity: Quantity, record: Record) -> float | None:
    """The record's figure, in the unit of the quantity; the first epoch, which compiles, is left out."""
    if quantity is Quantity.IMAGES_PER_SECOND:
        return record.summary.throughput.median if record.summary.throughput else None
    epochs = [
        (after.training_seconds - before.training_seconds, after.seconds, after.steps - before.steps)
        for before, after in pairwise(record.evaluations)
    ]
    if not epochs:
        return None
    training, evaluation, steps = (float(statistics.median(column)) for column in zip(*epochs, strict=True))
    if quantity is Quantity.SECONDS_PER_EPOCH:
        return training
    if quantity is Quantity.SECONDS_WITH_EVALUATION:
        return training + evaluation
    return 1000 * training / steps


def prediction_interval(values: Sequence[float]) -> Interval | None:
    """The 95% interval that one more value lies in if they are normal; None below `LEAST_TRAININGS`."""
    if (count := len(values)) < LEAST_TRAININGS:
        return None
    reach = float(t_quantile(count - 1)) * statistics.stdev(values) * math.sqrt(1 + 1 / count)
    mean = statistics.fmean(values)
    return Interval(mean - reach, mean + reach)
