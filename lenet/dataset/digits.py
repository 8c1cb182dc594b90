"""The dataset `digits`: handwritten digits that need no network, as IDX files of MNIST's shape.

scikit-learn contains 1,797 of them, 8x8 with 17 grey levels (the test part of UCI's "Optical Recognition of Handwritten
Digits", E. Alpaydin and C. Kaynak, 1998). Each pixel becomes a block of 3x3, and a border of 2 is added.
"""

from __future__ import annotations

import os

import numpy as np

from lenet.dataset.files import (
    NAMES,
    TEST_IMAGES,
    TEST_LABELS,
    TRAINING_IMAGES,
    TRAINING_LABELS,
    Dataset,
    cached,
    digest,
    keep,
)
from lenet.dataset.idx import images_bytes, labels_bytes
from lenet.dataset.known import KNOWN
from lenet.errors import DatasetError

CARD = KNOWN["digits"]
"""Its 512 test images are whole batches for every batch size that is a power of two up to 512."""


def contents() -> dict[str, bytes]:
    """Return the four files: 1,285 training and 512 test images, the same bytes on every machine."""
    before = set(os.environ)
    from sklearn.datasets import load_digits

    for name in os.environ.keys() - before:  # settings of OpenMP: workers would inherit them when nothing is cached
        del os.environ[name]
    bunch = load_digits()
    grey = (bunch.images.astype(np.uint16) * 255 // 16).astype(np.uint8)
    images = np.pad(grey.repeat(3, axis=1).repeat(3, axis=2), ((0, 0), (2, 2), (2, 2)))
    labels = bunch.target.astype(np.uint8)
    # The collection is sorted by writer. Multiplying by a number that is coprime to the count spreads every writer
    # over both parts, without a random generator that may change between versions.
    order = np.arange(len(images)) * 1009 % len(images)
    test, training = order[: CARD.test_images], order[CARD.test_images :]
    files = {
        TRAINING_IMAGES: images_bytes(images[training]),
        TRAINING_LABELS: labels_bytes(labels[training]),
        TEST_IMAGES: images_bytes(images[test]),
        TEST_LABELS: labels_bytes(labels[test]),
    }
    return {name: files[name] for name in NAMES}


def digits() -> Dataset:
    """Return the digits from the cache, after writing them there if they are missing or damaged.

    Raises:
        DatasetError: scikit-learn is not installed or contains other digits.
        CacheError: the cache cannot be written.
    """
    # The cache first: importing scikit-learn takes longer than reading a megabyte.
    if (found := cached("digits", "digits", CARD.sha256)) is not None:
        return found
    try:
        made = contents()
    except ImportError as error:
        raise DatasetError("--dataset digits needs scikit-learn, which is not installed: install it") from error
    if (sha256 := digest(made)) != CARD.sha256:
        raise DatasetError(
            f"this scikit-learn's digits are not the known ones (sha256 {sha256[:12]}): install another version of it"
        )
    return keep(made, "digits", "digits")
