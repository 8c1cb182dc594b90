"""MNIST over the network: verified TLS, resumed, size-capped, and nothing gets its name before its digest is right."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import random
import time
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError, NewConnectionError

from lenet.dataset.files import NAMES, Dataset, load, locked, put
from lenet.dataset.local import MNIST_SHA256
from lenet.errors import DatasetError

Progress = Callable[[str, int, "int | None"], None]
"""Told the file's name, the bytes so far and the bytes in all, if known."""

MAX_UNPACKED_BYTES = 48 * 2**20
"""The largest of the four is 47,040,016 bytes."""


@dataclass(frozen=True)
class Mirror:
    """A place that has MNIST: a folder of files (`.gz` or plain), or one zip with all four."""

    url: str
    kind: str = "gz"


MIRRORS = (
    # The archive of MindSpore's own tutorials.
    Mirror("https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/MNIST_Data.zip", "zip"),
    Mirror("https://ossci-datasets.s3.amazonaws.com/mnist/"),
    Mirror("https://storage.googleapis.com/cvdf-datasets/mnist/"),
)


class MirrorError(Exception):
    """This mirror does not give the file; the message says why."""


class TransientError(MirrorError):
    """It may, when asked again."""


@dataclass(frozen=True)
class Downloader:
    """How MNIST is fetched. Times in seconds, sizes in bytes."""

    mirrors: tuple[Mirror, ...] = MIRRORS
    tries: int = 4
    """For each file of each mirror."""
    connect_seconds: float = 5.0
    read_seconds: float = 20.0
    total_seconds: float = 900.0
    """For one try: a server that drips must end too."""
    backoff_seconds: float = 1.0
    max_bytes: int = 64 * 2**20
    redirects: int = 5
    plain_http_hosts: frozenset[str] = field(default_factory=frozenset)
    """Hosts that may be asked without TLS: a test's own server on this machine."""

    def mnist(self, progress: Progress | None = None) -> Dataset:
        """MNIST, from the cache or the first mirror that gives it whole.

        Raises:
            DatasetError: no mirror does, or the cache cannot be written.
        """
        with locked("mnist") as folder:
            if not all(_is_right(folder / name, name) for name in NAMES):
                self._fetch(folder, progress or _say_nothing)
        return load(folder, "mnist")

    def _fetch(self, folder: Path, progress: Progress) -> None:
        complaints = []
        for mirror in self.mirrors:
            try:
                for name in NAMES:
                    if not _is_right(folder / name, name):
                        self._fetch_file(mirror, name, folder, progress)
                return
            except MirrorError as error:
                complaints.append(f"{urlsplit(mirror.url).hostname}: {error}")
        raise DatasetError(
            f"MNIST cannot be downloaded ({'; '.join(complaints)}): "
            "give a folder that has it with --data-dir, or use --dataset digits"
        )

    def _fetch_file(self, mirror: Mirror, name: str, folder: Path, progress: Progress) -> None:
        """Bring `name` (of a zip: all that it holds) into `folder`."""
        if mirror.kind == "zip":
            part = folder / "archive.zip.part"
            self._transfer(mirror.url, part, progress)
            files = _unzip(part)
        else:
            base = Path(name).name
            url = urljoin(mirror.url, base + (".gz" if mirror.kind == "gz" else ""))
            part = folder / f"{base}.{mirror.kind}.part"
            self._transfer(url, part, progress)
            files = {name: _unpacked(part, mirror.kind)}
        # Right or wrong, the transfer is over; wrong bytes must not be resumed.
        part.unlink()
        for found, data in files.items():
            if hashlib.sha256(data).hexdigest() != MNIST_SHA256[found]:
                raise MirrorError(f"{Path(found).name} is not MNIST's: wrong sha256")
            put(folder / found, data)

    def _transfer(self, url: str, part: Path, progress: Progress) -> None:
        for attempt in range(self.tries):
            try:
                self._attempt(url, part, progress)
                return
            except TransientError as error:
                if attempt + 1 == self.tries:
                    raise MirrorError(str(error)) from error
                # Jitter: many machines that lost one server do not come back at the same moment.
                time.sleep(self.backoff_seconds * 2**attempt * (0.5 + random.random()))  # noqa: S311

    def _attempt(self, url: str, part: Path, progress: Progress) -> None:
        """Go on with `part` until it is whole."""
        deadline = time.monotonic() + self.total_seconds
        have = part.stat().st_size if part.exists() else 0
        try:
            with requests.Session() as session, self._open(session, url, have) as answer:
                if answer.status_code == 416 or (have and answer.status_code == 200):
                    have = 0  # the server's file is another, or it does not resume: from the start
                    part.unlink(missing_ok=True)
                if answer.status_code == 416:
                    raise TransientError("it could not resume")
                total = self._expected(answer, have)
                with part.open("ab") as file:
                    for block in answer.raw.stream(1 << 16, decode_content=False):
                        have += len(block)
                        if have > self.max_bytes:
                            raise MirrorError(f"it sends more than {self.max_bytes >> 20} MiB")
                        file.write(block)
                        progress(Path(urlsplit(url).path).name, have, total)
                        if time.monotonic() > deadline:
                            raise TransientError(f"not whole after {self.total_seconds:g} s")
        except requests.exceptions.SSLError as error:
            raise MirrorError("its certificate cannot be verified") from error
        except requests.exceptions.ConnectTimeout as error:
            raise MirrorError(f"no connection within {self.connect_seconds:g} s") from error
        except requests.exceptions.ReadTimeout as error:
            raise TransientError(f"silent for {self.read_seconds:g} s") from error
        except requests.exceptions.ConnectionError as error:
            reason = getattr(error.args[0], "reason", None) if error.args else None
            if isinstance(reason, NewConnectionError):
                # Refused or unresolvable: asking again is of no use, and a machine without network must not wait.
                raise MirrorError("no connection") from error
            raise TransientError("the connection was lost") from error
        except (requests.exceptions.RequestException, HTTPError) as error:
            raise TransientError("the transfer broke off") from error
        if total is not None and have < total:
            raise TransientError(f"the transfer broke off at {have} of {total} bytes")
        if total is not None and have > total:
            part.unlink()
            raise TransientError(f"it sent {have} bytes and promised {total}")

    def _expected(self, answer: requests.Response, have: int) -> int | None:
        """Bytes of the whole file as the answer promises them."""
        length = answer.headers.get("Content-Length", "")
        rest = int(length) if length.isdigit() else None
        if answer.status_code == 206:
            begin = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
            if begin != str(have):
                raise MirrorError("it resumed at the wrong place")
        if rest is not None and have + rest > self.max_bytes:
            raise MirrorError(f"it promises more than {self.max_bytes >> 20} MiB")
        return None if rest is None else have + rest

    @contextlib.contextmanager
    def _open(self, session: requests.Session, url: str, have: int):  # type: ignore[no-untyped-def]  # noqa: ANN202
        """The answer to a request for `url` from byte `have`, redirects followed by hand: each must be allowed."""
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
        for _ in range(self.redirects + 1):
            self._allow(url)
            answer = session.get(
                url,
                headers=headers,
                stream=True,
                allow_redirects=False,
                timeout=(self.connect_seconds, self.read_seconds),
            )
            if not answer.is_redirect:
                break
            url = urljoin(url, answer.headers["Location"])
            answer.close()
        else:
            raise MirrorError(f"it redirects more than {self.redirects} times")
        with answer:
            if answer.status_code >= 500 or answer.status_code == 429:
                raise TransientError(f"it answers {answer.status_code}")
            if answer.status_code not in (200, 206, 416):
                raise MirrorError(f"it answers {answer.status_code}")
            yield answer

    def _allow(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in self.plain_http_hosts):
            raise MirrorError(f"it leads to {parts.scheme}://{parts.hostname}, and only https is followed")


