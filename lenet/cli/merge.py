"""`lenet-bench merge`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lenet.cli.options import OUTPUT, folder, option
from lenet.errors import FAILED


def merge(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Runs, or merged stores.")],
    output: Annotated[
        Path,
        option(
            OUTPUT,
            "The merged store; an existing one is extended.",
            "--output",
            "-o",
            metavar="FOLDER",
            callback=folder,
        ),
    ],
) -> None:
    """Collect runs of several machines in one store; exit 1 if copies of a run disagree."""
    from lenet.analysis.merge import repeated
    from lenet.commands import merge as command
    from lenet.report.layout import wrapped

    merged = command.merge(runs, output)
    conflicts = 0
    for name, run in sorted(merged.items()):
        machine = run.manifest.machine.summary
        cases = f"{len(run.records)} of {len(run.manifest.cases)} cases"
        print(wrapped(f"{output / 'runs' / name}: {cases}, {machine}", rest="  "))
        for case_id in run.conflicts():
            conflicts += 1
            print(wrapped(f"conflict: {name}: {case_id}: its copies differ; all are in conflicts/"), file=sys.stderr)
    for each in repeated(merged.values()):
        print(wrapped(f"note: {each.machine} measured {each.case} in {len(each.runs)} runs; all are kept"))
    machines = {machine for run in merged.values() for machine in (run.manifest.machine.id, *run.cards)}
    print(wrapped(f"{len(merged)} runs of {len(machines)} machines: {output}"))
    if conflicts:
        raise typer.Exit(FAILED)
