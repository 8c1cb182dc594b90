"""`lenet-bench verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lenet.errors import FAILED

MOST_SHOWN = 200


def verify(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder that somebody's `run` or `merge` wrote.")],
) -> None:
    """Derive every figure of a run from its raw events again; exit 1 where one is refused."""
    from lenet.commands.verify import verify as judge
    from lenet.report.table.layout import clean
    from lenet.store.run import run_folders

    refused = 0
    for folder in run_folders(run):
        verdict = judge(folder)
        refused += len(verdict.findings)
        prefix = "" if folder == run else f"{folder.relative_to(run)}/"
        for finding in verdict.findings[:MOST_SHOWN]:
            print(clean(f"{prefix}{finding}"))
        if len(verdict.findings) > MOST_SHOWN:
            print(f"… and {len(verdict.findings) - MOST_SHOWN} more")
        for remark in verdict.remarks:
            print(clean(f"note: {remark}"))
        if verdict.unjudged:
            shown = ", ".join(verdict.unjudged[:6]) + (", …" if len(verdict.unjudged) > 6 else "")
            print(clean(f"not judged ({len(verdict.unjudged)} files): {shown}"))
        word = f"refused: {len(verdict.findings)} violations" if verdict.findings else "verified: no violation"
        print(f"{folder}: {word} ({verdict.cases} records, {verdict.events:,} events)")
    raise typer.Exit(FAILED if refused else 0)
