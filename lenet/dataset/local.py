"""`--data-dir`: a folder of the user's, in any of the usual layouts."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from lenet.dataset.files import NAMES, Dataset, digest, keep, load
from lenet.dataset.idx import images_bytes, labels_bytes, read_images, read_labels
from lenet.errors import DatasetError

MNIST_SHA256 = {
    NAMES[0]: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    NAMES[1]: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    NAMES[2]: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    NAMES[3]: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
"""MNIST's four files, unpacked."""

INNER_FOLDERS = ("", "MNIST_Data", "MNIST/raw", "raw")


def find(folder: Path, name: str) -> Path:
    """The one file in `folder` that is `name` of `NAMES`, in any usual layout.

    Raises:
        DatasetError: there is none, or there are several that differ in more than packing.
    """
    part, canonical = name.split("/")
    spellings = [canonical, canonical.replace("-idx", ".idx")]
    for inner in INNER_FOLDERS:
        for place in (folder / inner / part, folder / inner):
            found = [path for spelling in spellings for path in _plain_or_packed(place / spelling)]
            if len(found) > 1:
                raise DatasetError(f"{place} holds {found[0].name} and {found[1].name}: keep one of them")
            if found:
                return found[0]
    raise DatasetError(
        f"{folder} does not hold {canonical} (plain or .gz, in {part}/ or directly): point --data-dir at the four files"
    )


def _plain_or_packed(path: Path) -> list[Path]:
    if path.is_file():
        return [path]  # unpacked beside its own .gz is the usual state after a download
    packed = path.with_name(f"{path.name}.gz")
    return [packed] if packed.is_file() else []


def local(folder: Path) -> Dataset:
    """The data in a user's folder, which may be read-only; unpacked into the cache unless it is as MindSpore wants it.

    Named `mnist` if it is MNIST to the last byte, else by the folder and the digest.

    Raises:
        DatasetError: the folder, a file or the cache is not usable.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder: --data-dir takes the folder that holds the four files")
    paths = {name: find(folder, name) for name in NAMES}
    contents = {}
    for name, path in paths.items():
        # Read through the validating reader before anything is trusted: a bomb or a wrong file ends here.
        if "images" in name:
            contents[name] = images_bytes(read_images(path))
        else:
            contents[name] = labels_bytes(read_labels(path))
    sha256 = digest(contents)
    dataset_name = _name(folder, sha256, contents)
    if all(path == folder / name for name, path in paths.items()):
        return load(folder, dataset_name)
    return keep(contents, f"local-{sha256[:16]}", dataset_name)


def _name(folder: Path, sha256: str, contents: dict[str, bytes]) -> str:
    if all(hashlib.sha256(contents[name]).hexdigest() == MNIST_SHA256[name] for name in NAMES):
        return "mnist"
    word = re.sub(r"[^A-Za-z0-9_.-]", "_", folder.resolve().name)[:64] or "data"
    return f"{word}@{sha256[:12]}"
