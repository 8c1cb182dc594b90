"""The determinism ladder: how far two traced trainings are the same, and where they part.

Both are read from a run's event log, step by step: the batches that were seen, every parameter after every step, and
every loss. Nothing is run here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum

from pydantic import Field

from lenet.analysis import traces
from lenet.cases.case import Case, Frozen
from lenet.store.events import Layer, Traced
from lenet.store.run import Store
from lenet.store.sketch import distance


class Outcome(str, Enum):
    """What a comparison found, the best first."""

    IDENTICAL = "identical"
    WITHIN = "within tolerance"
    PARTED = "parted"
    OTHER_DATA = "other data"
    OTHER_START = "other weights"
    SKIPPED = "skipped"


class Distance(Frozen):
    """How far one layer of two trainings is apart, relative to its norm; null when a value is not finite."""

    layer: str
    relative: float | None


class Comparison(Frozen):
    """Two traced trainings of equally many steps. A step's number is 1 for the first."""

    outcome: Outcome
    steps: int = Field(ge=0)
    """Steps compared."""
    same_order: bool | None = None
    """Every batch's labels are equal."""
    same_images: bool | None = None
    """Every batch's images are equal to the last bit."""
    same_initial_weights: bool | None = None
    first_batch_apart: int | None = None
    """The first step whose labels are not equal."""
    first_weights_apart: int | None = None
    """The first step after which some parameter is not equal to the last bit; 0: before the first step."""
    layers_apart: tuple[str, ...] = ()
    """The parameters that are not equal then."""
    first_loss_apart: int | None = None
    """The first step whose loss is not equal to the last bit."""
    beyond: int | None = None
    """The first step whose loss, or after which a parameter, is further apart than the tolerance."""
    largest_loss_difference: float | None = None
    """Largest relative difference of two losses of a step."""
    distances: tuple[Distance, ...] = ()
    """The parameters at the step `beyond`, or else after the last step, the furthest apart first; estimates."""
    reason: str = ""
    """Why it was skipped."""


def skipped(reason: str) -> Comparison:
    """A comparison that could not be made."""
    return Comparison(outcome=Outcome.SKIPPED, steps=0, reason=reason)


def compare(store: Store, a: Case, b: Case, tolerance: float) -> Comparison:
    """How far the traced trainings `a` and `b` of a run are the same; `tolerance` is relative.

    A case that did not end well, or was not traced, makes it `skipped`.

    Raises:
        StoreError: the event log cannot be read.
    """
    found = []
    for case in (a, b):
        losses = traces.losses(store, case)
        traced = [event for event in store.events(case) if isinstance(event, Traced)]
        if not losses or not traced:
            return skipped(f"{case.label} reported no trace")
        found.append((losses, traced))
    (losses_a, traced_a), (losses_b, traced_b) = found
    return _compare(losses_a, traced_a, losses_b, traced_b, tolerance)


def _compare(
    losses_a: Sequence[float],
    traced_a: Sequence[Traced],
    losses_b: Sequence[float],
    traced_b: Sequence[Traced],
    tolerance: float,
) -> Comparison:
    pairs = list(zip(traced_a, traced_b, strict=False))
    start = pairs[0]
    if [len(step.layers) for step in start] != [len(start[0].layers)] * 2:
        return skipped("the two networks have different parameters")
    loss = traces.compare(losses_a, losses_b, tolerance)
    batches = [index for index, (x, y) in enumerate(pairs) if x.labels_sha256 != y.labels_sha256]
    apart = [index for index, (x, y) in enumerate(pairs) if _unequal(x, y)]
    same_start = not _unequal(*start)
    beyond_weights = next(
        (index for index, (x, y) in enumerate(pairs) if any(not each <= tolerance for each in _relative(x, y))), None
    )
    beyond_loss = None if loss.first_beyond is None else loss.first_beyond + 1
    beyond = min((step for step in (beyond_loss, beyond_weights) if step is not None), default=None)
    identical = loss.identical and not apart and len(losses_a) == len(losses_b)
    if batches:
        outcome = Outcome.OTHER_DATA
    elif not same_start and beyond_weights == 0:
        outcome = Outcome.OTHER_START
    elif beyond is not None:
        outcome = Outcome.PARTED
    else:
        outcome = Outcome.IDENTICAL if identical else Outcome.WITHIN
    shown = min(beyond if beyond is not None else len(pairs) - 1, len(pairs) - 1)
    return Comparison(
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
    """Names, as `a` has them, of the parameters that are not equal. Frameworks name them differently, in one order."""
    return tuple(x.name for x, y in zip(a.layers, b.layers, strict=True) if x.sha256 != y.sha256)


def _relative(a: Traced, b: Traced) -> list[float]:
    return [_layer_distance(x, y) for x, y in zip(a.layers, b.layers, strict=True)]


def _layer_distance(a: Layer, b: Layer) -> float:
    if a.sha256 == b.sha256:
        return 0.0
    size = max(a.norm or 0.0, b.norm or 0.0)
    return distance(a.sketch, b.sketch) / size if size else math.inf


def _distances(a: Traced, b: Traced) -> tuple[Distance, ...]:
    found = sorted(zip(_relative(a, b), a.layers, strict=True), key=lambda pair: -pair[0])
    return tuple(
        Distance(layer=layer.name, relative=value if math.isfinite(value) else None) for value, layer in found if value
    )
