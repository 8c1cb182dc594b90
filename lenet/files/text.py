"""Text files of a run: written whole or not at all, read without trust; what fails is a `StoreError`."""

from __future__ import annotations

import contextlib
from pathlib import Path

from lenet.errors import StoreError, failing_as
from lenet.files.plain import read_plain, replace, write_named

MAX_FILE_BYTES = 64 * 2**20
"""Largest manifest or record that is read."""


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all; text is UTF-8.

    Raises:
        StoreError: the folder is read-only, full or absent, or something other than a plain file is there.
    """
    with failing_as(StoreError, f"cannot write {path}", "choose another --output"):
        replace(path, content.encode() if isinstance(content, str) else content)


def write_output(path: Path, content: str | bytes) -> None:
    """Write to a path that the user named: a file, whole or not at all, or through a link, pipe or device.

    Text is UTF-8.

    Raises:
        StoreError: it cannot be written.
    """
    with (
        failing_as(StoreError, f"cannot write {path}", "choose another --output"),
        contextlib.suppress(BrokenPipeError),  # the reader of the pipe has read enough, as `head` does
    ):
        # Text may quote a path that is none.
        write_named(path, content.encode(errors="backslashreplace") if isinstance(content, str) else content)


def make_folder(path: Path) -> None:
    """Make a folder and those around it, unless they exist.

    Raises:
        StoreError: it cannot be made.
    """
    with failing_as(StoreError, f"cannot write {path}", "choose another --output"):
        path.mkdir(parents=True, exist_ok=True)


def read_text(path: Path) -> str:
    """The text of a regular file of at most `MAX_FILE_BYTES`.

    Raises:
        StoreError: it cannot be read, is too large, is a link or a pipe, or is not UTF-8.
    """
    with failing_as(StoreError, f"cannot read {path}"):
        data = read_plain(path, MAX_FILE_BYTES)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise StoreError(f"{path} is not UTF-8 text: not a file of a run") from error
