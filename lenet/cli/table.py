"""`lenet-bench table`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lenet.errors import UsageError


def table(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders that `run` or `merge` wrote.")],
    form: Annotated[str | None, typer.Option("--format", help="terminal, github, csv, json, html")] = None,
    baseline: Annotated[str | None, typer.Option(help="Compare with the rows that have FIELD=VALUE,…")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write there instead of printing.")] = None,
) -> None:
    """Show the records of runs side by side."""
    import gc

    from lenet.durable import write_atomically
    from lenet.report import FORMATS, render, rows
    from lenet.store import Store, run_folders

    wanted = next((known for known in FORMATS if known == form), None)
    if form is not None and wanted is None:
        raise UsageError(f"--format {form!r}: choose from {', '.join(FORMATS)}")
    if wanted is None:
        wanted = "terminal" if output is None and sys.stdout.isatty() else "github"
    gc.disable()  # nothing is thrown away until the end, and looking for it costs more than the table
    found = []
    for folder in (each for named in runs for each in run_folders(named)):
        store = Store.open(folder)
        found += rows(store.records(), store.name)
    text = render(found, wanted, baseline)
    if output is None:
        sys.stdout.write(text)
    else:
        write_atomically(output, text)
