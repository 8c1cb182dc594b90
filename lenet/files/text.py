"""Text files that are whole or not there, and reading that takes nothing on trust."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path

from lenet.errors import StoreError

MAX_FILE_BYTES = 64 * 2**20
"""Largest manifest or record that is read."""


def write_atomically(path: Path, text: str) -> None:
    """Write a text file whole or not at all: a temporary file beside it, flushed to disk, then renamed.

    Raises:
        StoreError: the folder is read-only, full or gone.
    """
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}; choose another --output") from error


def read_text(path: Path) -> str:
    """What a plain file of at most `MAX_FILE_BYTES` says.

    Raises:
        StoreError: it cannot be read, is too large, is a link or a pipe, or is not UTF-8.
    """
    try:
        # Not blocking, and no link: what stands there may be a pipe that never ends, or lead out of the run.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "it is not a plain file")
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from error
    if len(data) > MAX_FILE_BYTES:
        raise StoreError(f"{path} is larger than {MAX_FILE_BYTES >> 20} MiB: not a file of a run")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise StoreError(f"{path} is not UTF-8 text: not a file of a run") from error
