"""A stranger's folder, read without trust: no link followed, nothing but plain files opened, sizes capped."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

MOST_FILES = 100_000
MOST_BYTES = 4 * 2**30
"""Largest event log that is read, and largest other file that is not called odd."""

OURS = frozenset({".lock"})
"""Files that a run has beside what it says: never opened, never odd."""

PLAIN_NAME = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._+=@-]{0,199}")


@dataclass
class Folder:
    """What is in a folder: plain files by their relative name, and what is not as it should be, by name."""

    root: Path
    files: dict[str, int] = field(default_factory=dict)
    """Bytes of each plain file."""
    odd: list[tuple[str, str]] = field(default_factory=list)

    def open(self, name: str) -> int:
        """A descriptor of a plain file found before.

        Raises:
            OSError: it is gone, became a link or cannot be read.
        """
        return os.open(self.root / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)

    def read(self, name: str, most: int) -> bytes:
        """A file's content.

        Raises:
            ValueError: it is larger than `most` bytes.
            OSError: it cannot be read.
        """
        with os.fdopen(self.open(name), "rb") as file:
            data = file.read(most + 1)
        if len(data) > most:
            raise ValueError(f"is larger than {most >> 20} MiB")
        return data

    def lines(self, name: str, longest: int) -> Iterator[bytes]:
        """A file's lines; one that is longer than `longest` comes in parts.

        Raises:
            OSError: it cannot be read.
        """
        with os.fdopen(self.open(name), "rb") as file:
            yield from iter(lambda: file.readline(longest), b"")


def look(root: Path) -> Folder:
    """Everything below `root`, looked at and not opened."""
    found = Folder(root)
    waiting = [""]
    seen = 0
    while waiting:
        inside = waiting.pop()
        try:
            with os.scandir(root / inside) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            found.odd.append((inside or ".", f"cannot be read: {error.strerror}"))
            continue
        for entry in listed:
            seen += 1
            if seen > MOST_FILES:
                found.odd.append((inside or ".", f"the folder holds more than {MOST_FILES} files"))
                return found
            name = f"{inside}/{entry.name}" if inside else entry.name
            if name in OURS:
                continue
            if not PLAIN_NAME.fullmatch(entry.name):
                found.odd.append((ascii(name)[1:-1], "is no name that a run gives a file"))
                continue
            what = entry.stat(follow_symlinks=False)
            if stat.S_ISLNK(what.st_mode):
                found.odd.append((name, "is a link: a run holds none"))
            elif stat.S_ISDIR(what.st_mode):
                waiting.append(name)
            elif not stat.S_ISREG(what.st_mode):
                found.odd.append((name, "is neither a file nor a folder"))
            elif what.st_size > MOST_BYTES:
                found.odd.append((name, f"is larger than {MOST_BYTES >> 30} GiB"))
            else:
                found.files[name] = what.st_size
    return found
