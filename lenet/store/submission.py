"""A submission: a sealed run in one ZIP file, to send to whoever collects runs.

It holds what the seal covers, the seal and its signature; no logs, which may name people and paths, and no tables,
which are made again. The same run gives the same bytes.

A submission is read without trust. Sizes are capped before anything is unpacked, each member must be a plain file with
a name that a run has, and the archive unpacks no file: this module writes each member under its checked name.
"""

from __future__ import annotations

import io
import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipInfo

from lenet.errors import StoreError, failing_as, reason
from lenet.files.folder import Folder
from lenet.files.leftovers import TEMPORARY_PREFIX
from lenet.files.plain import create, open_plain, read_named
from lenet.files.text import make_folder
from lenet.store.manifest import MANIFEST
from lenet.store.seal import SEAL, SIGNATURE, is_covered

MAX_BYTES = 64 * 2**20
"""Largest submission."""
MAX_UNPACKED_BYTES = 2**30
MAX_MEMBERS = 20_000

_ENTRY = b"PK\x01\x02"
"""Begins the entry of each member in the table of contents."""
_ENCRYPTED = 0x1
_MADE = (1980, 1, 1, 0, 0, 0)
"""The time of every member, so that packing a run again gives the same bytes."""
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError, OverflowError)
"""What `zipfile` raises for a damaged or hostile file."""


def is_submission(path: Path) -> bool:
    """Whether a path that the user named is to be read as a submission: a file or a pipe, and no folder of runs."""
    return path.exists() and not path.is_dir()


def pack(folder: Folder) -> bytes:
    """The submission of a sealed run.

    Raises:
        StoreError: the run cannot be read, or is larger than a submission may be.
    """
    names = sorted(name for name in folder.files if _is_member(name))
    size = sum(folder.files[name] for name in names)
    if size > MAX_UNPACKED_BYTES or len(names) > MAX_MEMBERS:
        raise StoreError(
            f"{folder.root} is too large to submit: {len(names)} files of {size >> 20} MiB; the limits are "
            f"{MAX_MEMBERS} files and {MAX_UNPACKED_BYTES >> 20} MiB"
        )
    packed = io.BytesIO()
    with failing_as(StoreError, f"cannot read {folder.root}"), zipfile.ZipFile(packed, "w", ZIP_DEFLATED) as archive:
        for name in names:
            info = ZipInfo(name, _MADE)
            info.compress_type, info.external_attr, info.create_system = ZIP_DEFLATED, 0o644 << 16, 3
            with os.fdopen(open_plain(folder.root / name), "rb") as source, archive.open(info, "w") as target:
                shutil.copyfileobj(source, target)
    if packed.tell() > MAX_BYTES:
        raise StoreError(f"{folder.root} is too large to submit: more than {MAX_BYTES >> 20} MiB when packed")
    return packed.getvalue()


@contextmanager
def unpacked(path: Path, inside: Path | None = None) -> Iterator[Path]:
    """The run of a submission in a folder that is removed afterwards; it is made in `inside`, under a hidden name.

    Raises:
        StoreError: the file cannot be read, is no submission, or exceeds a limit; or the folder cannot be made.
    """
    with failing_as(StoreError, f"cannot read {path}"):
        data = read_named(path, MAX_BYTES)
    with failing_as(StoreError, f"cannot write {inside or 'the temporary folder'}", "choose another folder"):
        prefix = TEMPORARY_PREFIX if inside is None else ".submission-"
        temporary = TemporaryDirectory(prefix=prefix, dir=inside, ignore_cleanup_errors=True)
    with temporary as name:
        run = Path(name) / "run"
        try:
            _unpack(data, run)
        except StoreError:
            raise
        except _DAMAGED as error:
            raise StoreError(f"{path} is no submission: {reason(error)}") from error
        yield run


def _is_member(name: str) -> bool:
    return is_covered(name) or name in (SEAL, SIGNATURE)


def _unpack(data: bytes, run: Path) -> None:
    """Write the members into the folder, which does not exist; an error of `_DAMAGED` if it is no submission."""
    if data.count(_ENTRY) > MAX_MEMBERS:  # before the table of contents is in memory
        raise ValueError(f"it has more than {MAX_MEMBERS} files")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        _check(members)
        for each in members:
            path = run / each.filename
            make_folder(path.parent)
            with (
                archive.open(each) as source,
                failing_as(StoreError, f"cannot write {path}"),
                os.fdopen(create(path), "wb") as target,
            ):
                shutil.copyfileobj(source, target)  # never more than the size that the table of contents says


def _check(members: Sequence[ZipInfo]) -> None:
    """Refuse, by a ValueError, what no submission has."""
    names: set[str] = set()
    for each in members:
        shown = ascii(each.filename)[:100]
        if not _is_member(each.filename):
            raise ValueError(f"{shown} is not the name of a file of a run")
        if each.filename in names:
            raise ValueError(f"it has {shown} twice")
        if stat.S_IFMT(each.external_attr >> 16) not in (0, stat.S_IFREG):
            raise ValueError(f"{shown} is not a plain file")
        if each.flag_bits & _ENCRYPTED or each.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise ValueError(f"{shown} is encrypted, or compressed in another way than deflate")
        names.add(each.filename)
    if (size := sum(each.file_size for each in members)) > MAX_UNPACKED_BYTES:
        raise ValueError(f"it would take {size >> 20} MiB, more than {MAX_UNPACKED_BYTES >> 20} MiB")
    if missing := sorted({MANIFEST, SEAL} - names):
        raise ValueError(f"it has no {missing[0]}: make it with `lenet-bench submit`")
