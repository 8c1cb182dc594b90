"""The data: found, downloaded or embedded; always validated, always named by what it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lenet.dataset.files import Dataset
from lenet.errors import DatasetError

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

    `auto` is MNIST where it can be had, else the digits, and `warn` is then told so.

    Raises:
        DatasetError: it cannot be had, or `data_dir` holds something else than `name` says.
    """
    if data_dir is not None and name != "digits":
        from lenet.dataset.local import local

        found = local(data_dir)
        if name not in ("auto", found.card.name):
            raise DatasetError(
                f"{data_dir} holds {found.card.name}, not {name}: leave --dataset away to use it as it is"
            )
        return found
    if name == "digits":
        from lenet.dataset.digits import digits

        return digits()
    if name not in NAMES:
        if "@" in name:
            raise DatasetError(f"dataset {name} is a local folder's: name that folder with --data-dir")
        raise DatasetError(f"unknown dataset {name!r}: choose from {', '.join(NAMES)}")
    from lenet.dataset.download import Downloader

    try:
        return (downloader or Downloader()).mnist(progress)
    except DatasetError as error:
        if name == "mnist":
            raise
        from lenet.dataset.digits import digits

        fallback = digits()
        if warn is not None:
            warn(f"NOT MNIST: training on scikit-learn's digits instead, because {error}")
        return fallback
