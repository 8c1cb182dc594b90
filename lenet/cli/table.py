"""`lenet-bench table`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lenet.errors import UsageError


def table(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders that `run` or `merge` wrote, or folders of them.")
    ],
    form: Annotated[str | None, typer.Option("--format", help="terminal, github, csv, json, html, mllog")] = None,
    by: Annotated[str | None, typer.Option(help="version: each release against the one before.")] = None,
    baseline: Annotated[str | None, typer.Option(help="Compare with the rows that have FIELD=VALUE,…")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write there instead of printing.")] = None,
) -> None:
    """Show the records of runs side by side."""
    from lenet.cli.output import choose, put
    from lenet.report import render, rows
    from lenet.report.table import mllog, versions
    from lenet.store.manifest import run_folders
    from lenet.store.run import Store

    wanted = None if form == mllog.FORMAT else choose(form, output, mllog.FORMAT)
    if by not in (None, "version"):
        raise UsageError(f"--by {by!r}: tables can be shown by version")
    if by is not None and (baseline is not None or wanted is None):
        raise UsageError("--by version goes with neither --baseline nor --format mllog: leave one away")
    stores = [Store.open(folder) for each in runs for folder in run_folders(each)]
    records = [store.records() for store in stores]
    if wanted is None:
        text = mllog.render([record for each in records for record in each])
    elif by is not None:
        text = versions.render([record for each in records for record in each], wanted)
    else:
        text = render(
            [row for store, each in zip(stores, records, strict=True) for row in rows(each, store.name)],
            wanted,
            baseline,
        )
    put(text, output)
