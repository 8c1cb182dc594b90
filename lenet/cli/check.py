"""`lenet-bench check`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lenet.errors import FAILED, INTERRUPTED, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from lenet.analysis.check import Rung
    from lenet.analysis.convergence import Reference
    from lenet.cases.case import RuntimeProfile
    from lenet.cases.matrix import Matrix


def check(
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="[RUN...]", help="Judge these runs instead; nothing is trained.")
    ] = None,
    rung: Annotated[
        str | None, typer.Option(help="repeat,seed,modes,profile,framework,device,learn: only these.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, max=10_000, help="Steps of each traced case.")] = 100,
    tolerance: Annotated[float, typer.Option(min=0, help="Largest relative difference that still holds.")] = 1e-3,
    device: Annotated[str, typer.Option(help="The device that the others are compared with.")] = "cpu",
    batch_size: Annotated[int, typer.Option(help="Batch size.")] = 32,
    seed: Annotated[int, typer.Option(help="Seed.")] = 1,
    dataset: Annotated[str | None, typer.Option(help="mnist, digits, or auto: mnist where it can be had.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="A folder with data of MNIST's shape.")] = None,
    profile: Annotated[str | None, typer.Option(help="The profile that is compared with default.")] = None,
    references: Annotated[
        Path | None, typer.Option("--reference", help="References in the place of the shipped: a folder, or a file.")
    ] = None,
    make_reference: Annotated[
        bool, typer.Option("--make-reference", help="Make references of the RUNs and write them to --output.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The folder of the run, or of the references made.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="terminal, json")] = "terminal",
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Does it learn, is it deterministic: a ladder of short trainings here, or the convergence of runs."""
    from rich.console import Console

    from lenet.analysis.references import read_given, shipped

    if form not in ("terminal", "json"):
        raise UsageError(f"--format {form!r}: choose from terminal, json")
    if make_reference:
        raise typer.Exit(_make(runs or [], output))
    known = read_given(references) if references is not None else shipped()
    if runs:
        if output is not None or rung is not None:
            raise UsageError("with RUNs nothing is trained: leave --output and --rung away")
        raise typer.Exit(_judge(runs, known, form))
    from lenet.cases.matrix import Matrix
    from lenet.cases.presets import override

    console = Console(stderr=True, quiet=quiet)
    matrix = override(
        Matrix(name="check"),
        device=device,
        mode="graph",
        batch_size=str(batch_size),
        dataset=dataset,
        seed=str(seed),
        profile=profile,
    )
    if len(matrix.device_targets) != 1:
        raise UsageError(f"--device {device!r}: the others are compared with one device; name one")
    if len(matrix.profiles) != 1:
        raise UsageError(f"--profile {profile!r}: one profile is compared with default; name one")
    chosen = _rungs(rung)
    other = matrix.profiles[0] if profile is not None else None
    raise typer.Exit(_climb(matrix, chosen, other, known, steps, tolerance, data_dir, output, form, console))


def _rungs(text: str | None) -> list[Rung]:
    from lenet.analysis.check import Rung

    if text is None:
        return list(Rung)
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in [each.value for each in Rung]:
            raise UsageError(f"--rung {name!r}: choose from {', '.join(each.value for each in Rung)}")
    return [Rung(name) for name in names]


def _make(runs: list[Path], output: Path | None) -> int:
    from lenet.analysis import references
    from lenet.store.run import Store

    if not runs or output is None:
        raise UsageError("--make-reference takes the RUNs to make references of, and --output for the folder")
    for reference in references.make([Store.open(folder) for folder in runs]):
        path = references.write(reference, output)
        flagged = references.flagged_seeds(reference)
        print(
            f"{path}: {len(reference.seeds)} seeds, {reference.epochs} epochs; judged by the band of the others, "
            f"{len(flagged)} of them are flagged{': seed ' if flagged else ''}{', '.join(map(str, flagged))}"
        )
    return 0


def _judge(runs: list[Path], known: tuple[Reference, ...], form: str) -> int:
    from lenet.analysis.convergence import assess
    from lenet.report.text.check import convergence_json, convergence_text
    from lenet.store.run import Store

    judged = [(record, assess(record, known)) for folder in runs for record in Store.open(folder).records()]
    if not judged:
        raise UsageError("there is no record to judge: the runs have none yet")
    sys.stdout.write(convergence_json(judged) if form == "json" else convergence_text(judged))
    return FAILED if any(found.status.failed for _, found in judged) else 0


def _climb(
    matrix: Matrix,
    rungs: list[Rung],
    profile: RuntimeProfile | None,
    known: tuple[Reference, ...],
    steps: int,
    tolerance: float,
    data_dir: Path | None,
    output: Path | None,
    form: str,
    console: Console,
) -> int:
    from lenet.analysis.check import evaluate
    from lenet.cases.matrix import Matrix
    from lenet.cli.data import find
    from lenet.commands import check as ladder
    from lenet.commands import run
    from lenet.engine import TimeLimits
    from lenet.engine.local import LocalEngine
    from lenet.machine.card import describe, present_devices
    from lenet.report.progress.observers import LiveObserver, PlainObserver
    from lenet.report.text import check as report

    data = find(matrix.datasets[0], data_dir, console)
    matrix = matrix.model_copy(update={"datasets": (data.card.name,)})
    pairs = ladder.plan(
        ladder.base_case(matrix, steps),
        rungs,
        profile=profile,
        devices=present_devices(),
        dataset=data.card,
        references=known,
    )
    planned = ladder.cases(pairs)
    asked = run.begin(planned, lambda _: data, output, matrix=Matrix.around(planned, "check"))
    pairs = ladder.settled(pairs, asked.store.manifest.cases)
    cases = asked.store.missing()
    console.print(f"check: {len(cases)} short trainings → {asked.store.path}", highlight=False, soft_wrap=True)
    try:
        if console.is_terminal and not console.quiet:
            with LiveObserver(console, asked.datasets) as live:
                LocalEngine(TimeLimits(), live).run(cases, asked.datasets, asked.store)
        else:
            LocalEngine(TimeLimits(), PlainObserver(console)).run(cases, asked.datasets, asked.store)
    except KeyboardInterrupt:
        print(f"stopped; what was done is in {asked.store.path}", file=sys.stderr)
        return INTERRUPTED
    found = evaluate(asked.store, pairs, tolerance, known)
    settings = report.settings(asked.store.records(), describe().usable_cores)
    if form == "json":
        sys.stdout.write(report.results_json(found, settings, tolerance))
    else:
        sys.stdout.write(report.results_text(found, report.settings_text(settings), tolerance))
    if any(each.holds is False for each in found) or not any(each.holds for each in found):
        return FAILED
    return 0
