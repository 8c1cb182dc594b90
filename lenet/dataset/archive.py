"""What a mirror sends, unpacked: plain, gzip or zip, never more than the four files can hold."""

from __future__ import annotations

import gzip
import io
import lzma
import struct
import zipfile
import zlib
from pathlib import Path

from lenet.dataset.files import NAMES
from lenet.dataset.transfer import MirrorError

SIZES = dict(zip(NAMES, (47_040_016, 60_008, 7_840_016, 10_008), strict=True))
"""Bytes of MNIST's four files, unpacked."""

ARCHIVE_ROOT = "MNIST_Data/"


def unpacked(part: Path, name: str) -> bytes:
    """The file `name` from `part`, which may be gzip: what a server sends is seen, not believed from its address.

    Raises:
        MirrorError: damaged, or larger than `name` is.
        OSError: `part` cannot be read.
    """
    sent = part.read_bytes()
    if sent.startswith(b"\x1f\x8b"):
        try:
            with gzip.open(io.BytesIO(sent)) as file:
                sent = file.read(SIZES[name] + 1)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise MirrorError(f"its {Path(name).name} is damaged gzip") from error
    if len(sent) > SIZES[name]:
        raise MirrorError(f"its {Path(name).name} is larger than MNIST's")
    return sent


def unzipped(part: Path) -> dict[str, bytes]:
    """The four files of an archive by name; nothing else in it is read, and none of its paths is used.

    Raises:
        MirrorError: no zip, damaged, or a file is absent, there twice or larger than it is.
        OSError: `part` cannot be read.
    """
    stored = io.BytesIO(part.read_bytes())
    files: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(stored) as archive:
            for member in archive.infolist():
                name = member.filename.removeprefix(ARCHIVE_ROOT)
                if name not in SIZES:
                    continue
                if name in files:
                    raise MirrorError(f"its archive holds {name} twice")
                with archive.open(member) as file:
                    # The size in the archive's index is a claim; what is read is bounded here.
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
