"""Locks that the kernel releases when their holder ends: a crashed process never blocks another.

`flock` itself and not filelock: that falls back to a lock by a file's existence where a file system has no locks, which
outlives a crash, and it opens the file for writing, which another user's file may not permit.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import sys
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import psutil

from lenet.files.plain import UNSUPPORTED, open_plain

NO_LOCKS = (errno.ENOLCK, errno.EBADF, *UNSUPPORTED)
"""What `flock` fails with on a file system without locks; EBADF: NFS locks only files that are open for writing."""

READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
"""What opening another user's file for writing fails with."""

POLL_SECONDS = 0.5
"""The longest time between two attempts to take a lock."""
SILENT_SECONDS = 3.0
"""A wait that is shorter is not worth a notice."""
NOTIFY_SECONDS = 60.0
"""Time between two notices after the first."""

Notify = Callable[[str], None]
"""Is called with a sentence for the user."""


def print_notice(text: str) -> None:
    """Print a notice to standard error."""
    print(f"lenet-bench: {text}", file=sys.stderr, flush=True)


class Lock:
    """A lock that is held until `release`, or until this process ends in whatever way."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Release the lock; a second time does nothing."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)

    @property
    def held(self) -> bool:
        """Whether it has not been released."""
        return self._descriptor is not None

    def __del__(self) -> None:
        """A lock that nothing refers to is released."""
        with contextlib.suppress(OSError):
            self.release()


_ours: weakref.WeakValueDictionary[tuple[int, int], Lock] = weakref.WeakValueDictionary()
"""The locks of `take` that this process holds, by device and inode."""


def take(path: Path, mode: int | None = None) -> Lock | None:
    """The lock `path` for this process, or None while another process holds it. Its file stays.

    The file is made with the permissions `mode`, by default those of the umask. A process that holds the lock gets the
    same one again. On a file system without locks nothing is locked.

    Raises:
        OSError: the file cannot be made, or is not a plain file.
    """
    with contextlib.suppress(OSError):
        if (known := _ours.get(_key(path.lstat()))) is not None and known.held:
            return known
    descriptor = _acquire(path, mode, required=False)
    if descriptor is None:
        return None
    lock = _ours[_key(os.fstat(descriptor))] = Lock(descriptor)
    return lock


def alone(path: Path, *, required: bool = True) -> Lock | None:
    """The lock `path` for the caller alone, other threads of this process excluded; None while another holds it.

    Unless it is `required`, nothing is locked on a file system without locks.

    Raises:
        OSError: the file cannot be made, or a lock is required and its file system has none.
    """
    descriptor = _acquire(path, None, required=required)
    return None if descriptor is None else Lock(descriptor)


def wait_for(
    attempt: Callable[[], Lock | None],
    path: Path,
    doing: str,
    what: str,
    *,
    seconds: float = math.inf,
    silent: float | None = None,
    notify: Notify = print_notice,
    advice: str = "Ctrl-C ends",
) -> Lock:
    """The lock that `attempt` takes, as soon as it is free.

    After `silent` seconds, by default `SILENT_SECONDS`, `notify` is told who holds it, `doing` something with `what`;
    then once in `NOTIFY_SECONDS`, and that it is free.

    Raises:
        TimeoutError: it was held by another for that many seconds.
        OSError: `attempt` raises it.
    """
    began = time.monotonic()
    first = began + (SILENT_SECONDS if silent is None else silent)
    notice, pause = first, POLL_SECONDS / 16
    while (lock := attempt()) is None:
        now = time.monotonic()
        if now - began > seconds:
            raise TimeoutError
        if now >= notice:
            so_far = f" ({advice})" if notice == first else f", {(now - began) / 60:.0f} min so far"
            notify(f"waiting for {holder(path)}, which {doing} {what}{so_far}")
            notice = now + NOTIFY_SECONDS
        time.sleep(pause)
        pause = min(2 * pause, POLL_SECONDS)
    if notice != first:
        notify(f"{what} is free after {time.monotonic() - began:.0f} s")
    return lock


def _acquire(path: Path, mode: int | None, *, required: bool) -> int | None:
    """A descriptor that holds the lock, None if another has it; unless it is `required`, one without a lock will do."""
    try:
        import fcntl
    except ImportError:  # Windows, where runs are read and not measured: files are written whole, whoever writes them
        return os.open(os.devnull, os.O_RDONLY)
    while True:
        descriptor = _open(path, mode)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return None
            except OSError as error:
                if required or error.errno not in NO_LOCKS:
                    raise
            with contextlib.suppress(FileNotFoundError):
                if _key(path.lstat()) == _key(os.fstat(descriptor)):
                    return descriptor
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)  # the file was deleted meanwhile: the lock would be on nothing


def _open(path: Path, mode: int | None) -> int:
    while True:
        with contextlib.suppress(FileNotFoundError):
            # Without O_CREAT: in a shared folder Linux refuses that on another user's file (fs.protected_regular).
            try:
                return open_plain(path, os.O_RDWR)  # NFS has no exclusive lock on a file that is only read
            except OSError as error:
                if error.errno not in READ_ONLY:
                    raise
                return open_plain(path)
        with contextlib.suppress(FileExistsError):
            descriptor = open_plain(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
            if mode is not None:
                with contextlib.suppress(OSError):  # CIFS: permissions are those of the mount
                    os.fchmod(descriptor, mode)  # whatever the umask is
            return descriptor


def _key(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def holder(path: Path) -> str:
    """Who holds the lock, for a message; the kernel is asked, because a note in the file may be stale."""
    for pid in _holders(path):
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            words = " ".join(Path(word).name if "/" in word else word for word in process.cmdline()[:6])
            shown = "".join(each for each in words if each.isprintable())[:60]
            return f"process {pid} ({shown})" if shown else f"process {pid}"
    return "another process"


def _holders(path: Path) -> list[int]:
    """Process ids in Linux' list of locks: `1: FLOCK ADVISORY WRITE 18719 fe:00:2146514 0 EOF`; `->` marks waiters."""
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
