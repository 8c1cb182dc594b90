"""`lenet-bench reproduce`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lenet.errors import FAILED, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from lenet.cases.frameworks import Framework
    from lenet.commands.reproduce import Original
    from lenet.commands.run import Run
    from lenet.engine import TimeLimits


def reproduce(
    source: Annotated[str, typer.Argument(metavar="RUN|RECORD|URL", help="A folder, a record's file, or its https.")],
    case: Annotated[list[str] | None, typer.Option("--case", help="Only this case id; may be repeated.")] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Build an environment of the recorded versions.")] = False,
    data_dir: Annotated[Path | None, typer.Option(help="A folder with the recorded data.")] = None,
    output: Annotated[Path | None, typer.Option(help="The new run's folder.")] = None,
    timeout: Annotated[float | None, typer.Option(min=0.1, help="Seconds that a case may take.")] = None,
    silence_timeout: Annotated[float, typer.Option(min=0.1, help="Seconds without a sign of life.")] = 600.0,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Run recorded cases again here and judge each of their claims: yes, no or cannot tell."""
    from rich.console import Console

    from lenet.analysis.reproduce import Verdict
    from lenet.cli.data import find
    from lenet.commands.reproduce import load, outcome, prepare
    from lenet.engine import TimeLimits
    from lenet.engine.process import worker_command
    from lenet.report.text.reproduce import reproduce_text

    console = Console(stderr=True, quiet=quiet)
    original = load(source)
    records = original.choose(case or ())
    frameworks = [record.case.framework for record in records]
    command = worker_command(_interpreter(original, frameworks, console)) if exact else worker_command()
    run = prepare(records, lambda name: find(name, data_dir, console), output)
    _carry_out(run, TimeLimits(timeout, silence_timeout), command, console)
    judged = outcome(original, records, run)
    run.store.write_text("reproduction.json", judged.model_dump_json(indent=1) + "\n")
    run.write_tables()
    differences = [(each.name, each.then, each.now) for each in judged.differences]
    sys.stdout.write(reproduce_text(judged.claims, differences))
    print(f"records and verdicts: {run.store.path}")
    raise typer.Exit(FAILED if any(claim.verdict is Verdict.NO for claim in judged.claims) else 0)


def _interpreter(original: Original, frameworks: Sequence[Framework], console: Console) -> str:
    from lenet.engine.environments.recorded import build

    if original.machine is None:
        raise UsageError("--exact needs the run's folder: a record by itself does not list its packages")
    with console.status("building the recorded environment"):
        return build(original.machine.packages, original.machine.python, frameworks)


def _carry_out(run: Run, limits: TimeLimits, command: Sequence[str], console: Console) -> None:
    from lenet.engine.local import LocalEngine
    from lenet.report.progress.observers import LiveObserver, PlainObserver

    cases = run.store.missing()
    console.print(f"reproduction: {len(cases)} cases → {run.store.path}", markup=False, highlight=False, soft_wrap=True)
    if console.is_terminal and not console.quiet:
        with LiveObserver(console, run.datasets) as live:
            LocalEngine(limits, live, command).run(cases, run.datasets, run.store)
    else:
        LocalEngine(limits, PlainObserver(console), command).run(cases, run.datasets, run.store)
