"""Find, download or generate the data. It is validated, and named by its content."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lenet.dataset.files import Dataset
from lenet.errors import CacheError, DatasetError

if TYPE_CHECKING:
    from lenet.dataset.download import Downloader, Progress
    from lenet.store.record import DatasetCard

NAMES = ("auto", "mnist", "digits")

__all__ = ["NAMES", "Dataset", "at_hand", "resolve"]


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=3)


def resolve(
    name: str,
    data_dir: Path | None = None,
    *,
    progress: Progress | None = None,
    warn: Callable[[str], None] = _warn,
    downloader: Downloader | None = None,
) -> Dataset:
    """Return the dataset called `name`: `mnist`, `digits`, `auto`, or the name of local data in a run to resume.

    `auto` is MNIST if available (in `data_dir`, a folder given before, the cache or a mirror), else the digits, and
    `warn` then gets one sentence that says so; by default that is a Python warning. `progress` gets a file's name, its
    bytes so far and in all. `data_dir` may be read-only; what it held is found again by its content.

    Raises:
        DatasetError: it is not available, or `data_dir` contains another dataset.
        CacheError: the cache cannot be written.
    """
    if name not in NAMES and "@" not in name:
        raise DatasetError(f"unknown dataset {name!r}: choose from {', '.join(NAMES)}")
    if name == "digits":
        from lenet.dataset.digits import digits

        return digits()
    if data_dir is not None:
        from lenet.dataset.local import local
        from lenet.dataset.remembered import remember

        dataset = _named(local(data_dir), name, data_dir)
        remember(dataset, data_dir)
        return dataset
    from lenet.dataset.known import KNOWN
    from lenet.dataset.remembered import recall

    if (recalled := recall(name.partition("@")[2] if "@" in name else KNOWN["mnist"].sha256)) is not None:
        return _named(recalled, name, recalled.folder)
    if "@" in name:
        raise DatasetError(f"dataset {name} is in a local folder: name that folder with --data-dir")
    from lenet.dataset.download import Downloader

    try:
        return (downloader or Downloader()).mnist(progress)
    except (DatasetError, CacheError) as error:
        if name == "mnist":
            raise
        from lenet.dataset.digits import digits

        fallback = digits()
        warn(f"the results are NOT MNIST, they are of scikit-learn's digits, because {error}")
        return fallback


def _named(dataset: Dataset, name: str, data_dir: Path) -> Dataset:
    """The local dataset if it is the one called `name`."""
    own = dataset.card.name
    if name in ("auto", own):
        return dataset
    # The folder may have been renamed since the run began; the digest identifies the data.
    word, _, digest = name.partition("@")
    if digest and digest == own.partition("@")[2] and re.fullmatch(r"[A-Za-z0-9_.-]{1,80}", word):
        return Dataset(dataset.folder, dataset.card.model_copy(update={"name": name}))
    if name == "mnist":
        raise DatasetError(f"{data_dir} holds {own}, not mnist: omit --dataset to use it under its own name")
    raise DatasetError(f"{data_dir} holds {own}, not {name}: point --data-dir at the folder that holds {name}")


def at_hand(card: DatasetCard, data_dir: Path | None = None) -> Dataset:
    """Return the data that `card` names from `data_dir`, a folder given before, the cache or the package.

    Nothing is asked of the network.

    Raises:
        DatasetError: it is not there, or other data is.
        CacheError: the cache cannot be used.
    """
    if card.name == "digits":
        from lenet.dataset.digits import digits

        found, where = digits(), "the package"
    elif data_dir is not None:
        from lenet.dataset.local import local

        found, where = local(data_dir), str(data_dir)
    else:
        from lenet.dataset.files import cached
        from lenet.dataset.remembered import recall

        kept = cached("mnist", "mnist", card.sha256) if card.name == "mnist" else None
        kept = kept or recall(card.sha256)
        if kept is None:
            raise DatasetError(f"{card.name} is not at hand: name the folder that holds it with --data-dir")
        return kept
    if found.card.sha256 != card.sha256:
        raise DatasetError(
            f"{where} holds other data (sha256 {found.card.sha256[:12]}) than {card.name} ({card.sha256[:12]})"
        )
    return found
