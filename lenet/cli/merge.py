"""`lenet-bench merge`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lenet.cli import options
from lenet.cli.options import OUTPUT, folder, option
from lenet.errors import FAILED, UsageError


def merge(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Runs and merged stores, or submissions.")],
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
    allowed: options.AllowedSigners = None,
) -> None:
    """Collect runs of several machines in one store; exit 1 if copies disagree or a submission is refused.

    The files that `submit` wrote are verified first; their runs are put into FOLDER/MACHINE/, as they are in results/.
    """
    from lenet.analysis.merge import repeated
    from lenet.commands import merge as command
    from lenet.report.layout import wrapped
    from lenet.report.table.words import count
    from lenet.store.submission import is_submission

    options.existing("--allowed-signers", allowed)
    submissions = [each for each in runs if is_submission(each)]
    if submissions:
        if len(submissions) < len(runs):
            raise UsageError("submissions and folders of runs have different places: merge one kind at a time")
        _admit(submissions, output, allowed)
        return
    if allowed is not None:
        raise UsageError("--allowed-signers is for submissions: merging folders writes new files, which nobody signed")
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
    print(wrapped(f"{count(len(merged), 'run')} of {count(len(machines), 'machine')}: {output}"))
    if conflicts:
        raise typer.Exit(FAILED)


def _admit(submissions: list[Path], output: Path, allowed: Path | None) -> None:
    from lenet.commands.merge import admit
    from lenet.report.layout import wrapped

    refused = 0
    for submission in submissions:
        admission = admit(submission, output, allowed)
        for line in admission.refused:
            print(wrapped(f"{submission}: {line}", rest="  "), file=sys.stderr)
        if admission.folder is None:
            refused += 1
            continue
        signed = f", signed by {admission.signer.text}" if admission.signer is not None else ", not signed"
        print(wrapped(f"{admission.folder}: {'new' if admission.new else 'there already'}{signed}", rest="  "))
    if refused:
        print(wrapped(f"refused: {refused} of {len(submissions)} submissions"), file=sys.stderr)
        raise typer.Exit(FAILED)
