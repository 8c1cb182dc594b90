"""Batches of a dataset in numpy, with the order and the values of MindSpore's tutorial pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lenet.dataset.files import TEST_IMAGES, TEST_LABELS, TRAINING_IMAGES, TRAINING_LABELS
from lenet.dataset.idx import read_images, read_labels
from lenet.workload.order import order
from lenet.workload.pixels import network_input

Batch = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]
"""Images (N, 1, 32, 32) in [0, 1] and labels (N,)."""


def training_pass(folder: Path, batch_size: int, seed: int) -> Callable[[], Iterator[Batch]]:
    """Return a function that iterates over the training set once, in whole batches of `batch_size` images.

    The remainder that fills no batch is dropped. Every pass has the same order, which `seed` determines.

    Raises:
        DatasetError: the folder does not contain IDX files of MNIST's shape.
    """
    return _array_pass(folder / TRAINING_IMAGES, folder / TRAINING_LABELS, batch_size, seed)


def evaluation_pass(folder: Path, batch_size: int, seed: int) -> Callable[[], Iterator[Batch]]:
    """Return the same for the test set, which MindSpore shuffles too.

    Raises:
        DatasetError: the folder does not contain IDX files of MNIST's shape.
    """
    return _array_pass(folder / TEST_IMAGES, folder / TEST_LABELS, batch_size, seed)


def _array_pass(images: Path, labels: Path, batch_size: int, seed: int) -> Callable[[], Iterator[Batch]]:
    all_images, all_labels = read_images(images), read_labels(labels).astype(np.int64)
    indices = order(len(all_images), seed)

    def one_pass() -> Iterator[Batch]:
        for start in range(0, len(indices) - batch_size + 1, batch_size):
            chosen = indices[start : start + batch_size]
            yield network_input(all_images[chosen]), all_labels[chosen]

    return one_pass
