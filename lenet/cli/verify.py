"""`lenet-bench verify`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lenet.cli import options
from lenet.errors import FAILED


def verify(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run or a merged store.")],
    form: options.TextFormat = "terminal",
) -> None:
    """Derive every figure of a run again from its raw events; exit 1 if one is wrong."""
    from lenet.commands import verify as command
    from lenet.report.table.forms import as_json
    from lenet.report.text.verify import verify_text
    from lenet.store.manifest import run_folders

    options.choice("--format", form, options.TEXT_FORMATS)
    results = {folder: command.verify(folder) for folder in run_folders(run)}
    if form == "json":
        sys.stdout.write(as_json([{"run": str(folder), **asdict(result)} for folder, result in results.items()]))
    else:
        for folder, result in results.items():
            prefix = "" if folder == run else f"{folder.relative_to(run)}/"
            violations = [f"{prefix}{each}" for each in result.violations]
            text = verify_text(str(folder), violations, result.remarks, result.unread, result.records, result.events)
            sys.stdout.write(text)
    if any(result.violations for result in results.values()):
        raise typer.Exit(FAILED)
