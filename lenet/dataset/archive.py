"""Unpack what a mirror sends: plain, gzip or zip, never more than the four files can hold."""

from __future__ import annotations

import gzip
import io
import lzma
import struct
import zipfile
import zlib
from pathlib import Path

from lenet.dataset.files import NAMES


class MirrorError(Exception):
    """A mirror does not give MNIST. The message gives the reason in a few words."""


SIZES = dict(zip(NAMES, (47_040_016, 60_008, 7_840_016, 10_008), strict=True))
"""Bytes of MNIST's four files, unpacked."""

ARCHIVE_ROOT = "MNIST_Data/"


def unpack(sent: bytes, name: str) -> bytes:
    """Return the file `name` from `sent`, which may be gzip, whatever its address says.

    Raises:
        MirrorError: damaged, or larger than `name` is.
    """
    if sent.startswith(b"\x1f\x8b"):
        try:
            with gzip.open(io.BytesIO(sent)) as file:
                sent = file.read(SIZES[name] + 1)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise MirrorError(f"its {Path(name).name} is damaged gzip") from error
    if len(sent) > SIZES[name]:
        raise MirrorError(f"its {Path(name).name} is larger than MNIST's")
    return sent


def unzip(sent: bytes) -> dict[str, bytes]:
    """Return the four files of a zip archive by name. Its other members are not read, and its paths not used.

    Raises:
        MirrorError: not a zip, damaged, or a file is missing, there twice or larger than it is.
    """
    files: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(sent)) as archive:
            for member in archive.infolist():
                name = member.filename.removeprefix(ARCHIVE_ROOT)
                if name not in SIZES:
                    continue
                if name in files:
                    raise MirrorError(f"its archive holds {name} twice")
                with archive.open(member) as file:
                    # The size in the archive's index may be wrong: limit what is read.
                    files[name] = file.read(SIZES[name] + 1)
                if len(files[name]) > SIZES[name]:
                    raise MirrorError(f"its {name} is larger than MNIST's")
    except (
        zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError, struct.error,
        zlib.error, lzma.LZMAError,
    ) as error:  # fmt: skip
        raise MirrorError("it sent no zip, or a damaged one") from error
    if absent := [name for name in NAMES if name not in files]:
        raise MirrorError(f"its archive lacks {absent[0]}")
    return files
