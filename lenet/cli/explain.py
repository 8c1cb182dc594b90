"""`lenet-bench explain`."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Annotated

import typer

from lenet.errors import FAILED, UsageError


def explain(
    target: Annotated[
        Path | None, typer.Argument(metavar="[RUN|RECORD]", help="A run, or RUN/records/ID.json.")
    ] = None,
    case_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="The case of that run.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, gpu or ascend")] = None,
    mode: Annotated[str | None, typer.Option(help="pynative, graph or jit")] = None,
    batch_size: Annotated[str | None, typer.Option(help="One batch size.")] = None,
    pipeline: Annotated[str | None, typer.Option(help="tutorial or cached")] = None,
    profile: Annotated[str | None, typer.Option(help="One runtime profile.")] = None,
    dataset: Annotated[str | None, typer.Option(help="mnist, digits, or auto: mnist where it can be had.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="A folder with data of MNIST's shape.")] = None,
    form: Annotated[str, typer.Option("--format", help="terminal or json")] = "terminal",
    output: Annotated[Path | None, typer.Option(help="The run's folder (default results/run-TIME-explain).")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that one measurement may take.")] = 120.0,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Say where a training step's time goes, what slows it, and what mending it gains."""
    from rich.console import Console

    from lenet.cases.case import Mode
    from lenet.cases.matrix import Matrix
    from lenet.cases.presets import override
    from lenet.cli.data import find
    from lenet.commands import explain as explaining
    from lenet.engine import TimeLimits
    from lenet.engine.local import LocalEngine
    from lenet.machine.card import describe
    from lenet.machine.installed import framework_version
    from lenet.report.text.explain import explanation_text

    if form not in ("terminal", "json"):
        raise UsageError(f"--format {form!r}: choose terminal or json")
    options = {
        "device": device,
        "mode": mode,
        "batch-size": batch_size,
        "pipeline": pipeline,
        "profile": profile,
        "dataset": dataset,
    }
    console = Console(stderr=True, quiet=quiet)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the worker too, and keeps what is measured
    began = time.monotonic()

    def tell(text: str) -> None:
        line = f"[{time.monotonic() - began:4.0f} s] {text}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    if target is not None:
        given = [f"--{name}" for name, value in options.items() if value is not None]
        if given:
            raise UsageError(f"{target} names the case: leave {', '.join(given)} away")
        record = explaining.named(target, case_id)
        asked = record.case
        if record.machine_id != describe().id:
            tell(f"the record is of another machine ({record.machine_id}): what follows is measured on this one")
        if record.summary.throughput is not None:
            tell(f"the record has {record.summary.throughput.median:,.0f} images/s")
    else:
        several = [f"--{name} {value}" for name, value in options.items() if value and "," in value]
        if several:
            raise UsageError(f"{several[0]}: one case is explained at a time; name one value")
        matrix = override(
            Matrix(),
            device=device,
            mode=mode or Mode.GRAPH.value,
            batch_size=batch_size,
            pipeline=pipeline,
            profile=profile,
            dataset=dataset,
        )
        (asked,) = matrix.cases()
    run = explaining.prepare(asked, lambda name: find(name, data_dir, console), output)
    (case,) = run.store.manifest.cases
    limits = TimeLimits(timeout)
    try:
        found = explaining.Explainer(run, LocalEngine(limits), limits, tell).explain(case)
    except explaining.NothingToExplainError as error:
        print(f"{case.label}: {error}")
        raise typer.Exit(FAILED) from error
    finally:
        kept = f"measurements and logs: {run.store.path}"
        console.print(kept, markup=False, highlight=False, soft_wrap=True)
    if form == "json":
        print(found.model_dump_json(indent=1))
    else:
        print(explanation_text(found, framework_version(case.framework) or "unknown"), end="")
