"""Whether a case's losses are those of its training: compared, step by step, with a recomputation in numpy.

The tolerance of a step has two parts, because two things differ in an honest training.

The loss of the same weights is rounded otherwise. The largest of these roundings is that of the mean over the batch,
which MindSpore on CPU takes in float32 one image after the other: it can be computed, and either mean is accepted. What
is left are a few units in the last place: at most 2 in all modes, profiles and releases of MindSpore and in PyTorch.
Where a device multiplies with fewer bits, the emulation of its precision shows how much more that is.

The weights drift apart. The recomputation measures the drift of one float32 training, and another may drift farther by
`DRIFT_FACTOR`. Where even that is more than `LOST`, rounding alone could hide another training: the comparison ends.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lenet.analysis import weights
from lenet.analysis.weights import Parted
from lenet.store.events import Event, Layer, Sketched, Steps, Traced
from lenet.store.proof import TrainingProof, TrainingStatus
from lenet.store.record import Record
from lenet.store.sketch import SKETCHED_STEPS
from lenet.workload.recomputation import DRIFT_FACTOR, EvaluationBounds, RecomputedLayer, RecomputedStep

UNITS = 3.5
"""Units in the last place of a float32 loss."""
ROUNDING_FACTOR = 2.0
"""How much more a device may round than the emulation of its precision does."""
FIRST_STEPS = 30
"""The rounding of a step is a random number: the largest of at least so many steps is taken."""
LOST = 1e-3
"""A tolerance above this proves nothing any more."""
BY_FAR = 30.0
"""A difference of so many tolerances did not grow from rounding."""
FIRST_DIFFERENCES = 10
LARGEST_RMS = 0.4
"""Of at least so many first differences, in tolerances: an honest training has at most 0.2. A change that is below the
tolerance in every step, as a small one of the pixels, is found by all of them together."""
SUSPICIOUS_RMS = 0.25
"""Where a training has parted, one like this was another from its first step."""


@dataclass(frozen=True)
class RecordedTraining:
    """A record, and what its events say of its training."""

    record: Record
    losses: Sequence[float]
    """Of all its steps, or the first; NaN where one was not finite."""
    weights: Mapping[int, Sequence[Layer]] = field(default_factory=dict)
    """Sketches of the weights, by the number of steps; none in records of older versions."""

    @classmethod
    def of(cls, record: Record, events: Iterable[Event], first: int | None = None) -> RecordedTraining:
        """From the events of the record's worker, or of its `first` steps."""
        losses: list[float] = []
        weights = {}
        for event in events:
            if isinstance(event, Steps):
                losses += [math.nan if loss is None else loss for loss in event.losses]
            elif isinstance(event, Sketched | Traced):
                weights[event.step] = event.layers
        return cls(record, losses[:first], weights)


def tolerances(steps: Sequence[RecomputedStep]) -> list[float]:
    """The largest honest difference of the loss of each step; infinite once the training is lost in rounding."""
    rounding = max((step.rounding for step in steps[:FIRST_STEPS]), default=0.0)
    drift = 0.0
    found: list[float] = []
    for step in steps:
        rounding, drift = max(rounding, step.rounding), max(drift, step.drift)
        unit = float(np.spacing(np.float32(max(step.loss, 1.0))))
        tolerance = max(UNITS * unit, ROUNDING_FACTOR * rounding) + DRIFT_FACTOR * drift
        if not tolerance <= LOST:  # a loss that is not a number, too
            break
        found.append(tolerance)
    return found + [math.inf] * (len(steps) - len(found))


def differences(losses: Sequence[float], steps: Sequence[RecomputedStep], processes: int) -> list[float]:
    """By how much each loss differs from the recomputed one, with the mean over the batch taken in either way."""
    return [
        min(abs(loss - step.loss), abs(loss - step.summed_in_order(processes)))
        for loss, step in zip(losses, steps, strict=False)
    ]


