"""Plain files: read without following links and up to a size, written whole or not at all.

Every file that is written is written here. What a run or the cache holds is a plain file: `replace` refuses all else. A
path that the user named may be a link, a pipe or a device: `write_named` writes through it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path

UNSUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)
"""What a file system fails with that does not have an operation."""

NOT_REPLACED = (errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EPERM)
MAX_LINKS = 40
"""Links that lead to a file, as many as Linux follows."""


def as_text(name: str | os.PathLike[str]) -> str:
    """A name or a value that the system gave, as text that can be stored: what is not UTF-8 in it is replaced."""
    return os.fspath(name).encode(errors="surrogateescape").decode(errors="replace")


def open_plain(path: Path, flags: int = os.O_RDONLY) -> int:
    """A descriptor of a regular file; with `os.O_CREAT` it is made if absent, with the permissions of the umask.

    Neither a link is followed nor a pipe waited for: what stands at `path` may be a stranger's.

    Raises:
        OSError: absent, not a regular file, or not permitted.
    """
    if not hasattr(os, "O_NOFOLLOW") and path.is_symlink():
        raise OSError(errno.ELOOP, "it is a link", str(path))
    descriptor = os.open(path, flags | _flags("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"), 0o666)
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
    return _read(os.open(path, os.O_RDONLY | _flags("O_CLOEXEC", "O_BINARY")), path, max_bytes)


def _flags(*names: str) -> int:
    """Those of the flags that this system has: Windows lacks most of them, and alone has O_BINARY."""
    return sum(getattr(os, name, 0) for name in names)


def _read(descriptor: int, path: Path, max_bytes: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        size = f"{max_bytes >> 20} MiB" if max_bytes >> 20 else f"{max_bytes >> 10} KiB"
        raise OSError(errno.EFBIG, f"it is larger than {size}", str(path))
    return data


def replace(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Write a file whole or not at all, and durably: a temporary file beside it, flushed to disk, then renamed.

    A new file has the permissions `mode` less the umask, and an existing one keeps its own.

    Raises:
        OSError: the folder is absent, full or not writable, or something other than a plain file is there.
    """
    kept = _permissions(path)
    temporary = path.with_name(f".{path.name[-40:]}.{secrets.token_hex(4)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _flags("O_NOFOLLOW", "O_CLOEXEC", "O_BINARY")
    descriptor = os.open(temporary, flags, mode if kept is None else kept)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            flush(descriptor)
            if kept is not None and hasattr(os, "fchmod"):
                with contextlib.suppress(OSError):  # CIFS: permissions are those of the mount
                    os.fchmod(descriptor, kept)  # whatever the umask is
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    with contextlib.suppress(OSError):  # not every file system can flush a folder
        folder = os.open(path.parent, os.O_RDONLY | _flags("O_DIRECTORY", "O_CLOEXEC"))
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def create(path: Path) -> int:
    """A descriptor to write a new file; an earlier plain file is removed.

    Raises:
        OSError: the folder cannot be written, or something other than a plain file is there.
    """
    if _permissions(path) is not None:
        path.unlink()
    return open_plain(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)


def _permissions(path: Path) -> int | None:
    """Those of a plain file; None if nothing is there."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is not a plain file", str(path))
    return stat.S_IMODE(mode)


def flush(descriptor: int) -> None:
    """Flush a file to disk, where its file system can.

    Raises:
        OSError: the disk is full or damaged.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise


def write_named(path: Path, data: bytes) -> None:
    """Write to a path that the user named.

    A plain file is written whole or not at all, and the target of a link in its place. Into a pipe or a character
    device, `/dev/stdout` among them, the data is written as it is.

    Raises:
        BrokenPipeError: the reader of a pipe has ended.
        OSError: it cannot be written; a block device or a folder is refused.
    """
    target = path
    for _ in range(MAX_LINKS):
        if not target.is_symlink():
            break
        if target.parent.resolve().is_relative_to("/proc"):  # an open file: its name may be gone, or another's by now
            _write_open(target, data)
            return
        target = target.parent / target.readlink()
    try:
        kind = target.stat().st_mode
    except FileNotFoundError:
        kind = stat.S_IFREG
    if stat.S_ISFIFO(kind) or stat.S_ISCHR(kind):
        _write_all(os.open(target, os.O_WRONLY | _flags("O_NOCTTY", "O_CLOEXEC")), data)
        return
    try:
        replace(target, data)
    except OSError as error:
        # A file that is a mount of its own, as containers have them, or in a folder that cannot be written.
        if error.errno not in NOT_REPLACED or not target.is_file():
            raise
        _write_all(open_plain(target, os.O_WRONLY | os.O_TRUNC), data)


def _write_open(link: Path, data: bytes) -> None:
    """Write to a file that a process has open: one of this process with its own offset, another's at the end."""
    own = link.parent.samefile("/proc/self/fd") and link.name.isdecimal()
    flags = os.O_WRONLY | os.O_APPEND | _flags("O_NOCTTY", "O_CLOEXEC")
    _write_all(os.dup(int(link.name)) if own else os.open(link, flags), data)


def _write_all(descriptor: int, data: bytes) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
