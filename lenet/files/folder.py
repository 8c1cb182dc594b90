"""A stranger's folder, listed and read without trust: no link followed, only regular files opened, sizes capped."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lenet.errors import reason
from lenet.files.plain import open_plain, read_plain

MAX_FILES = 100_000
BLOCK_BYTES = 1 << 20
MAX_BYTES = 4 * 2**30
"""Largest event log that is read, and largest other file that is not reported."""

IGNORED = frozenset({".lock"})
"""Files of a run that hold nothing: never opened, never reported."""

PLAIN_NAME = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._+=@-]{0,199}")


@dataclass
class Folder:
    """What is in a folder: regular files by their relative name, and what else is there."""

    root: Path
    files: dict[str, int] = field(default_factory=dict)
    """Bytes of each regular file."""
    faults: list[tuple[str, str]] = field(default_factory=list)
    """Name of each other entry, and what is wrong with it."""

    def read(self, name: str, max_bytes: int) -> bytes:
        """The content of one of `files`.

        Raises:
            OSError: it is absent by now, became a link, cannot be read or is larger than `max_bytes`.
        """
        return read_plain(self.root / name, max_bytes)

    def lines(self, name: str, longest: int) -> Iterator[bytes]:
        """The lines of one of `files`; one that is longer than `longest` bytes comes in parts.

        Raises:
            OSError: it cannot be read.
        """
        with os.fdopen(open_plain(self.root / name), "rb") as file:
            yield from iter(lambda: file.readline(longest), b"")

    def sha256(self, name: str) -> str:
        """The digest of one of `files`, in hexadecimal.

        Raises:
            OSError: it cannot be read.
        """
        digest = hashlib.sha256()
        with os.fdopen(open_plain(self.root / name), "rb") as file:
            for block in iter(lambda: file.read(BLOCK_BYTES), b""):
                digest.update(block)
        return digest.hexdigest()


def scan(root: Path) -> Folder:
    """List everything below `root` without opening a file."""
    found = Folder(root)
    waiting = [""]
    seen = 0
    while waiting:
        inside = waiting.pop()
        try:
            with os.scandir(root / inside) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            found.faults.append((inside or ".", f"cannot be read: {reason(error)}"))
            continue
        for entry in listed:
            seen += 1
            if seen > MAX_FILES:
                found.faults.append((inside or ".", f"the folder holds more than {MAX_FILES} files"))
                return found
            name = f"{inside}/{entry.name}" if inside else entry.name
            if name in IGNORED:
                continue
            if not PLAIN_NAME.fullmatch(entry.name):
                found.faults.append((ascii(name)[1:-1], "is not a name that a run gives a file"))
                continue
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                found.faults.append((name, "is a link: a run has none"))
            elif stat.S_ISDIR(status.st_mode):
                waiting.append(name)
            elif not stat.S_ISREG(status.st_mode):
                found.faults.append((name, "is neither a file nor a folder"))
            elif status.st_size > MAX_BYTES:
                found.faults.append((name, f"is larger than {MAX_BYTES >> 30} GiB"))
            else:
                found.files[name] = status.st_size
    return found