def prove(
    recorded: RecordedTraining,
    initial_weights_sha256: str,
    steps: Sequence[RecomputedStep],
    steps_per_epoch: int,
    layers: Mapping[int, Mapping[str, RecomputedLayer]],
    bounds: EvaluationBounds | None = None,
) -> TrainingProof:
    """Compare a record with the recomputed `steps` of its training.

    Args:
        recorded: what the record claims; its last evaluation is after as many steps as are compared.
        initial_weights_sha256: of the recomputed training.
        steps: recomputed; the steps that both have are compared.
        steps_per_epoch: whole batches of the training set.
        layers: recomputed weights, by the number of steps; those that the record has too are compared.
        bounds: the recomputed evaluation, if the record's is to be compared.
    """
    record, case = recorded.record, recorded.record.case
    same_start = record.weights_sha256.get("initial") == initial_weights_sha256
    compared, words, parted = _compare_losses(recorded.losses, steps, case.world_size, steps_per_epoch, same_start)
    both = [step for step in SKETCHED_STEPS if step in recorded.weights and step in layers]
    if same_start:
        for step in both:
            found = weights.first_steps(step, recorded.weights[step], layers[step], case.hyperparameters)
            if found is not None:
                # Where both part at once, the weights say why; at the first step the losses say more.
                if parted is None or found.step < parted.step or 1 < found.step == parted.step:
                    parted = found
                break
    elif parted is None:
        parted = Parted(1, "it began with other initial weights")
    if parted is not None:
        return _another(compared, parted.reason, parted.step)
    if not compared:
        return TrainingProof(status=TrainingStatus.NOT_PROVED, reason="rounding alone changes the first loss too much")
    if both:
        words += f", the weights after the first {both[-1]} are those expected"
    if compared < min(len(recorded.losses), len(steps)):
        words += f"; after step {compared:,} rounding alone could hide another training"
        return TrainingProof(status=TrainingStatus.PROVED, steps=compared, reason=words)
    begins = "its losses are those of the training, but"
    if compared not in SKETCHED_STEPS and compared in recorded.weights and compared in layers:
        if (differ := weights.last_step(recorded.weights[compared], layers[compared])) is not None:
            meaning = "a small change of the learning rate or of a gradient"
            return _another(compared, f"{begins} {differ}: {meaning}")
        words += "; so are the weights after its last step"
    if bounds is not None:
        evaluation = record.evaluations[-1]
        low, high = bounds.certainly_correct, bounds.possibly_correct
        wanted = f"{low:,}" if low == high else f"{low:,} to {high:,}"
        if evaluation.images != bounds.images or not low <= evaluation.correct <= high:
            reason = (
                f"{begins} {evaluation.correct:,} of {evaluation.images:,} test images were "
                f"counted as correct, and {wanted} of {bounds.images:,} was expected: another test set or evaluation"
            )
            return _another(compared, reason)
        words += f"; so is the accuracy after them ({wanted} of {bounds.images:,} expected)"
    return TrainingProof(status=TrainingStatus.PROVED, steps=compared, reason=words)


def _another(compared: int, reason: str, step: int | None = None) -> TrainingProof:
    return TrainingProof(status=TrainingStatus.ANOTHER, steps=compared, parted_at=step, reason=reason)


def _compare_losses(
    losses: Sequence[float], steps: Sequence[RecomputedStep], processes: int, steps_per_epoch: int, same_start: bool
) -> tuple[int, str, Parted | None]:
    """The number of steps that were compared, how near their losses are, and where they part."""
    allowed = tolerances(steps)
    apart = differences(losses, steps, processes)
    compared, largest = 0, 0.0
    for number, (difference, tolerance) in enumerate(zip(apart, allowed, strict=False), 1):
        if math.isinf(tolerance):
            break
        compared = number
        together = number >= FIRST_DIFFERENCES and _rms(apart[:number], allowed) > LARGEST_RMS
        if together or not difference <= tolerance:
            first = _first_step(number, apart, allowed)
            claimed, expected = losses[number - 1], steps[number - 1].loss
            by = f"the loss of step {number:,} is {claimed:.7g}, and {expected:.7g} within {tolerance:.1g} was expected"
            if together:
                by = f"each loss is near the expected one, but the first {number:,} together differ too much"
            meaning = _meaning(first, difference / tolerance, same_start, steps_per_epoch)
            return compared, "", Parted(first, f"{by}: {meaning}")
        largest = max(largest, difference)
    words = f"the losses of the first {compared:,} steps differ by at most {largest:.1g} from the recomputed ones"
    return compared, words, None


def _rms(apart: Sequence[float], allowed: Sequence[float]) -> float:
    """The root mean square of the differences, in tolerances."""
    return math.sqrt(sum((each / most) ** 2 for each, most in zip(apart, allowed, strict=False)) / len(apart))


def _first_step(parted: int, apart: Sequence[float], allowed: Sequence[float]) -> int:
    """The step from which a training that parted at `parted` is another: 1 if its first differences are suspicious.

    A change of every step parts a training only when a difference is beyond the tolerance by chance.
    """
    if parted >= FIRST_DIFFERENCES and _rms(apart[:FIRST_DIFFERENCES], allowed) > SUSPICIOUS_RMS:
        return 1
    return parted


def _meaning(number: int, ratio: float, same_start: bool, steps_per_epoch: int) -> str:
    """What can have changed a training whose losses are those of another from step `number`.

    The first loss follows from the initial weights and the first batch; the second from the first gradient and the
    learning rate too; the third is the first that momentum takes part in.
    """
    if number == 1 and not same_start:
        return "other initial weights, and perhaps other pixels, labels, loss or network"
    if number == 1:
        return "other pixels, labels, order, loss or network, or another precision"
    if number % steps_per_epoch == 1 or steps_per_epoch == 1:
        epoch = (number - 1) // steps_per_epoch + 1
        return f"pass {epoch:,} over the data begins here, with another order or a rest that filled no batch"
    if number == 2:
        return "another learning rate or another gradient"
    if number == 3:
        return "another momentum, dampening, or a small change of learning rate or gradient"
    if ratio < BY_FAR:
        return (
            "a small change of learning rate, momentum or gradient, such as a weight decay or a layer of lower "
            "precision, that was below rounding before"
        )
    return "another batch of images, or the training was changed here"
