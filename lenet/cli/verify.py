"""`lenet-bench verify`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lenet.cli import options
from lenet.cli.options import MEASUREMENT, option
from lenet.errors import FAILED

if TYPE_CHECKING:
    from lenet.analysis.training import RecordedTraining
    from lenet.store.proof import TrainingProof


def verify(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run, a folder of runs, or the file of a submission.")],
    steps: Annotated[
        int, option(MEASUREMENT, "Steps of each training to recompute; 0: none.", metavar="N", min=0, max=1_000_000)
    ] = 100,
    data_dir: options.DataDir = None,
    allowed: options.AllowedSigners = None,
    form: options.TextFormat = "terminal",
    quiet: options.Quiet = False,
) -> None:
    """Derive every figure of a run again from its raw events, and recompute its trainings; exit 1 if one is wrong.

    The trainings are recomputed without a framework and a device. That needs the data: --data-dir, or the cache.
    """
    from lenet.cli.output import put, recomputing
    from lenet.commands import verify as command
    from lenet.commands.recompute import recompute
    from lenet.dataset import at_hand
    from lenet.report.table.forms import as_json
    from lenet.report.text.verify import verify_text
    from lenet.store.manifest import run_folders
    from lenet.store.submission import is_submission, unpacked

    options.choice("--format", form, options.TEXT_FORMATS)
    options.existing("--allowed-signers", allowed)
    with recomputing(quiet) as progress, unpacked(run) if is_submission(run) else nullcontext(run) as root:

        def trainings(claims: Sequence[RecordedTraining]) -> Iterator[tuple[RecordedTraining, TrainingProof]]:
            return recompute(claims, lambda card: at_hand(card, data_dir), steps, progress)

        wanted = trainings if steps else None
        results = {
            run / folder.relative_to(root): command.verify(folder, wanted, allowed) for folder in run_folders(root)
        }
    if form == "json":
        plain = {folder: asdict(result) for folder, result in results.items()}
        for each in plain.values():
            each["trainings"] = {name: proof.model_dump(mode="json") for name, proof in each["trainings"].items()}
        put(as_json([{"run": str(folder), **each} for folder, each in plain.items()]), form)
    else:
        for folder, result in results.items():
            inside = "" if folder == run else f"{folder.relative_to(run)}/"
            sys.stdout.write(verify_text(str(folder), result, inside))
    if any(result.violations for result in results.values()):
        raise typer.Exit(FAILED)
