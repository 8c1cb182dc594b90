"""`lenet-bench verify`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lenet.errors import FAILED


def verify(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder that somebody's `run` or `merge` wrote.")],
) -> None:
    """Derive every figure of a run from its raw events again; exit 1 where one is refused."""
    from lenet.commands.verify import verify as judge
    from lenet.report.text.verify import verify_text
    from lenet.store.manifest import run_folders

    refused = 0
    for folder in run_folders(run):
        verdict = judge(folder)
        refused += len(verdict.findings)
        prefix = "" if folder == run else f"{folder.relative_to(run)}/"
        findings = [f"{prefix}{finding}" for finding in verdict.findings]
        unread = verdict.unjudged
        sys.stdout.write(verify_text(str(folder), findings, verdict.remarks, unread, verdict.cases, verdict.events))
    raise typer.Exit(FAILED if refused else 0)
