"""`--data-dir`: a folder of the user's, in any of the usual layouts."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from lenet.dataset.files import MNIST_SHA256, NAMES, Dataset, check_pair, digest, keep, load
from lenet.dataset.idx import images_bytes, labels_bytes, read_images, read_labels
from lenet.errors import DatasetError, reason
from lenet.files.cache import is_text

INNER_FOLDERS = ("", "MNIST_Data", "MNIST/raw", "raw")
"""Where the four files may lie below the folder, each in train/ and test/ or directly."""

NAMES_NOT_ITS_OWN = ("mnist", "digits", "auto")


def find(folder: Path) -> dict[str, Path]:
    """The four files in `folder` by `NAMES`, in any usual layout.

    Raises:
        DatasetError: one is absent, or there are several that could be meant.
        OSError: a folder cannot be looked into.
    """
    homes = {folder / inner: _in_home(folder / inner) for inner in INNER_FOLDERS}
    whole = [home for home, found in homes.items() if len(found) == len(NAMES)]
    if len(whole) > 1:
        raise DatasetError(f"both {whole[0]} and {whole[1]} hold data: point --data-dir at one where only one is")
    if whole:
        return homes[whole[0]]
    most = max(homes.values(), key=len)
    absent = next(name for name in NAMES if name not in most)
    part, base = absent.split("/")
    raise DatasetError(
        f"{folder} does not hold {base} (plain or .gz, in {part}/ or directly): point --data-dir at the four files"
    )


def _in_home(home: Path) -> dict[str, Path]:
    files = {}
    for name in NAMES:
        part, base = name.split("/")
        places = [
            place / spelling for place in (home / part, home) for spelling in (base, base.replace("-idx", ".idx"))
        ]
        found = [path for place in places for path in _plain_or_packed(place)]
        if len(found) > 1:
            one, other = (path.relative_to(home).as_posix() for path in found[:2])
            raise DatasetError(f"{home} holds {one} and {other}, and either could be meant: keep one of them")
        if found:
            files[name] = found[0]
    return files


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
    try:
        if not folder.is_dir():
            raise DatasetError(f"{folder} is not a folder: --data-dir takes the folder that holds the four files")
        paths = find(folder)
        as_it_is = _is_canonical(folder, paths)
    except OSError as error:
        raise DatasetError(f"{folder} cannot be read ({reason(error)}): see to its permissions") from error
    # Through the validating reader before anything is trusted: a bomb or a wrong file ends here.
    contents = {
        name: images_bytes(read_images(path)) if "images" in name else labels_bytes(read_labels(path))
        for name, path in paths.items()
    }
    sha256 = digest(contents)
    dataset_name = _name(folder, sha256, contents)
    if as_it_is:
        return load(folder, dataset_name)
    # What is to be copied is checked first: nothing unusable gets into the cache.
    for images, labels in (NAMES[:2], NAMES[2:]):
        check_pair(paths[images], paths[labels])
    return keep(contents, f"local-{sha256[:16]}", dataset_name)


def _is_canonical(folder: Path, paths: dict[str, Path]) -> bool:
    """Whether MindSpore can read the folder as it is: the right names in the right places, and nothing like them.

    MindSpore takes every file whose name contains the one it looks for, so that a .gz beside would be read too.
    """
    if any(path != folder / name for name, path in paths.items()) or not is_text(folder.resolve()):
        return False
    beside = {path for part in ("train", "test") for path in (folder / part).iterdir() if "ubyte" in path.name}
    return beside == set(paths.values())


def _name(folder: Path, sha256: str, contents: dict[str, bytes]) -> str:
    if all(hashlib.sha256(contents[name]).hexdigest() == MNIST_SHA256[name] for name in NAMES):
        return "mnist"
    word = re.sub(r"[^A-Za-z0-9_.-]", "_", folder.resolve().name)[:64] or "data"
    if word.lower() in NAMES_NOT_ITS_OWN:
        word = f"local-{word}"  # a folder called mnist that does not hold MNIST must not look like it in a table
    return f"{word}@{sha256[:12]}"
