"""The four files, their names, and the cache that they are kept in."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import filelock
import platformdirs

from lenet.dataset.idx import read_images, read_labels
from lenet.errors import DatasetError
from lenet.record import DatasetCard

TRAINING_IMAGES = "train/train-images-idx3-ubyte"
TRAINING_LABELS = "train/train-labels-idx1-ubyte"
TEST_IMAGES = "test/t10k-images-idx3-ubyte"
TEST_LABELS = "test/t10k-labels-idx1-ubyte"
NAMES = (TRAINING_IMAGES, TRAINING_LABELS, TEST_IMAGES, TEST_LABELS)
"""Where MindSpore's MnistDataset expects them, unpacked, below a dataset's folder."""

LOCK_SECONDS = 1800.0


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


def load(folder: Path, name: str) -> Dataset:
    """The dataset in `folder`, every file read and checked.

    Raises:
        DatasetError: a file is absent or damaged, or images and labels are not equally many.
    """
    counts = []
    for images, labels in ((TRAINING_IMAGES, TRAINING_LABELS), (TEST_IMAGES, TEST_LABELS)):
        count = len(read_images(folder / images))
        if (other := len(read_labels(folder / labels))) != count:
            raise DatasetError(f"{Path(images).name} holds {count} images and {Path(labels).name} {other} labels")
        counts.append(count)
    sha256 = digest({name: (folder / name).read_bytes() for name in NAMES})
    return Dataset(folder, DatasetCard(name=name, sha256=sha256, training_images=counts[0], test_images=counts[1]))


def cache_folder() -> Path:
    """The user's cache; `LENET_BENCH_CACHE` moves it.

    Raises:
        DatasetError: it cannot be made.
    """
    chosen = os.environ.get("LENET_BENCH_CACHE")
    folder = Path(chosen) if chosen else Path(platformdirs.user_cache_dir("lenet-bench"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return folder


def _unwritable(folder: Path, error: OSError) -> DatasetError:
    reason = error.strerror or error
    return DatasetError(f"the cache {folder} cannot be written: {reason}; set LENET_BENCH_CACHE to a folder that can")


@contextlib.contextmanager
def locked(name: str) -> Iterator[Path]:
    """The cache's folder `name`, for this process alone as long as the context lasts.

    Raises:
        DatasetError: the cache cannot be written, or another process held the lock for half an hour.
    """
    folder = cache_folder()
    try:
        with filelock.FileLock(folder / f"{name}.lock", timeout=LOCK_SECONDS):
            (folder / name).mkdir(exist_ok=True)
            yield folder / name
    except filelock.Timeout as error:
        raise DatasetError(f"another process has held {folder / name}.lock for {LOCK_SECONDS:g} s") from error
    except OSError as error:
        raise _unwritable(folder, error) from error


def put(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def keep(contents: Mapping[str, bytes], cache_name: str, dataset_name: str) -> Dataset:
    """Put four files in the cache under `cache_name`, unless they are there whole, and load them.

    Raises:
        DatasetError: the cache cannot be written.
    """
    with locked(cache_name) as folder:
        with contextlib.suppress(DatasetError):
            kept = load(folder, dataset_name)
            if kept.card.sha256 == digest(contents):
                return kept
        for part in ("train", "test"):
            shutil.rmtree(folder / part, ignore_errors=True)
        for name in NAMES:
            put(folder / name, contents[name])
        return load(folder, dataset_name)
