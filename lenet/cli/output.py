"""Printing a table, or writing it to a file; the progress of a recomputation."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenet.cli.options import choice

if TYPE_CHECKING:
    from lenet.commands.recompute import Progress
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


def put(text: str, form: str, output: Path | None = None) -> None:
    """Print the text, or write it to a file, or through a link, a pipe or a device.

    The form `terminal` has the encoding of the terminal; every other is a document, which is UTF-8 wherever it goes.

    Raises:
        StoreError: it cannot be written.
    """
    from lenet.files.text import write_output

    if output is not None:
        write_output(output, text)
        return
    if form != "terminal" and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors=sys.stdout.errors)
    sys.stdout.write(text)


@contextmanager
def recomputing(quiet: bool) -> Iterator[Progress]:
    """Show how far trainings are recomputed, as a bar for each on a terminal's standard error."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from lenet.report.layout import shortened
    from lenet.report.progress.choice import error_console, redrawn

    console = error_console(quiet)
    words = TextColumn("recomputing {task.description}", markup=False)
    columns = (words, BarColumn(20), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not redrawn(console)) as bars:
        tasks: dict[str, Any] = {}

        def progress(training: str, done: int, wanted: int) -> None:
            if training not in tasks:  # it names a dataset, which may be a stranger's
                tasks[training] = bars.add_task(shortened(training, 48), total=wanted)
            bars.update(tasks[training], completed=done, total=wanted)

        yield progress
