"""The user's folders: the cache, whose entries one process at a time makes, and the data that is kept."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, TypeVar

import platformdirs

from lenet.errors import CacheError, failing_as
from lenet.files.locks import NO_LOCKS, Lock, alone, wait_for
from lenet.files.plain import as_text

LOCK_SECONDS = 1800.0
"""How long another process may hold the lock of an entry."""


Taken = TypeVar("Taken")


def is_text(path: Path) -> bool:
    """Whether the path is valid UTF-8: MindSpore takes no other, and no other can be sent to a worker."""
    return as_text(path) == str(path)


def named_by(variable: str) -> Path | None:
    """The folder that the variable names, None if it is unset or empty. A file of variables has `~` as it is.

    Raises:
        CacheError: there is no home folder for its `~`.
    """
    if not (text := os.environ.get(variable)):
        return None
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise CacheError(f"{variable}={text}: there is no such home folder; name the folder without `~`") from error


def user_folder(kind: Literal["cache", "data"], variable: str, inside: str = "") -> Path:
    """The user's folder for that kind of files and `inside` it, which need not exist; the variable names another.

    Raises:
        CacheError: the user has no home folder.
    """
    if (chosen := named_by(variable)) is not None:
        return chosen.absolute()  # workers have another working folder
    find = {"cache": platformdirs.user_cache_dir, "data": platformdirs.user_data_dir}[kind]
    with contextlib.suppress(RuntimeError):  # platformdirs 4.4 and later, for a user without a home folder
        folder = Path(find("lenet-bench", appauthor=False))
        if folder.is_absolute():  # earlier versions return `~/.cache`
            return folder / inside
    raise CacheError(f"this user has no home folder: set {variable} to a folder")


def cache_folder() -> Path:
    """The user's cache, made if absent; `LENET_BENCH_CACHE` moves it.

    Raises:
        CacheError: it cannot be made.
    """
    folder = user_folder("cache", "LENET_BENCH_CACHE")
    if not is_text(Path(os.path.realpath(folder))):
        raise CacheError(f"the path {folder} of the cache is not UTF-8: set LENET_BENCH_CACHE to one that is")
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def locked(name: str) -> Iterator[Path]:
    """The cache's folder `name`, made if absent, for this thread alone until the context ends.

    Raises:
        CacheError: the cache cannot be written, or another process holds the lock for `LOCK_SECONDS`.
    """
    folder = cache_folder()
    with _writing(folder):
        try:
            lock = _lock(folder, name)
        except TimeoutError as error:
            raise CacheError(f"another process has held {folder / name}.lock for {LOCK_SECONDS:g} s: end it") from error
        try:
            (folder / name).mkdir(exist_ok=True)
            yield folder / name
        finally:
            lock.release()


def unused(folder: Path, name: str) -> Lock | None:
    """The lock of the entry `name` of the cache `folder`; None while another process makes it.

    Raises:
        OSError: the lock's file cannot be made.
    """
    return _locking(folder, name, alone)


def _lock(folder: Path, name: str) -> Lock:
    def wait(path: Path, *, required: bool) -> Lock:
        attempt = functools.partial(alone, path, required=required)
        return wait_for(attempt, path, "makes", str(folder / name), seconds=LOCK_SECONDS)

    return _locking(folder, name, wait)


def _locking(folder: Path, name: str, take: Callable[..., Taken]) -> Taken:
    """The lock of an entry; where the cache's file system has none, as a cluster's may, one in the temporary folder.

    That one excludes only the processes of this machine.
    """
    try:
        return take(folder / f"{name}.lock", required=True)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    digest = hashlib.sha256(os.fsencode(folder.resolve() / name)).hexdigest()[:16]
    return take(Path(tempfile.gettempdir()) / f"lenet-bench-{os.getuid()}-{digest}.lock", required=False)


def _writing(folder: Path) -> contextlib.AbstractContextManager[None]:
    return failing_as(CacheError, f"the cache {folder} cannot be written", "set LENET_BENCH_CACHE to another folder")
