"""Recompute the trainings of recorded cases: each distinct training once, whatever modes and profiles it ran in."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from lenet.analysis.training import Recorded, prove
from lenet.dataset import Dataset, at_hand
from lenet.errors import CacheError, DatasetError
from lenet.store.events import Steps
from lenet.store.proof import TrainingProof, TrainingStatus
from lenet.store.record import DatasetCard, Record
from lenet.store.run import Store
from lenet.workload.recomputation import EvaluationBounds, Recomputation, Training

STEPS = 100
"""Steps of each training that are recomputed by default."""
WHOLE = 3
"""A training of at most so many times the wanted steps is recomputed to its end, with its accuracy."""
STEPS_AT_LEAST = 10
"""Within a time limit. Fewer do not show a momentum and small changes."""
SECONDS_AT_LEAST = 0.5
"""A share of a time limit below this is not begun: reading the data takes as long."""

SHARE = 0.1
"""Of a run's time: the most that recomputing its trainings at its end takes."""

Find = Callable[[DatasetCard], Dataset]
Progress = Callable[[str, int, int], None]
"""Called with a training in words, the steps that were recomputed, and those wanted."""


def finder(data_dir: Path | None) -> Find:
    """Finds the data of a card in `data_dir`, the cache or the package; nothing is downloaded."""
    return lambda card: at_hand(card, data_dir)


@dataclass(frozen=True)
class RecordedTraining:
    """A record and the losses of all its steps; NaN where one was not finite."""

    record: Record
    losses: Sequence[float]

    def steps(self, wanted: int) -> int:
        """How many steps of it are recomputed."""
        return len(self.losses) if len(self.losses) <= WHOLE * wanted else wanted


def recompute(
    claims: Iterable[RecordedTraining],
    find: Find,
    steps: int = STEPS,
    progress: Progress | None = None,
    seconds: float | None = None,
) -> dict[str, TrainingProof]:
    """Recompute the trainings of the claims that have losses; the results by case.

    Args:
        claims: of any cases.
        find: finds the data of a card, or raises `DatasetError` or `CacheError`.
        steps: of each training; a training that is hardly longer is recomputed whole.
        progress: is told of every step.
        seconds: a limit for all trainings together, in which each gets as many steps as fit, and no accuracy.
    """
    found: dict[str, TrainingProof] = {}
    trainings: dict[Training, list[RecordedTraining]] = {}
    for claim in claims:
        if claim.losses and claim.record.dataset is not None:
            training = Training.of(claim.record.case, claim.record.dataset.sha256)
            trainings.setdefault(training, []).append(claim)
    ends = time.monotonic() + seconds if seconds is not None else None
    for index, members in enumerate(trainings.values()):
        share = (ends - time.monotonic()) / (len(trainings) - index) if ends is not None else None
        try:
            found |= _same_training(members, find, steps, progress, share)
        except (DatasetError, CacheError) as error:
            found |= dict.fromkeys((each.record.case_id for each in members), _not_proved(str(error)))
    return found


def _same_training(
    claims: Sequence[RecordedTraining], find: Find, steps: int, progress: Progress | None, seconds: float | None
) -> Mapping[str, TrainingProof]:
    """The same of cases that train the same. The shortest comes first: its accuracy is that after its last step."""
    began = time.monotonic()
    first = claims[0].record
    if first.dataset is None:
        raise AssertionError("a claim without data is not recomputed")
    if seconds is not None and seconds < SECONDS_AT_LEAST:
        return dict.fromkeys((each.record.case_id for each in claims), _too_long(steps))
    dataset = find(first.dataset)
    training = Recomputation(first.case, dataset)
    words = f"batch {first.case.global_batch_size}, seed {first.case.hyperparameters.seed}, {first.dataset.name}"
    found: dict[str, TrainingProof] = {}
    evaluations: dict[tuple[int, int, int | None], EvaluationBounds] = {}
    for claim in sorted(claims, key=lambda each: each.steps(steps)):
        record, wanted = claim.record, claim.steps(steps) if seconds is None else min(steps, len(claim.losses))
        before = len(training.steps)
        for number, _ in enumerate(islice(training, wanted), 1):
            if progress is not None and number > before:
                progress(words, number, wanted)
            if seconds is not None and _out_of_time(time.monotonic() - began, number, wanted, seconds):
                break
        evaluation = bounds = None
        if seconds is None and wanted == len(claim.losses) == len(training.steps) and record.evaluations:
            evaluation = record.evaluations[-1]
            plan, batch_size = record.case.plan, record.case.hyperparameters.batch_size
            key = (wanted, batch_size, None if plan.epochs else plan.evaluation_images)
            if key not in evaluations:
                evaluations[key] = training.evaluate(*key[1:])
            bounds = evaluations[key]
        made = training.steps[:wanted]
        if len(made) < min(wanted, STEPS_AT_LEAST):
            found[record.case_id] = _too_long(steps)
            continue
        recorded = Recorded(record.weights_sha256.get("initial", ""), claim.losses[:wanted], evaluation)
        steps_per_epoch = max(first.dataset.training_images // record.case.global_batch_size, 1)
        found[record.case_id] = prove(
            recorded, training.initial_weights_sha256, made, record.case.world_size, steps_per_epoch, bounds
        )
    return found


def _out_of_time(passed: float, steps: int, wanted: int, seconds: float) -> bool:
    """Whether to stop: the time is over, or it is not enough for the fewest steps that prove anything."""
    return passed > seconds or (steps < STEPS_AT_LEAST and passed / steps * min(STEPS_AT_LEAST, wanted) > seconds)


def _too_long(steps: int) -> TrainingProof:
    return _not_proved(
        f"recomputing it takes longer than the run allows: `lenet-bench verify` recomputes {steps} steps"
    )


def _not_proved(reason: str) -> TrainingProof:
    return TrainingProof(status=TrainingStatus.NOT_PROVED, reason=reason)


def prove_run(store: Store, datasets: Mapping[str, Dataset], seconds: float, progress: Progress | None = None) -> None:
    """Recompute the trainings of a run within `seconds`, and write the results beside its records, for tables to show.

    Results that the run has already are kept, if they are of the same records.

    Raises:
        StoreError: the run cannot be read or written.
    """
    known = {name: proof for name, proof in store.proofs().items() if proof.status is not TrainingStatus.NOT_PROVED}
    losses = _first_losses(store)
    claims = [
        RecordedTraining(record, losses.get((record.case_id, record.attempt), ()))
        for record in store.records()
        if record.case_id not in known
    ]
    found = recompute(claims, lambda card: datasets[card.name], STEPS, progress, seconds)
    if found:
        store.write_proofs({**known, **found})


def _first_losses(store: Store) -> dict[tuple[str, str], list[float]]:
    """The first losses of every case and attempt, in one pass over the log."""
    losses: dict[tuple[str, str], list[float]] = {}
    for line in store.every_event():
        if isinstance(line.event, Steps) and line.event.first_step < STEPS:
            values = (math.nan if loss is None else loss for loss in line.event.losses)
            losses.setdefault((line.case_id, line.attempt), []).extend(values)
    return {name: values[:STEPS] for name, values in losses.items()}