def _say_nothing(name: str, done: int, total: int | None) -> None:
    del name, done, total


def _is_right(path: Path, name: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == MNIST_SHA256[name]
    except OSError:
        return False


def _unpacked(part: Path, kind: str) -> bytes:
    if kind == "plain":
        return part.read_bytes()
    try:
        with gzip.open(part) as file:
            data = file.read(MAX_UNPACKED_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        part.unlink()
        raise MirrorError("it sent something that is not gzip") from error
    if len(data) > MAX_UNPACKED_BYTES:
        part.unlink()
        raise MirrorError("it sent a file that unpacks to more than MNIST holds")
    return data


def _unzip(part: Path) -> dict[str, bytes]:
    """The four files of an archive, by name; nothing else of it is read, and none of its paths is used."""
    files = {}
    try:
        with zipfile.ZipFile(io.BytesIO(part.read_bytes())) as archive:
            for member in archive.infolist():
                for name in NAMES:
                    if member.filename.endswith(name) and member.file_size <= MAX_UNPACKED_BYTES:
                        with archive.open(member) as file:
                            files[name] = file.read(MAX_UNPACKED_BYTES + 1)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
        part.unlink()
        raise MirrorError("it sent something that is not a zip") from error
    if set(files) != set(NAMES):
        part.unlink()
        raise MirrorError("its archive lacks a file")
    return files
