"""`lenet-bench table`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lenet.cli import options
from lenet.cli.invocation import warn
from lenet.cli.options import OUTPUT, option
from lenet.errors import UsageError


def table(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Runs, or folders that hold runs.")],
    form: Annotated[
        str | None,
        option(OUTPUT, "terminal, github, csv, json, html or mllog.", "--format", metavar="FORMAT"),
    ] = None,
    by: Annotated[
        str | None, option(OUTPUT, "version: compare each release with the one before.", metavar="AXIS")
    ] = None,
    baseline: options.Baseline = None,
    output: options.OutputFile = None,
) -> None:
    """Print the records of runs as one table."""
    from lenet.analysis.checked import checked
    from lenet.analysis.variables import described
    from lenet.cli.output import put, table_format
    from lenet.report import render, rows
    from lenet.report.table import mllog, versions
    from lenet.store.manifest import run_folders
    from lenet.store.run import Store

    wanted = None if form == mllog.FORMAT else table_format(form, output, mllog.FORMAT)
    if by not in (None, "version"):
        raise UsageError(f"--by {by!r}: tables can be shown by version")
    if by is not None and (baseline is not None or wanted is None):
        raise UsageError("--by version cannot be combined with --baseline or --format mllog: omit one of them")
    stores = [Store.open(folder) for each in runs for folder in run_folders(each)]
    records = [store.records() for store in stores]
    for each in described({str(store.path): store.manifest.machine for store in stores}):
        warn(each)
    if wanted is None:
        text = mllog.render([record for each in records for record in each])
    elif by is not None:
        sound = [checked(each, store.proofs()) for store, each in zip(stores, records, strict=True)]
        text = versions.render([record for each in sound for record in each], wanted)
    else:
        text = render(
            [
                row
                for store, each in zip(stores, records, strict=True)
                for row in rows(each, store.name, proofs=store.proofs())
            ],
            wanted,
            baseline,
        )
    put(text, wanted or mllog.FORMAT, output)
