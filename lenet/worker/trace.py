"""What a traced case reports: the digests of every batch, and every layer after every step."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from lenet.store.events import Event, Traced
from lenet.store.sketch import layer

Weights = Callable[[], Iterable[tuple[str, npt.NDArray[np.float32]]]]


class Tracer:
    """Reports a training step by step."""

    def __init__(self, weights: Weights, emit: Callable[[Event], None]) -> None:
        self._weights = weights
        self._emit = emit
        self._batch: tuple[str | None, str | None] = (None, None)

    def look(self, images: npt.NDArray[np.float32], labels: npt.NDArray[np.int32]) -> None:
        """Take note of the batch of the step to come."""
        parts = ((images, "<f4"), (labels, "<i4"))
        one, two = (hashlib.sha256(np.ascontiguousarray(part, kind).tobytes()).hexdigest() for part, kind in parts)
        self._batch = (one, two)

    def take(self, step: int) -> None:
        """Report the weights after `step` steps, and the last batch that was looked at."""
        images, labels = self._batch
        layers = tuple(layer(name, values) for name, values in self._weights())
        self._emit(Traced(step=step, images_sha256=images, labels_sha256=labels, layers=layers))
