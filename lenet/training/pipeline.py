"""The pipelines: where a pass over a set gets its batches from.

`tutorial` makes every batch when it is asked for, in every pass, as MindSpore's tutorial does. `cached` makes a pass
once, before the training, holds its batches and gives the same ones in every pass: training then waits for no
decoding. The values and their order are the same, because with the seed set every pass of the tutorial is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from lenet.cases.case import Pipeline
from lenet.dataset.files import TEST_IMAGES, TEST_LABELS, TRAINING_IMAGES, TRAINING_LABELS
from lenet.dataset.idx import read_images, read_labels
from lenet.workload.order import order
from lenet.workload.pixels import network_input

Batch = TypeVar("Batch")


class Batches(Generic[Batch]):
    """The batches of a set, pass after pass. A cached batch is held as it was made and never copied."""

    def __init__(self, make_pass: Callable[[], Iterator[Batch]], pipeline: Pipeline) -> None:
        self._make_pass = make_pass
        self._held = list(make_pass()) if pipeline is Pipeline.CACHED else None

    def __iter__(self) -> Iterator[Batch]:
        """One pass."""
        return iter(self._held) if self._held is not None else self._make_pass()


Arrays = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]


def training_pass(folder: Path, batch_size: int, seed: int) -> Callable[[], Iterator[Arrays]]:
    """MindSpore's tutorial pipeline over a dataset's training part, in numpy; a call of the result makes one pass.

    A batch is float32 (batch_size, 1, 32, 32) in [0, 1] and int64 (batch_size,); the rest that fills none is dropped.

    Raises:
        DatasetError: the folder does not hold IDX files of MNIST's shape.
    """
    return _array_pass(folder / TRAINING_IMAGES, folder / TRAINING_LABELS, batch_size, seed)


def evaluation_pass(folder: Path, batch_size: int, seed: int) -> Callable[[], Iterator[Arrays]]:
    """The same over the test part, which MindSpore shuffles too.

    Raises:
        DatasetError: the folder does not hold IDX files of MNIST's shape.
    """
    return _array_pass(folder / TEST_IMAGES, folder / TEST_LABELS, batch_size, seed)


def _array_pass(images: Path, labels: Path, batch_size: int, seed: int) -> Callable[[], Iterator[Arrays]]:
    pictures, answers = read_images(images), read_labels(labels).astype(np.int64)
    indices = order(len(pictures), seed)

    def one_pass() -> Iterator[Arrays]:
        for start in range(0, len(indices) - batch_size + 1, batch_size):
            chosen = indices[start : start + batch_size]
            yield network_input(pictures[chosen]), answers[chosen]

    return one_pass
