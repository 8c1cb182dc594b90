"""Wheel files as releases of a framework: `--versions 2.10.0,dist/mindspore-2.11.0-cp311-cp311-linux_x86_64.whl`.

As a release a wheel file is called by its version and the start of its SHA-256, `2.11.0@1a2b3c4d5e6f`: two builds of
one version are two releases. Its name and its metadata are untrusted: they are bounded, compared with each other, and
decide nothing but whether pip may install the file with this digest into an environment of its own.
"""

from __future__ import annotations

import hashlib
import lzma
import re
import stat
import struct
import zipfile
import zlib
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from lenet.cases.frameworks import ABILITIES
from lenet.cases.values import VERSION
from lenet.errors import UsageError, reason

MAX_METADATA_BYTES = 2**20

DAMAGED = (
    *(OSError, EOFError, RuntimeError, ValueError, struct.error),
    *(zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError),
)
"""What `zipfile` raises for a file that is no archive, or a damaged one, or one with what it cannot read."""


@dataclass(frozen=True)
class Wheel:
    """A wheel file."""

    path: Path
    package: str
    version: str
    tags: frozenset[str]
    """The Pythons and platforms that it is built for, as `cp311-cp311-linux_x86_64`."""
    sha256: str

    @property
    def release(self) -> str:
        """What it is called in cases, records and tables."""
        return f"{self.version}@{self.sha256[:12]}"


_read: dict[str, Wheel] = {}
"""The wheel files that were named to this process, by what they are called: a case holds no path."""


def wheel_of(release: str) -> Wheel | None:
    """The file of a release that is called after a wheel file; None if it was not named to this process."""
    return _read.get(release)


def is_wheel(release: str | None) -> bool:
    """Whether a release is called after a wheel file."""
    return release is not None and "@" in release


def parse_release(text: str) -> str:
    """What the release is called that the text names: a release number, or the path of a wheel file.

    Raises:
        UsageError: it is neither, or the file is not a wheel of a framework.
    """
    if text.lower().endswith(".whl"):
        return read_wheel(Path(text)).release
    if re.fullmatch(VERSION, text) is None:
        raise UsageError(f"{text!r} is neither a release such as 2.10.0 nor a wheel file (.whl)")
    return text


def read_wheel(path: Path) -> Wheel:
    """The wheel in a file, whose name, archive and metadata agree. Nothing of it is executed.

    Raises:
        UsageError: there is no such file, or it is not a wheel of a framework.
    """
    try:
        path = path.expanduser().absolute()  # no shell expands ~ behind a comma
        found = path.stat()
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(f"cannot read the wheel file {path}: {reason(error)}") from error
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(f"{path} is not a file: name a wheel file")
    wheel = _examined(path, (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns))
    _read[wheel.release] = wheel
    return wheel


@lru_cache(maxsize=64)
def _examined(path: Path, state: tuple[int, ...]) -> Wheel:
    """`state` changes with the file: hundreds of megabytes are read once, however often the file is named."""
    del state
    package, version, tags = _named(path.name)
    total = hashlib.sha256()
    try:
        with path.open("rb") as file:
            metadata = _metadata(file)
            file.seek(0)
            while block := file.read(2**20):
                total.update(block)
    except DAMAGED as error:
        raise UsageError(f"{path.name} is not a whole wheel file: {reason(error)}; build or copy it again") from error
    name, stated = (str(metadata[key])[:60] for key in ("Name", "Version"))
    if canonicalize_name(name) != package or _version(stated) != version:
        raise UsageError(f"{path.name} contains {name} {stated}: give the file the name that it was built with")
    if any("@" in str(each) for each in metadata.get_all("Requires-Dist", [])):
        raise UsageError(f"{path.name} requires packages from addresses of its own; only your package index is used")
    return Wheel(path, package, version, tags, total.hexdigest())


def _named(name: str) -> tuple[str, str, frozenset[str]]:
    """Package, version and tags that the name of a wheel file states.

    Raises:
        UsageError: it is not such a name, or not one of a framework's package.
    """
    try:
        package, version, _, tags = parse_wheel_filename(name)
    except (InvalidWheelFilename, InvalidVersion) as error:
        raise UsageError(
            f"{name} is not the name of a wheel file: keep the one that it was built with, such as "
            "mindspore-2.11.0-cp311-cp311-linux_x86_64.whl"
        ) from error
    known = [ability.package for ability in ABILITIES.values()]
    if package not in known:
        raise UsageError(f"{name} is a wheel of {package}: name one of {' or '.join(known)}")
    if re.fullmatch(VERSION, str(version)) is None:
        raise UsageError(f"{name}: {version} is not a version such as 2.11.0, 2.11.0.dev20261125 or 2.11.0+ci.1")
    return package, str(version), frozenset(map(str, tags))


def _version(text: str) -> str:
    try:
        return str(Version(text))
    except InvalidVersion:
        return ""


def _metadata(file: BinaryIO) -> Message:
    """The metadata of the package in an archive.

    Raises:
        DAMAGED: it is not an archive, or not one of a package.
    """
    with zipfile.ZipFile(file) as archive:
        listed = [each for each in archive.infolist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", each.filename)]
        if len(listed) != 1:
            raise zipfile.BadZipFile("it does not hold the metadata of one package")
        with archive.open(listed[0]) as opened:
            content = opened.read(MAX_METADATA_BYTES + 1)
    if len(content) > MAX_METADATA_BYTES:
        raise zipfile.BadZipFile(f"its metadata are larger than {MAX_METADATA_BYTES >> 20} MiB")
    return BytesHeaderParser().parsebytes(content)
