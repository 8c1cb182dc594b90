"""MNIST over the network, from the first mirror that delivers it. Every file is checked against its sha256."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urljoin, urlsplit

from lenet.dataset.archive import SIZES, MirrorError, unpack, unzip
from lenet.dataset.files import MNIST_SHA256, NAMES, Dataset, load, write
from lenet.errors import DatasetError
from lenet.files.cache import cache_folder, locked
from lenet.files.http import Client, DownloadError


@dataclass(frozen=True)
class Mirror:
    """A source of MNIST: a folder (its address ends in `/`) of `.gz` or plain files, or one zip with all four."""

    url: str
    kind: Literal["gz", "plain", "zip"] = "gz"

    def address(self, name: str) -> str:
        """The address of the file `name`, one of `NAMES`; of a zip its own."""
        if self.kind == "zip":
            return self.url
        return urljoin(self.url, Path(name).name + (".gz" if self.kind == "gz" else ""))


MIRRORS = (
    # The archive of MindSpore's own tutorials.
    Mirror("https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/MNIST_Data.zip", "zip"),
    Mirror("https://ossci-datasets.s3.amazonaws.com/mnist/"),
    Mirror("https://storage.googleapis.com/cvdf-datasets/mnist/"),
)

Progress = Callable[[str, int, "int | None"], None]
"""Called with a file's name, the bytes received so far and the expected total, None if the server does not say."""


@dataclass(frozen=True)
class Downloader:
    """Downloads MNIST into the cache."""

    mirrors: tuple[Mirror, ...] = MIRRORS
    client: Client = field(default_factory=Client)
    max_bytes: int = 64 * 2**20
    """Of one file as it is sent."""

    def mnist(self, progress: Progress | None = None) -> Dataset:
        """Return MNIST from the cache, or else from the first mirror that has all of it.

        Raises:
            DatasetError: no mirror delivers it.
            CacheError: the cache cannot be written.
        """
        folder = cache_folder() / "mnist"
        # A file gets its name only after its check, so a complete copy needs no lock and no right to write.
        if _missing(folder):
            with locked("mnist") as folder:
                self._download(folder, progress)
        return load(folder, "mnist")

    def _download(self, folder: Path, progress: Progress | None) -> None:
        problems = []
        for mirror in self.mirrors:
            try:
                while missing := _missing(folder):
                    for name, content in self._fetch(mirror, missing[0], progress).items():
                        write(folder / name, content)
                return
            except (DownloadError, MirrorError) as error:
                problems.append(f"{urlsplit(mirror.url).hostname}: {error}")
        raise DatasetError(
            f"MNIST cannot be downloaded ({'; '.join(problems)}): "
            "give a folder that has it with --data-dir, or use --dataset digits"
        )

    def _fetch(self, mirror: Mirror, name: str, progress: Progress | None) -> dict[str, bytes]:
        """The checked content of `name` (of a zip: of all four files), by name."""
        address = mirror.address(name)
        report = functools.partial(progress, Path(urlsplit(address).path).name) if progress else None
        sent = self.client.download(address, self.max_bytes, report)
        files = unzip(sent) if mirror.kind == "zip" else {name: unpack(sent, name)}
        for each, content in files.items():
            if hashlib.sha256(content).hexdigest() != MNIST_SHA256[each]:
                raise MirrorError(f"its {Path(each).name} is not MNIST's (wrong sha256)")
        return files


def _missing(folder: Path) -> list[str]:
    """Those of the four files that are absent or damaged."""
    return [name for name in NAMES if not _is_right(folder / name, name)]


def _is_right(path: Path, name: str) -> bool:
    with contextlib.suppress(OSError):
        return (
            path.stat().st_size == SIZES[name] and hashlib.sha256(path.read_bytes()).hexdigest() == MNIST_SHA256[name]
        )
    return False
