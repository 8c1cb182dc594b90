"""The data: found, downloaded or embedded; always validated, always named by what it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lenet.dataset.files import Dataset
from lenet.errors import CacheError, DatasetError

if TYPE_CHECKING:
    from lenet.dataset.download import Downloader, Progress

NAMES = ("auto", "mnist", "digits")

__all__ = ["NAMES", "Dataset", "resolve"]


def resolve(
    name: str,
    data_dir: Path | None = None,
    *,
    progress: Progress | None = None,
    warn: Callable[[str], None] | None = None,
    downloader: Downloader | None = None,
) -> Dataset:
    """The data that `name` means: `mnist`, `digits`, `auto`, or the name of local data when a run goes on.

    `auto` is MNIST where it can be had (`data_dir`, cache, download), else the digits, and `warn` is then told so in
    one sentence. `progress` is told a file's name, its bytes so far and in all. `data_dir` may be read-only.

    Raises:
        DatasetError: it cannot be had, or `data_dir` holds something else than `name` says.
    """
    if name not in NAMES and "@" not in name:
        raise DatasetError(f"unknown dataset {name!r}: choose from {', '.join(NAMES)}")
    if name == "digits":
        from lenet.dataset.digits import digits

        return digits()
    if data_dir is not None:
        from lenet.dataset.local import local

        return _as_asked(local(data_dir), name, data_dir)
    if "@" in name:
        raise DatasetError(f"dataset {name} is a local folder's: name that folder with --data-dir")
    from lenet.dataset.download import Downloader

    try:
        return (downloader or Downloader()).mnist(progress)
    except (DatasetError, CacheError) as error:
        if name == "mnist":
            raise
        from lenet.dataset.digits import digits

        fallback = digits()
        if warn is not None:
            warn(f"the results are NOT MNIST, they are of scikit-learn's digits, because {error}")
        return fallback


def _as_asked(found: Dataset, name: str, data_dir: Path) -> Dataset:
    own = found.card.name
    if name in ("auto", own):
        return found
    # The folder may have been renamed since the run began; the digest says whether the data is the same.
    word, _, digest = name.partition("@")
    if digest and digest == own.partition("@")[2] and re.fullmatch(r"[A-Za-z0-9_.-]{1,80}", word):
        return Dataset(found.folder, found.card.model_copy(update={"name": name}))
    if name == "mnist":
        raise DatasetError(f"{data_dir} holds {own}, not mnist: leave --dataset away to use it under its own name")
    raise DatasetError(f"{data_dir} holds {own}, not {name}: point --data-dir at the folder that holds {name}")
