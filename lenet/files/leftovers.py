"""What lenet-bench keeps outside of runs and can make again: the cache, and temporary folders left behind."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from lenet.errors import reason
from lenet.files.cache import cache_folder, unused

TEMPORARY_PREFIX = "lenet-bench-"
"""Begins the name of every temporary folder."""

LEFT_SECONDS = 3600.0
"""A temporary folder in which nobody changed a file for so long, and no process works, was left by a killed command."""

KINDS = {
    "data": re.compile(r"mnist|digits|folders|(local|sent)-[0-9a-f]{16}"),
    "environments": re.compile(r"environment-[A-Za-z0-9._+-]+"),
    "wheels": re.compile(r"environment-[A-Za-z0-9._+-]+@[A-Za-z0-9._-]+"),
    "stand-ins": re.compile(r"cuda-[0-9.]+"),
}
"""Names of the cache's entries: other files there are not lenet-bench's, and stay."""

REMOVED = re.compile(r"^\.|\.[0-9a-f]{8}$")
"""What the name of an entry gets while it is removed: a half of it must not be taken for whole."""

TEMPORARY = "temporary"


@dataclass(frozen=True)
class Leftover:
    """A folder that can be removed."""

    kind: str
    path: Path
    bytes: int
    kept: str = ""
    """Why it cannot be removed now; empty if it can, or if it was."""


def leftovers() -> list[Leftover]:
    """Everything that is there, by kind and name.

    Raises:
        CacheError: the user has no cache folder, or it cannot be made.
    """
    used = _used()
    found = [*_cached(cache_folder()), *_temporary(Path(tempfile.gettempdir()))]
    return [replace(each, kept=_why_kept(each.path, used)) for each in found]


def remove(found: Leftover) -> Leftover:
    """Remove it, unless it is kept; returns it with the reason if that fails."""
    if found.kept:
        return found
    lock = None
    try:
        if found.kind != TEMPORARY:
            if (lock := unused(found.path.parent, found.path.name)) is None:
                return replace(found, kept="another process makes it")
            found.path.with_name(f"{found.path.name}.lock").unlink(missing_ok=True)
        path = found.path
        if found.kind != TEMPORARY and not REMOVED.match(path.name):
            with _no_rename_across_layers():
                path = path.rename(path.with_name(f".{path.name}.{secrets.token_hex(4)}"))
        shutil.rmtree(path)
    except OSError as error:
        return replace(found, kept=reason(error))
    finally:
        if lock is not None:
            lock.release()
    return found


@contextlib.contextmanager
def _no_rename_across_layers() -> Iterator[None]:
    """Overlay file systems may be unable to rename a folder of an image: it keeps its name while it is removed."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise


def _cached(cache: Path) -> Iterator[Leftover]:
    entries = sorted(cache.iterdir())
    for kind, name in KINDS.items():
        for path in entries:
            if name.fullmatch(REMOVED.sub("", path.name)) and path.is_dir() and not path.is_symlink():
                yield Leftover(kind, path, sum(each.st_size for each in _inside(path)))


def _temporary(folder: Path) -> Iterator[Leftover]:
    for path in sorted(folder.glob(f"{TEMPORARY_PREFIX}*")):
        with contextlib.suppress(OSError):
            status = path.lstat()
            own = not hasattr(os, "getuid") or status.st_uid == os.getuid()
            if path.is_dir() and not path.is_symlink() and own:
                inside = _inside(path)
                changed = max(each.st_mtime for each in (status, *inside))
                if time.time() - changed > LEFT_SECONDS:
                    yield Leftover(TEMPORARY, path, sum(each.st_size for each in inside))


def _inside(folder: Path) -> list[os.stat_result]:
    """What is known of the files in a folder; links are not followed, and what cannot be read is left out."""
    found = []
    for path, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                found.append((Path(path) / name).lstat())
    return found


def _used() -> set[Path]:
    """Where processes work and whose interpreters they run."""
    found: set[Path] = set()
    for process in psutil.process_iter(["cwd", "cmdline"]):
        for text in (process.info["cwd"], *(process.info["cmdline"] or ())[:1]):
            if text:
                found.add(Path(text))
    return found


def _why_kept(folder: Path, used: Collection[Path]) -> str:
    if _is_in(folder, used):
        return "a process works in it"
    if hasattr(os, "getuid") and os.getuid() not in (0, folder.lstat().st_uid):
        return "another user made it"
    return ""


def _is_in(folder: Path, used: Collection[Path]) -> bool:
    folders = {folder, folder.resolve()}
    return any(each in folders or not folders.isdisjoint(each.parents) for each in used)
