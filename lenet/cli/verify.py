"""`lenet-bench verify`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lenet.errors import FAILED


def verify(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run or a merged store.")],
) -> None:
    """Derive every figure of a run again from its raw events; exit 1 if one is wrong."""
    from lenet.commands import verify as command
    from lenet.report.text.verify import verify_text
    from lenet.store.manifest import run_folders

    refused = False
    for folder in run_folders(run):
        result = command.verify(folder)
        refused |= bool(result.violations)
        prefix = "" if folder == run else f"{folder.relative_to(run)}/"
        violations = [f"{prefix}{each}" for each in result.violations]
        text = verify_text(str(folder), violations, result.remarks, result.unread, result.records, result.events)
        sys.stdout.write(text)
    if refused:
        raise typer.Exit(FAILED)
