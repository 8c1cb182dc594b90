"""Loss traces: the loss of every training step of a case, and how far two traces agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lenet.cases.case import Case
from lenet.store.events import Steps
from lenet.store.run import Store


def losses(store: Store, case: Case) -> list[float]:
    """The loss of every training step of the case, in order; NaN where it was not finite.

    Raises:
        StoreError: the event log cannot be read, or a line of it is not an event.
    """
    windows = (event for event in store.events(case) if isinstance(event, Steps))
    return [math.nan if loss is None else loss for window in windows for loss in window.losses]


@dataclass(frozen=True)
class Agreement:
    """Comparison of two traces over their common steps."""

    steps: int
    """Number of steps compared."""
    first_difference: int | None
    """Index of the first step that is not bitwise equal; None if all are."""
    first_beyond: int | None
    """Index of the first step outside the tolerance; None if all are within."""
    largest: float
    """Largest difference relative to the larger magnitude of the two losses; infinite if one is not finite."""


def compare(a: Sequence[float], b: Sequence[float], tolerance: float) -> Agreement:
    """Compare two traces over their common steps; `tolerance` is relative, 0 allows no difference.

    Raises:
        ValueError: a trace is empty.
    """
    steps = min(len(a), len(b))
    if steps == 0:
        raise ValueError("an empty trace cannot be compared")
    differences = [_relative(x, y) for x, y in zip(a, b, strict=False)]
    return Agreement(
        steps=steps,
        first_difference=next((index for index, value in enumerate(differences) if value > 0), None),
        first_beyond=next((index for index, value in enumerate(differences) if value > tolerance), None),
        largest=max(differences),
    )


def _relative(x: float, y: float) -> float:
    if x == y or (math.isnan(x) and math.isnan(y)):
        return 0.0
    if not (math.isfinite(x) and math.isfinite(y)):
        return math.inf
    return abs(x - y) / max(abs(x), abs(y))
