"""Printing a table, or writing it to a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lenet.cli.options import choice

if TYPE_CHECKING:
    from lenet.report.table.forms import Format


def table_format(form: str | None, output: Path | None, *others: str) -> Format:
    """The format of a table; by default that of a terminal if the output is one, else that of GitHub.

    `others` are formats that the command has besides, to be named in a message.

    Raises:
        UsageError: it is not a format of tables.
    """
    from lenet.report.table.forms import FORMATS

    if form is None:
        return "terminal" if output is None and sys.stdout.isatty() else "github"
    choice("--format", form, (*FORMATS, *others))
    return next(known for known in FORMATS if known == form)


def put(text: str, output: Path | None) -> None:
    """Print the text, or write it to a file, or through a link, a pipe or a device.

    Raises:
        StoreError: it cannot be written.
    """
    from lenet.files.text import write_output

    if output is None:
        sys.stdout.write(text)
    else:
        write_output(output, text)
