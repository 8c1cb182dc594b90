"""Where a table goes, and in which form: options that `table` and `compare` share."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lenet.errors import UsageError

if TYPE_CHECKING:
    from lenet.report.table.layout import Format


def choose(form: str | None, output: Path | None, *others: str) -> Format:
    """The table's form that was asked for, else a terminal's where a person reads, else a forge's.

    `others` are forms that the verb has besides: they are named where an unknown one is refused.

    Raises:
        UsageError: it is no table's form.
    """
    from lenet.report.table.layout import FORMATS

    if form is None:
        return "terminal" if output is None and sys.stdout.isatty() else "github"
    for known in FORMATS:
        if known == form:
            return known
    raise UsageError(f"--format {form!r}: choose from {', '.join((*FORMATS, *others))}")


def put(text: str, output: Path | None) -> None:
    """Print the text, or write it whole or not at all.

    Raises:
        StoreError: it cannot be written.
    """
    from lenet.files.text import write_atomically

    if output is None:
        sys.stdout.write(text)
    else:
        write_atomically(output, text)
