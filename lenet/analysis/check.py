"""The checks of `lenet-bench check`: how far two traced trainings agree, and whether a rung of checks holds.

Traces are read from a run's event log, step by step: the digests of each batch, every parameter after each step, and
every loss.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum

from pydantic import Field

from lenet.analysis import traces
from lenet.analysis.bands import Reference
from lenet.analysis.convergence import ConvergenceStatus, assess
from lenet.cases.case import Case, Frozen
from lenet.store.events import Layer, Traced
from lenet.store.record import Record, Status
from lenet.store.run import Store
from lenet.store.sketch import distance


class Rung(str, Enum):
    """The rungs of the ladder, in order."""

    REPEAT = "repeat"
    SEED = "seed"
    MODES = "modes"
    PROFILE = "profile"
    FRAMEWORK = "framework"
    DEVICE = "device"
    LEARN = "learn"


class Pair(Frozen):
    """Two cases that a rung compares, one case that must learn, or the reason why the rung is skipped."""

    rung: Rung
    compared: str
    """What is compared, for a table."""
    a: Case | None = None
    b: Case | None = None
    skipped: str = ""

    @property
    def cases(self) -> tuple[Case, ...]:
        """The cases that must be run, at most two."""
        return tuple(case for case in (self.a, self.b) if case is not None)


class Match(str, Enum):
    """How far two trainings agree, the best first."""

    IDENTICAL = "identical"
    WITHIN = "within tolerance"
    DIFFERENT = "different"
    OTHER_DATA = "other data"
    OTHER_START = "other weights"
    SKIPPED = "skipped"


class LayerDistance(Frozen):
    """The distance of a layer in two trainings, relative to its norm; null if a value is not finite."""

    layer: str
    relative: float | None


class TraceComparison(Frozen):
    """Two traced trainings over the steps that both have. The first step is step 1."""

    outcome: Match
    steps: int = Field(ge=0)
    """Steps compared."""
    same_order: bool | None = None
    """Whether every batch has the same labels."""
    same_images: bool | None = None
    """Whether every batch has bitwise equal images."""
    same_initial_weights: bool | None = None
    first_batch_apart: int | None = None
    """The first step whose labels differ."""
    first_weights_apart: int | None = None
    """The first step after which a parameter is not bitwise equal; 0 means before the first step."""
    layers_apart: tuple[str, ...] = ()
    """The parameters that differ at that step."""
    first_loss_apart: int | None = None
    """The first step whose loss is not bitwise equal."""
    beyond: int | None = None
    """The first step at which the loss, or a parameter after it, differs by more than the tolerance."""
    largest_loss_difference: float | None = None
    """Largest relative difference of the losses of a step."""
    distances: tuple[LayerDistance, ...] = ()
    """Estimated distances of the parameters at step `beyond`, or after the last step, the largest first."""
    reason: str = ""
    """Why the comparison was skipped."""


class RungResult(Frozen):
    """The result of one pair."""

    rung: Rung
    compared: str
    holds: bool | None
    """Whether the rung holds; null if it was skipped."""
    comparison: TraceComparison | None = None
    verdict: ConvergenceStatus | None = None
    """The convergence verdict of the rung `learn`."""
    reason: str = ""
    """Why it was skipped or failed, or what the verdict is based on."""


def evaluate(
    store: Store, pairs: Iterable[Pair], tolerance: float, references: Sequence[Reference]
) -> list[RungResult]:
    """The result of each pair, from the records and traces of a run; `tolerance` is relative.

    Raises:
        StoreError: the run cannot be read.
    """
    records = {record.case: record for record in store.records()}
    return [_evaluate(store, pair, records, tolerance, references) for pair in pairs]


def _evaluate(
    store: Store, pair: Pair, records: Mapping[Case, Record], tolerance: float, references: Sequence[Reference]
) -> RungResult:
    def result(holds: bool | None, comparison: TraceComparison) -> RungResult:
        return RungResult(
            rung=pair.rung, compared=pair.compared, holds=holds, comparison=comparison, reason=comparison.reason
        )

    if pair.a is None:
        return result(None, skipped(pair.skipped))
    for case in pair.cases:
        record = records.get(case)
        if record is None:
            return result(None, skipped("not run"))
        if record.status is Status.UNAVAILABLE:
            return result(None, skipped(record.reason))
        if not (record.status.complete or record.status is Status.DIVERGED):
            return result(False, skipped(f"{case.label} {record.status.value}: {record.reason}"))
    if pair.b is None:
        convergence = assess(records[pair.a], references)
        status = convergence.status
        return RungResult(
            rung=pair.rung,
            compared=pair.compared,
            holds=None if status is ConvergenceStatus.NO_REFERENCE else status is ConvergenceStatus.CONVERGED,
            verdict=status,
            reason=convergence.reason,
        )
    comparison = compare(store, pair.a, pair.b, tolerance)
    return result(holds(pair.rung, comparison), comparison)


def holds(rung: Rung, comparison: TraceComparison) -> bool:
    """Whether the rung holds: a repetition bitwise equal, another seed different, all else within the tolerance."""
    if rung is Rung.SEED:
        return comparison.same_order is False and comparison.same_initial_weights is False
    if rung is Rung.REPEAT:
        return comparison.outcome is Match.IDENTICAL
    return comparison.outcome in (Match.IDENTICAL, Match.WITHIN)


def skipped(reason: str) -> TraceComparison:
    """A comparison that could not be made."""
    return TraceComparison(outcome=Match.SKIPPED, steps=0, reason=reason)


def compare(store: Store, a: Case, b: Case, tolerance: float) -> TraceComparison:
    """Compare the traced trainings `a` and `b` of a run; `tolerance` is relative.

    The comparison is `skipped` if a case has no trace.

    Raises:
        StoreError: the event log cannot be read.
    """
    losses, traced = [], []
    for case in (a, b):
        losses.append(traces.losses(store, case))
        traced.append([event for event in store.events(case) if isinstance(event, Traced)])
        if not losses[-1] or not traced[-1]:
            return skipped(f"{case.label} reported no trace")
    pairs = list(zip(*traced, strict=False))
    start = pairs[0]
    if [len(step.layers) for step in start] != [len(start[0].layers)] * 2:
        return skipped("the two networks have different parameters")
    loss = traces.compare(losses[0], losses[1], tolerance)
    batches = [index for index, (x, y) in enumerate(pairs) if x.labels_sha256 != y.labels_sha256]
    apart = [index for index, (x, y) in enumerate(pairs) if _unequal(x, y)]
    same_start = not _unequal(*start)
    beyond_weights = next(
        (index for index, (x, y) in enumerate(pairs) if any(not each <= tolerance for each in _relative(x, y))), None
    )
    beyond_loss = None if loss.first_beyond is None else loss.first_beyond + 1
    beyond = min((step for step in (beyond_loss, beyond_weights) if step is not None), default=None)
    identical = loss.first_difference is None and not apart and len(losses[0]) == len(losses[1])
    if batches:
        outcome = Match.OTHER_DATA
    elif not same_start and beyond_weights == 0:
        outcome = Match.OTHER_START
    elif beyond is not None:
        outcome = Match.DIFFERENT
    else:
        outcome = Match.IDENTICAL if identical else Match.WITHIN
    shown = min(beyond if beyond is not None else len(pairs) - 1, len(pairs) - 1)
    return TraceComparison(
        outcome=outcome,
        steps=loss.steps,
        same_order=not batches,
        same_images=all(x.images_sha256 == y.images_sha256 for x, y in pairs),
        same_initial_weights=same_start,
        first_batch_apart=batches[0] if batches else None,
        first_weights_apart=apart[0] if apart else None,
        layers_apart=_unequal(*pairs[apart[0]]) if apart else (),
        first_loss_apart=None if loss.first_difference is None else loss.first_difference + 1,
        beyond=beyond,
        largest_loss_difference=loss.largest if math.isfinite(loss.largest) else None,
        distances=_distances(*pairs[shown]) if apart else (),
    )


def _unequal(a: Traced, b: Traced) -> tuple[str, ...]:
    """Names, as in `a`, of the parameters that differ. Frameworks name them differently, but in the same order."""
    return tuple(x.name for x, y in zip(a.layers, b.layers, strict=True) if x.sha256 != y.sha256)


def _relative(a: Traced, b: Traced) -> list[float]:
    return [_layer_distance(x, y) for x, y in zip(a.layers, b.layers, strict=True)]


def _layer_distance(a: Layer, b: Layer) -> float:
    if a.sha256 == b.sha256:
        return 0.0
    size = max(a.norm or 0.0, b.norm or 0.0)
    return distance(a.sketch, b.sketch) / size if size else math.inf


def _distances(a: Traced, b: Traced) -> tuple[LayerDistance, ...]:
    ranked = sorted(zip(_relative(a, b), a.layers, strict=True), key=lambda pair: -pair[0])
    return tuple(
        LayerDistance(layer=layer.name, relative=value if math.isfinite(value) else None)
        for value, layer in ranked
        if value
    )
