"""Recompute the trainings of recorded cases: each distinct training once, whatever modes and profiles it ran in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from lenet.analysis.training import RecordedTraining, prove
from lenet.dataset import Dataset
from lenet.errors import CacheError, DatasetError
from lenet.store.events import Event, Sketched, Steps
from lenet.store.proof import TrainingProof, TrainingStatus
from lenet.store.record import DatasetCard
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


def recompute(
    claims: Iterable[RecordedTraining],
    find: Find,
    steps: int = STEPS,
    progress: Progress | None = None,
    seconds: float | None = None,
) -> Iterator[tuple[RecordedTraining, TrainingProof]]:
    """Recompute the trainings of the claims that have losses, and iterate over the results.

    Args:
        claims: of any cases.
        find: finds the data of a card, or raises `DatasetError` or `CacheError`.
        steps: of each training; a training that is hardly longer is recomputed whole.
        progress: is told of every step.
        seconds: a limit for all trainings together, in which each gets as many steps as fit, and no accuracy.
    """
    trainings: dict[Training, list[RecordedTraining]] = {}
    for claim in claims:
        if claim.losses and claim.record.dataset is not None:
            training = Training.of(claim.record.case, claim.record.dataset.sha256)
            trainings.setdefault(training, []).append(claim)
    ends = time.monotonic() + seconds if seconds is not None else None
    for index, members in enumerate(trainings.values()):
        share = (ends - time.monotonic()) / (len(trainings) - index) if ends is not None else None
        try:
            yield from _same_training(members, find, steps, progress, share)
        except (DatasetError, CacheError) as error:
            yield from ((each, _not_proved(str(error))) for each in members)


def _same_training(
    claims: Sequence[RecordedTraining], find: Find, steps: int, progress: Progress | None, seconds: float | None
) -> Iterator[tuple[RecordedTraining, TrainingProof]]:
    """The same of cases that train the same. The shortest comes first: its accuracy is that after its last step."""
    began = time.monotonic()
    first = claims[0].record
    if first.dataset is None:
        raise AssertionError("a claim without data is not recomputed")
    if seconds is not None and seconds < SECONDS_AT_LEAST:
        yield from ((each, _too_long(steps)) for each in claims)
        return
    dataset = find(first.dataset)
    training = Recomputation(first.case, dataset)
    words = f"batch {first.case.global_batch_size}, seed {first.case.hyperparameters.seed}, {first.dataset.name}"
    steps_per_epoch = max(first.dataset.training_images // first.case.global_batch_size, 1)
    evaluations: dict[tuple[int, int, int | None], EvaluationBounds] = {}

    def wanted_of(claim: RecordedTraining) -> int:
        return len(claim.losses) if len(claim.losses) <= WHOLE * steps else steps

    for claim in sorted(claims, key=wanted_of):
        record, wanted = claim.record, wanted_of(claim) if seconds is None else min(steps, len(claim.losses))
        before = len(training.steps)
        for number, _ in enumerate(islice(training, wanted), 1):
            if progress is not None and number > before:
                progress(words, number, wanted)
            if seconds is not None and _out_of_time(time.monotonic() - began, number, wanted, seconds):
                break
        bounds = None
        layers = dict(training.weights)
        if wanted == len(claim.losses) == len(training.steps):
            layers[wanted] = training.layers()
            if seconds is None and record.evaluations:
                plan, batch_size = record.case.plan, record.case.hyperparameters.batch_size
                key = (wanted, batch_size, None if plan.epochs else plan.evaluation_images)
                if key not in evaluations:
                    evaluations[key] = training.evaluate(*key[1:])
                bounds = evaluations[key]
        made = training.steps[:wanted]
        if len(made) < min(wanted, STEPS_AT_LEAST):
            yield claim, _too_long(steps)
            continue
        yield claim, prove(claim, training.initial_weights_sha256, made, steps_per_epoch, layers, bounds)


def _out_of_time(passed: float, steps: int, wanted: int, seconds: float) -> bool:
    """Whether to stop: the time is over, or it is not enough for the fewest steps that prove anything."""
    return passed > seconds or (steps < STEPS_AT_LEAST and passed / steps * min(STEPS_AT_LEAST, wanted) > seconds)


def _too_long(steps: int) -> TrainingProof:
    return _not_proved(
        f"recomputing it takes longer than the run allows: `lenet-bench verify` recomputes {steps} steps"
    )


def _not_proved(reason: str) -> TrainingProof:
    return TrainingProof(status=TrainingStatus.NOT_PROVED, reason=reason)


def prove_run(
    store: Store,
    datasets: Mapping[str, Dataset],
    measured_seconds: float,
    progress: Progress | None = None,
    beside: Sequence[RecordedTraining] = (),
    least_seconds: float = 0.0,
) -> dict[str, TrainingProof]:
    """Recompute the trainings of a run, and write the results beside its records, for tables to show.

    That takes at most `SHARE` of the time for which the run was measured, or `least_seconds` if those are more. Results
    that the run has already are kept, if they are of the same records; so are those that were found when Ctrl-C ends
    it. The claims of `beside` are recomputed with them; their results are returned, by case.

    Raises:
        StoreError: the run cannot be read or written.
    """
    known = {name: proof for name, proof in store.proofs().items() if proof.status is not TrainingStatus.NOT_PROVED}
    events = _first_events(store)
    claims = [
        RecordedTraining.of(record, events.get((record.case_id, record.attempt), ()), STEPS)
        for record in store.records()
        if record.case_id not in known
    ]
    found: dict[str, TrainingProof] = {}
    others: dict[str, TrainingProof] = {}
    seconds = max(SHARE * measured_seconds, least_seconds)
    try:
        for claim, proof in recompute([*claims, *beside], lambda card: datasets[card.name], STEPS, progress, seconds):
            (others if any(claim is each for each in beside) else found)[claim.record.case_id] = proof
    finally:
        if found:
            store.write_proofs({**known, **found})
    return others


def _first_events(store: Store) -> dict[tuple[str, str], list[Event]]:
    """What every case and attempt says of its first steps, in one pass over the log."""
    found: dict[tuple[str, str], list[Event]] = {}
    for line in store.every_event():
        event = line.event
        first = event.first_step if isinstance(event, Steps) else event.step if isinstance(event, Sketched) else STEPS
        if first < STEPS:
            found.setdefault((line.case_id, line.attempt), []).append(event)
    return found
