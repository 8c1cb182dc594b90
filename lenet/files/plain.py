"""Plain files: read without following links and up to a size, written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from pathlib import Path


def open_plain(path: Path, flags: int = os.O_RDONLY) -> int:
    """A descriptor of a regular file; with `os.O_CREAT` it is made if absent, readable by everybody.

    Neither a link is followed nor a pipe waited for: what stands at `path` may be a stranger's.

    Raises:
        OSError: absent, not a regular file, or not permitted.
    """
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a plain file", str(path))
    return descriptor


def read_plain(path: Path, max_bytes: int) -> bytes:
    """The content of a regular file of at most `max_bytes`.

    Raises:
        OSError: it cannot be opened, read, or is larger.
    """
    return _read(open_plain(path), path, max_bytes)


def read_named(path: Path, max_bytes: int) -> bytes:
    """The content of a file that the user named: a link is followed and a pipe is read.

    Raises:
        OSError: it cannot be opened, read, or is larger than `max_bytes`.
    """
    return _read(os.open(path, os.O_RDONLY | os.O_CLOEXEC), path, max_bytes)


def _read(descriptor: int, path: Path, max_bytes: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        size = f"{max_bytes >> 20} MiB" if max_bytes >> 20 else f"{max_bytes >> 10} KiB"
        raise OSError(errno.EFBIG, f"it is larger than {size}", str(path))
    return data


def replace(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file whole or not at all, and durably: a temporary file beside it, flushed to disk, then renamed.

    Raises:
        OSError: the folder is absent, full or not writable.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
            os.fchmod(descriptor, mode)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
    with contextlib.suppress(OSError):  # not every file system can flush a folder
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
