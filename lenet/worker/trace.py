"""Tracing: report the digests of every batch, and every layer after every step."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lenet.store.events import Event, Traced
from lenet.store.sketch import layers

if TYPE_CHECKING:
    from lenet.training import BatchArrays

Weights = Callable[[], Iterable[tuple[str, npt.NDArray[np.float32]]]]


class Tracer:
    """Reports weights and batches of a training, step by step."""

    def __init__(self, weights: Weights, emit: Callable[[Event], None]) -> None:
        self._weights = weights
        self._emit = emit
        self._batch: tuple[str | None, str | None] = (None, None)

    def note_batch(self, arrays: BatchArrays) -> None:
        """Keep the digests of the next step's batch."""
        images, labels = arrays()
        self._batch = (_sha256(images.astype("<f4", copy=False)), _sha256(labels.astype("<i4", copy=False)))

    def record(self, step: int) -> None:
        """Report the weights after `step` steps, and the batch that was noted last."""
        images, labels = self._batch
        self._emit(Traced(step=step, images_sha256=images, labels_sha256=labels, layers=layers(self._weights())))


def _sha256(values: npt.NDArray[np.generic]) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
