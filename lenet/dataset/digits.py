"""`digits`: real handwritten digits that need no network, written as IDX files in MNIST's shape.

scikit-learn carries 1,797 of them, 8x8 with 17 grey levels (the test part of UCI's "Optical Recognition of
Handwritten Digits", E. Alpaydin and C. Kaynak, 1998). Each pixel becomes a block of 3x3, with a border of 2.
"""

from __future__ import annotations

import numpy as np

from lenet.dataset.files import (
    NAMES,
    TEST_IMAGES,
    TEST_LABELS,
    TRAINING_IMAGES,
    TRAINING_LABELS,
    Dataset,
    digest,
    keep,
    kept,
)
from lenet.dataset.idx import images_bytes, labels_bytes
from lenet.errors import DatasetError

TEST_COUNT = 512
"""Whole batches at every batch size that is a power of two up to 512; the other 1,285 are for training."""

SHA256 = "f4612983cad0100933bc8caf939ebed9f075bab9599a65c8ca73abaa406f8267"
"""Over the four files, in their order."""


def contents() -> dict[str, bytes]:
    """The four files: 1,285 training and 512 test images, the same bytes everywhere."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    grey = (bunch.images.astype(np.uint16) * 255 // 16).astype(np.uint8)
    images = np.pad(grey.repeat(3, axis=1).repeat(3, axis=2), ((0, 0), (2, 2), (2, 2)))
    labels = bunch.target.astype(np.uint8)
    # Writers follow one another in the collection. Multiplying by a number that shares no factor with the count
    # spreads every writer over both parts, without a random generator that could change with a version.
    order = np.arange(len(images)) * 1009 % len(images)
    test, training = order[:TEST_COUNT], order[TEST_COUNT:]
    files = {
        TRAINING_IMAGES: images_bytes(images[training]),
        TRAINING_LABELS: labels_bytes(labels[training]),
        TEST_IMAGES: images_bytes(images[test]),
        TEST_LABELS: labels_bytes(labels[test]),
    }
    return {name: files[name] for name in NAMES}


def digits() -> Dataset:
    """The digits, in the cache; made again if what is there is damaged.

    Raises:
        DatasetError: the cache cannot be written, or scikit-learn is absent or carries other digits.
    """
    # First the cache: importing scikit-learn takes longer than reading a megabyte.
    if (found := kept("digits", "digits", SHA256)) is not None:
        return found
    try:
        made = contents()
    except ImportError as error:
        raise DatasetError("--dataset digits comes with scikit-learn, which is not installed: install it") from error
    if (sha256 := digest(made)) != SHA256:
        raise DatasetError(
            f"this scikit-learn's digits are not the known ones (sha256 {sha256[:12]}): install another version of it"
        )
    return keep(made, "digits", "digits")
