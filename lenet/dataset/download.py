"""MNIST over the network: the first mirror that has it, and no file gets its name before its digest is right."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urljoin, urlsplit

from lenet.dataset.archive import SIZES, unpacked, unzipped
from lenet.dataset.files import MNIST_SHA256, NAMES, Dataset, cache_folder, load, locked
from lenet.dataset.idx import put
from lenet.dataset.transfer import MirrorError, Progress, Transfer
from lenet.errors import DatasetError

__all__ = ["MIRRORS", "Downloader", "Mirror", "Progress"]


@dataclass(frozen=True)
class Mirror:
    """A place that has MNIST: a folder (its address ends in `/`) of `.gz` or plain files, or one zip with all four."""

    url: str
    kind: Literal["gz", "plain", "zip"] = "gz"


MIRRORS = (
    # The archive of MindSpore's own tutorials.
    Mirror("https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/MNIST_Data.zip", "zip"),
    Mirror("https://ossci-datasets.s3.amazonaws.com/mnist/"),
    Mirror("https://storage.googleapis.com/cvdf-datasets/mnist/"),
)


@dataclass(frozen=True)
class Downloader(Transfer):
    """How and whence MNIST is fetched. Times in seconds, sizes in bytes."""

    mirrors: tuple[Mirror, ...] = MIRRORS

    def mnist(self, progress: Progress | None = None) -> Dataset:
        """MNIST, from the cache or the first mirror that gives it whole.

        Raises:
            DatasetError: no mirror does, or the cache cannot be written.
        """
        folder = cache_folder() / "mnist"
        # A file here was checked before it got its name, so a whole copy is used without the lock: also one that is
        # read-only, and also while another process works.
        if not _absent(folder):
            return load(folder, "mnist")
        with locked("mnist") as folder:
            if _absent(folder):
                self._fetch_all(folder, progress or _say_nothing)
            return load(folder, "mnist")

    def _fetch_all(self, folder: Path, progress: Progress) -> None:
        complaints = []
        for mirror in self.mirrors:
            try:
                while absent := _absent(folder):
                    self._fetch_some(mirror, absent[0], folder, progress)
            except MirrorError as error:
                complaints.append(f"{urlsplit(mirror.url).hostname}: {error}")
            else:
                for part in folder.glob("*.part"):
                    part.unlink()
                return
        raise DatasetError(
            f"MNIST cannot be downloaded ({'; '.join(complaints)}): "
            "give a folder that has it with --data-dir, or use --dataset digits"
        )

    def _fetch_some(self, mirror: Mirror, name: str, folder: Path, progress: Progress) -> None:
        """Bring `name` (of a zip: all four) into `folder`."""
        base = Path(name).name
        url = mirror.url if mirror.kind == "zip" else urljoin(mirror.url, base + (".gz" if mirror.kind == "gz" else ""))
        # By its whole address: two mirrors may have packed the same file differently.
        part = folder / f"{hashlib.sha256(url.encode()).hexdigest()[:12]}.part"
        resumed = part.exists()
        self.fetch(url, part, progress)
        try:
            files = _verified(mirror, name, part)
        except MirrorError:
            if not resumed:
                raise
            # What an earlier run left may have been the beginning of another file: once more, from the start.
            self.fetch(url, part, progress)
            files = _verified(mirror, name, part)
        for found, data in files.items():
            put(folder / found, data)


def _verified(mirror: Mirror, name: str, part: Path) -> dict[str, bytes]:
    """The right bytes of what was sent. `part` is gone afterwards, right or wrong: wrong bytes must not be resumed."""
    try:
        files = unzipped(part) if mirror.kind == "zip" else {name: unpacked(part, name)}
    finally:
        part.unlink()
    for found, data in files.items():
        if hashlib.sha256(data).hexdigest() != MNIST_SHA256[found]:
            raise MirrorError(f"its {Path(found).name} is not MNIST's (wrong sha256)")
    return files


def _absent(folder: Path) -> list[str]:
    """Those of the four files that are not there as they should be."""
    return [name for name in NAMES if not _is_right(folder / name, name)]


def _is_right(path: Path, name: str) -> bool:
    with contextlib.suppress(OSError):
        return (
            path.stat().st_size == SIZES[name] and hashlib.sha256(path.read_bytes()).hexdigest() == MNIST_SHA256[name]
        )
    return False


def _say_nothing(name: str, done: int, total: int | None) -> None:
    del name, done, total
