"""Locks that the kernel drops when their holder dies: a crashed process never blocks another.

`flock` itself, and no library over it: filelock falls back to a lock by a file's mere existence where a file system
knows no locks, and such a one outlives a crash; and it opens for writing, which another user's file may not allow.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import weakref
from pathlib import Path

import psutil

UNKNOWN_TO_THE_FILE_SYSTEM = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)


class Lock:
    """A lock that this process holds until `release`, or until it ends in whatever way."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Give the lock back; a second time does nothing."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)

    @property
    def held(self) -> bool:
        """Whether it has not been given back."""
        return self._descriptor is not None

    def __del__(self) -> None:
        """Nobody can give back a lock that nobody has."""
        with contextlib.suppress(OSError):
            self.release()


_ours: weakref.WeakValueDictionary[tuple[int, int], Lock] = weakref.WeakValueDictionary()


def take(path: Path, mode: int = 0o644) -> Lock | None:
    """The lock `path` for this process, or None where another process holds it. It is made with `mode`, and stays.

    A process that holds it already gets the same lock again. Where the file system knows no locks nothing is locked.

    Raises:
        OSError: the file cannot be made, or is none.
    """
    while True:
        descriptor = _open(path, mode)
        try:
            there = os.fstat(descriptor)
            if not stat.S_ISREG(there.st_mode):
                raise OSError(errno.EINVAL, "not a plain file")
            key = (there.st_dev, there.st_ino)
            if (known := _ours.get(key)) is not None and known.held:
                os.close(descriptor)
                return known
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return None
            except OSError as error:
                if error.errno not in UNKNOWN_TO_THE_FILE_SYSTEM:
                    raise
            if not _is_still(path, key):
                os.close(descriptor)  # it was deleted meanwhile: the lock would be on nothing
                continue
        except OSError:
            with contextlib.suppress(OSError):
                os.close(descriptor)
            raise
        lock = _ours[key] = Lock(descriptor)
        return lock


def _open(path: Path, mode: int) -> int:
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    while True:
        with contextlib.suppress(FileNotFoundError):
            # Without O_CREAT: in a shared folder Linux refuses that on another user's file (fs.protected_regular).
            return os.open(path, flags)
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, mode)
            os.fchmod(descriptor, mode)  # whatever the umask is
            return descriptor


def _is_still(path: Path, key: tuple[int, int]) -> bool:
    try:
        now = path.stat()
    except OSError:
        return False
    return (now.st_dev, now.st_ino) == key


def holder(path: Path) -> str:
    """Who holds the lock, in words, as far as the system tells; the kernel is asked, so that no stale note can lie."""
    for pid in _holders(path):
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            words = " ".join(Path(word).name if "/" in word else word for word in process.cmdline()[:6])
            shown = "".join(each for each in words if each.isprintable())[:60]
            return f"process {pid} ({shown})" if shown else f"process {pid}"
    return "another process"


def _holders(path: Path) -> list[int]:
    """Linux' list of locks: `1: FLOCK ADVISORY WRITE 18719 fe:00:2146514 0 EOF`, waiting ones with `->`."""
    try:
        inode = path.stat().st_ino
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    fields = [line.split() for line in lines if "->" not in line]
    return [
        int(each[4])
        for each in fields
        if len(each) > 5 and each[1] == "FLOCK" and each[5].rpartition(":")[2] == str(inode) and int(each[4]) > 0
    ]
