"""The four files of a dataset, their names, and their place in the cache."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lenet.dataset.idx import read_images, read_labels
from lenet.errors import DatasetError
from lenet.files.cache import cache_folder, locked
from lenet.files.plain import replace
from lenet.store.record import DatasetCard

TRAINING_IMAGES = "train/train-images-idx3-ubyte"
TRAINING_LABELS = "train/train-labels-idx1-ubyte"
TEST_IMAGES = "test/t10k-images-idx3-ubyte"
TEST_LABELS = "test/t10k-labels-idx1-ubyte"
NAMES = (TRAINING_IMAGES, TRAINING_LABELS, TEST_IMAGES, TEST_LABELS)
"""Unpacked, relative to a dataset's folder, as MindSpore's MnistDataset expects them."""

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
"""Of MNIST's unpacked files."""


@dataclass(frozen=True)
class Dataset:
    """Four validated files in `folder`, called as in `NAMES`, and what they contain."""

    folder: Path
    card: DatasetCard


def digest(contents: Mapping[str, bytes]) -> str:
    """Return the SHA-256 of the four unpacked files, in the order of `NAMES`."""
    return hashlib.sha256(b"".join(contents[name] for name in NAMES)).hexdigest()


def check_pair(images: Path, labels: Path) -> int:
    """Return the number of images, after checking that there are as many labels.

    Raises:
        DatasetError: a file is missing or damaged, or the numbers differ.
    """
    count = len(read_images(images))
    if (other := len(read_labels(labels))) != count:
        raise DatasetError(f"{images.name} holds {count} images and {labels.name} {other} labels: get both again")
    return count


def load(folder: Path, name: str) -> Dataset:
    """Read and check the four files in `folder`, and return the dataset under `name`.

    Raises:
        DatasetError: a file is missing or damaged, or the numbers of images and labels differ.
    """
    training = check_pair(folder / TRAINING_IMAGES, folder / TRAINING_LABELS)
    test = check_pair(folder / TEST_IMAGES, folder / TEST_LABELS)
    sha256 = digest({name: (folder / name).read_bytes() for name in NAMES})
    return Dataset(folder, DatasetCard(name=name, sha256=sha256, training_images=training, test_images=test))


def write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, and make its folder.

    Raises:
        OSError: the folder cannot be made or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    replace(path, data)


def cached(cache_name: str, dataset_name: str, sha256: str) -> Dataset | None:
    """Return the dataset in the cache's folder `cache_name` if it is whole and has this digest, without writing.

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
    """Write four files to the cache's folder `cache_name`, unless they are there, and load them.

    Raises:
        CacheError: the cache cannot be written.
    """
    sha256 = digest(contents)
    if (found := cached(cache_name, dataset_name, sha256)) is not None:
        return found
    with locked(cache_name) as folder:
        # Another process may have written them meanwhile.
        if (found := cached(cache_name, dataset_name, sha256)) is not None:
            return found
        for part in ("train", "test"):
            shutil.rmtree(folder / part, ignore_errors=True)
        for name in NAMES:
            write(folder / name, contents[name])
        return load(folder, dataset_name)
