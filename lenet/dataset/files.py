"""The four files, their names, and the cache that they are kept in."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lenet.dataset.idx import put, read_images, read_labels
from lenet.errors import DatasetError
from lenet.files.cache import cache_folder, locked
from lenet.store.record import DatasetCard

TRAINING_IMAGES = "train/train-images-idx3-ubyte"
TRAINING_LABELS = "train/train-labels-idx1-ubyte"
TEST_IMAGES = "test/t10k-images-idx3-ubyte"
TEST_LABELS = "test/t10k-labels-idx1-ubyte"
NAMES = (TRAINING_IMAGES, TRAINING_LABELS, TEST_IMAGES, TEST_LABELS)
"""Where MindSpore's MnistDataset expects them, unpacked, below a dataset's folder."""

MNIST_SHA256 = dict(
    zip(
        NAMES,
        (
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
        strict=True,
    )
)
"""MNIST's four files, unpacked."""


@dataclass(frozen=True)
class Dataset:
    """Four validated files under `folder`, by the names of `NAMES`, and what they are."""

    folder: Path
    card: DatasetCard


def digest(contents: Mapping[str, bytes]) -> str:
    """sha256 over the four unpacked files, in the order of `NAMES`."""
    total = hashlib.sha256()
    for name in NAMES:
        total.update(contents[name])
    return total.hexdigest()


def check_pair(images: Path, labels: Path) -> int:
    """How many images there are, each with its label.

    Raises:
        DatasetError: a file is absent or damaged, or they are not equally many.
    """
    count = len(read_images(images))
    if (other := len(read_labels(labels))) != count:
        raise DatasetError(f"{images.name} holds {count} images and {labels.name} {other} labels: get both again")
    return count


def load(folder: Path, name: str) -> Dataset:
    """The dataset in `folder`, every file read and checked.

    Raises:
        DatasetError: a file is absent or damaged, or images and labels are not equally many.
    """
    counts = []
    for images, labels in ((TRAINING_IMAGES, TRAINING_LABELS), (TEST_IMAGES, TEST_LABELS)):
        counts.append(check_pair(folder / images, folder / labels))
    sha256 = digest({name: (folder / name).read_bytes() for name in NAMES})
    return Dataset(folder, DatasetCard(name=name, sha256=sha256, training_images=counts[0], test_images=counts[1]))


def kept(cache_name: str, dataset_name: str, sha256: str) -> Dataset | None:
    """What is in the cache under `cache_name`, if it is there whole and has this digest. Needs no right to write.

    Raises:
        CacheError: the cache's folder cannot be made.
    """
    folder = cache_folder() / cache_name
    with contextlib.suppress(DatasetError):
        dataset = load(folder, dataset_name)
        if dataset.card.sha256 == sha256:
            return dataset
    return None


def keep(contents: Mapping[str, bytes], cache_name: str, dataset_name: str) -> Dataset:
    """Put four files in the cache under `cache_name`, unless they are there whole, and load them.

    Raises:
        CacheError: the cache cannot be written.
    """
    sha256 = digest(contents)
    if (found := kept(cache_name, dataset_name, sha256)) is not None:
        return found
    with locked(cache_name) as folder:
        # Another process may have been at it while this one waited.
        if (found := kept(cache_name, dataset_name, sha256)) is not None:
            return found
        for part in ("train", "test"):
            shutil.rmtree(folder / part, ignore_errors=True)
        for name in NAMES:
            put(folder / name, contents[name])
        return load(folder, dataset_name)
