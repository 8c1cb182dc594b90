"""The four files, their names, and the cache that they are kept in."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import filelock
import platformdirs

from lenet.dataset.idx import put, read_images, read_labels
from lenet.errors import DatasetError
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


def speakable(path: Path) -> bool:
    """Whether the path is text: MindSpore takes no other, and no other can stand in a message to a worker."""
    return os.fsencode(path).decode(errors="replace") == str(path)


def cache_folder() -> Path:
    """The user's cache; `LENET_BENCH_CACHE` moves it.

    Raises:
        DatasetError: it cannot be made.
    """
    chosen = os.environ.get("LENET_BENCH_CACHE")
    folder = Path(chosen) if chosen else _users_cache()
    if not speakable(folder.resolve()):
        raise DatasetError(f"the cache's path {folder} is not UTF-8: set LENET_BENCH_CACHE to one that is")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return folder


def _unwritable(folder: Path, error: OSError | NotImplementedError) -> DatasetError:
    reason = (error.strerror if isinstance(error, OSError) else None) or error
    return DatasetError(f"the cache {folder} cannot be written: {reason}; set LENET_BENCH_CACHE to a folder that can")


def _users_cache() -> Path:
    try:
        folder = Path(platformdirs.user_cache_dir("lenet-bench"))
    except RuntimeError:  # a newer platformdirs, where the user has no home
        folder = Path()
    if not folder.is_absolute():  # an older one then answers `~/.cache`, to the letter
        raise DatasetError("this user has no home folder for a cache: set LENET_BENCH_CACHE to a folder")
    return folder


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
    except (OSError, NotImplementedError) as error:  # the latter: a file system that knows no locks
        raise _unwritable(folder, error) from error


def kept(cache_name: str, dataset_name: str, sha256: str) -> Dataset | None:
    """What is in the cache under `cache_name`, if it is there whole and has this digest. Needs no right to write.

    Raises:
        DatasetError: the cache's folder cannot be made.
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
        DatasetError: the cache cannot be written.
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
