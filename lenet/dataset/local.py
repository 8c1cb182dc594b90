"""`--data-dir`: a dataset in a folder of the user, in any of the usual layouts."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from lenet.dataset.files import MNIST_SHA256, NAMES, Dataset, check_pair, digest, keep, load
from lenet.dataset.idx import images_bytes, labels_bytes, read_images, read_labels
from lenet.errors import DatasetError, reason
from lenet.files.cache import is_text

DEPTH = 2
"""How far below the folder the four files may be: torchvision's are in FashionMNIST/raw."""
MOST_FOLDERS = 1000
"""Folders that are looked into."""

ANOTHER = "only MNIST's own format is"
OTHER_FORMATS = (
    ("EMNIST", "emnist-*", "its splits differ in classes, and its images are transposed"),
    ("QMNIST", "qmnist-*", "a label of its is eight numbers"),
    ("CIFAR", "data_batch_*", "its images are 32x32 and coloured"),
    ("a NumPy archive (as Keras' mnist.npz)", "*.npz", ANOTHER),
    ("a Parquet file (as Hugging Face has them)", "*.parquet", ANOTHER),
    ("a TFRecord file", "*.tfrecord*", ANOTHER),
    ("a table of pixels", "*mnist*.csv", ANOTHER),
)
"""Data that people have beside MNIST's, by the files that show it, and why it is not read."""

CLAIMS = re.compile(r"(?i)(?<![a-z])(?<!fashion.)mnist|^(local[-_])?(digits|auto)$")
"""Found in names that say which data is in a folder, as `MNIST_Data`, not `FashionMNIST`: they are not shown."""

PLAIN_WORDS = frozenset({"raw", "data", "dataset", "datasets", "train", "test", "processed"})
"""Names of folders that say nothing about their data."""


def find(folder: Path) -> dict[str, Path]:
    """Find the four files and return their paths by `NAMES`.

    They are in `folder` or else in one folder below it, in train/ and test/ or without these.

    Raises:
        DatasetError: one is missing, or there are several candidates.
        OSError: the folder cannot be read.
    """
    most: dict[str, Path] = {}
    seen: list[Path] = []
    for level in _levels(folder):
        layouts = {inner: _files_in(inner) for inner in level}
        complete = [inner for inner, files in layouts.items() if len(files) == len(NAMES)]
        if len(complete) > 1:
            raise DatasetError(f"both {complete[0]} and {complete[1]} hold data: point --data-dir at one of them")
        if complete:
            return layouts[complete[0]]
        most = max(most, *layouts.values(), key=len)
        seen += level
    if not most:
        _refuse_other_formats(seen)
    part, base = next(name for name in NAMES if name not in most).split("/")
    raise DatasetError(
        f"{folder} does not hold {base} (plain or .gz, in {part}/ or directly): point --data-dir at the four files"
    )


def _levels(folder: Path) -> Iterator[list[Path]]:
    """The folder, those in it, and those in these; hidden ones are not entered, nor those that cannot be read."""
    level, left = [folder], MOST_FOLDERS
    for depth in range(DEPTH + 1):
        if not level:
            return
        yield level
        if depth == DEPTH:
            return
        below: list[Path] = []
        for each in level:
            with contextlib.suppress(*([OSError] if depth else [])), os.scandir(each) as entries:
                names = sorted(entry.name for entry in entries if entry.name[0] != "." and entry.is_dir())
                below += [each / name for name in names]
        level, left = below[:left], left - len(below[:left])


def _refuse_other_formats(folders: Iterable[Path]) -> None:
    """Name the data that the folders hold in the place of MNIST's format.

    Raises:
        DatasetError: they hold some of `OTHER_FORMATS`.
    """
    for folder in folders:
        for name, pattern, why in OTHER_FORMATS:
            if next(folder.glob(pattern), None) is not None:
                raise DatasetError(
                    f"{folder} holds {name}, which is not read, because {why}: convert it to the four files of MNIST's "
                    "format, with ten classes"
                )


def _files_in(folder: Path) -> dict[str, Path]:
    files = {}
    for name in NAMES:
        part, base = name.split("/")
        spellings = (base, base.replace("-idx", ".idx"))
        candidates = [
            path for place in (folder / part, folder) for each in spellings for path in _existing(place / each)
        ]
        if len(candidates) > 1:
            one, other = (path.relative_to(folder).as_posix() for path in candidates[:2])
            raise DatasetError(f"{folder} holds {one} and {other}, and either could be meant: keep one of them")
        if candidates:
            files[name] = candidates[0]
    return files


def _existing(path: Path) -> list[Path]:
    if path.is_file():
        return [path]  # a download often leaves the .gz beside it
    packed = path.with_name(f"{path.name}.gz")
    return [packed] if packed.is_file() else []


def local(folder: Path) -> Dataset:
    """Return the dataset in a folder, which may be read-only; in the cache if MindSpore cannot read the folder itself.

    Its name is `mnist` if every byte is MNIST's, else the folder's name with the digest.

    Raises:
        DatasetError: the folder, a file or the cache is not usable.
    """
    try:
        if not folder.is_dir():
            raise DatasetError(f"{folder} is not a folder: --data-dir takes the folder that holds the four files")
        paths = find(folder)
        readable = _is_canonical(folder, paths)
    except OSError as error:
        raise DatasetError(f"{folder} cannot be read ({reason(error)}): check its permissions") from error
    # Every file passes the validating reader first.
    contents = {
        name: images_bytes(read_images(path)) if "images" in name else labels_bytes(read_labels(path))
        for name, path in paths.items()
    }
    sha256 = digest(contents)
    dataset_name = _name(folder, paths, sha256, contents)
    if readable:
        return load(folder, dataset_name)
    # Checked before it is copied to the cache.
    for images, labels in (NAMES[:2], NAMES[2:]):
        check_pair(paths[images], paths[labels])
    return keep(contents, f"local-{sha256[:16]}", dataset_name)


def _is_canonical(folder: Path, paths: dict[str, Path]) -> bool:
    """Whether MindSpore can read the folder: the right names in the right places, and no similar ones.

    MindSpore reads every file whose name contains the one that it searches for, a .gz beside it too.
    """
    if any(path != folder / name for name, path in paths.items()) or not is_text(folder.resolve()):
        return False
    beside = {path for part in ("train", "test") for path in (folder / part).iterdir() if "ubyte" in path.name}
    return beside == set(paths.values())


def _name(folder: Path, paths: dict[str, Path], sha256: str, contents: dict[str, bytes]) -> str:
    """`mnist`, or the digest of the content behind the name of the closest folder that does not claim other content."""
    if all(hashlib.sha256(contents[name]).hexdigest() == MNIST_SHA256[name] for name in NAMES):
        return "mnist"
    inner = next(iter(paths.values())).parent.relative_to(folder)
    for part in (*reversed(inner.parts), folder.resolve().name):
        word = re.sub(r"[^A-Za-z0-9_.-]", "_", part)[:64]
        if word and word.lower() not in PLAIN_WORDS and not CLAIMS.search(word):
            return f"{word}@{sha256[:12]}"
    return f"data@{sha256[:12]}"
