"""`lenet-bench run`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from lenet.errors import FAILED, INTERRUPTED, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from lenet.cases.case import Case
    from lenet.commands.run import Run
    from lenet.commands.sampling import Goal
    from lenet.engine import Engine, Observer
    from lenet.store.record import Record


def run(
    preset: Annotated[str | None, typer.Option(help="A named matrix: quick (default), standard, full.")] = None,
    matrix: Annotated[Path | None, typer.Option(help="A matrix as a TOML file.")] = None,
    framework: Annotated[str | None, typer.Option(help="mindspore,pytorch")] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu,gpu,ascend, or auto: those this machine seems to have.")
    ] = None,
    mode: Annotated[str | None, typer.Option(help="pynative,graph,jit")] = None,
    batch_size: Annotated[str | None, typer.Option(help="Batch sizes, with commas.")] = None,
    epochs: Annotated[str | None, typer.Option(help="Train that many whole epochs, judged after each.")] = None,
    dataset: Annotated[str | None, typer.Option(help="mnist, digits, or auto: mnist where it can be had.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="A folder with data of MNIST's shape.")] = None,
    pipeline: Annotated[
        str | None, typer.Option(help="tutorial, or cached: decoded once, with the same values in the same order.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="default, tuned, or settings as onednn_isa=AVX2+launch_blocking.")
    ] = None,
    world_size: Annotated[str | None, typer.Option(help="Processes that train together, as 1,2,4.")] = None,
    scaling: Annotated[str | None, typer.Option(help="strong (share the batch), weak (a batch each)")] = None,
    seed: Annotated[str | None, typer.Option(help="Seeds, with commas.")] = None,
    repeat: Annotated[str | None, typer.Option(help="Processes a case, interleaved in rounds.")] = None,
    versions: Annotated[
        str | None, typer.Option(help="Releases as 2.7.0,2.10.0, each in an environment of its own.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="Add processes until every 95% interval is within that, as 3%.")
    ] = None,
    budget: Annotated[float, typer.Option(min=1, help="Seconds after which --until stops.")] = 1800.0,
    output: Annotated[Path | None, typer.Option(help="The run's folder (default results/run-TIME-NAME).")] = None,
    resume: Annotated[Path | None, typer.Option(help="A run to go on with: what is missing or stale is done.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what --resume would do.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Resume: also what failed.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Resume: everything again.")] = False,
    busy: Annotated[str, typer.Option(help="When another run measures on the device: wait or refuse.")] = "wait",
    timeout: Annotated[float | None, typer.Option(min=0.1, help="Seconds that a case may take.")] = None,
    silence_timeout: Annotated[float, typer.Option(min=0.1, help="Seconds without a sign of life.")] = 600.0,
    engine: Annotated[str, typer.Option(help="local, or ray: over a cluster's nodes (RAY_ADDRESS).")] = "local",
    cann: Annotated[Path | None, typer.Option(help="CANN's set_env.sh, to source for the workers.")] = None,
    baseline: Annotated[str | None, typer.Option(help="Compare with the rows that have FIELD=VALUE,…")] = None,
    with_host: Annotated[bool, typer.Option("--with-host", help="Put this host's name into the run.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Carry a matrix of trainings out and show it as a table."""
    from rich.console import Console

    from lenet.cli.data import find
    from lenet.cli.quantity import share
    from lenet.commands import run as runs
    from lenet.commands.sampling import Goal
    from lenet.engine import TimeLimits, available
    from lenet.engine import choose as choose_engine
    from lenet.engine.busy import choose
    from lenet.engine.environments.releases import prepare
    from lenet.report.table.baseline import parse
    from lenet.report.text.resume import resume_text
    from lenet.store.freshness import outstanding

    console = Console(stderr=True, quiet=quiet)
    when_busy = choose(busy)
    if baseline is not None:
        parse(baseline)
    available(engine)
    if cann is not None:
        from lenet.machine.devices.cann import source

        os.environ.update(source(cann))

    def make_environments(cases: Sequence[Case]) -> None:
        if engine == "local":  # with Ray each node makes its own
            prepare(cases, lambda text: console.print(text, markup=False, soft_wrap=True))

    goal = Goal(share("--until", until), budget) if until is not None else None
    spanning = {
        "preset": preset,
        "matrix": matrix,
        "framework": framework,
        "device": device,
        "mode": mode,
        "batch-size": batch_size,
        "epochs": epochs,
        "dataset": dataset,
        "pipeline": pipeline,
        "profile": profile,
        "world-size": world_size,
        "scaling": scaling,
        "seed": seed,
        "repeat": repeat,
        "versions": versions,
        "output": output,
    }
    if resume is not None:
        named = [f"--{name}" for name, value in spanning.items() if value is not None]
        if named:
            raise UsageError(f"--resume goes on with a run as it was asked for: leave {', '.join(named)} away")
        if dry_run:
            seen = runs.look(resume, lambda name: find(name, data_dir, console)).states(engine == "ray")
            print(resume_text(seen, retry_failed=retry_failed, force=force))
            return
        asked = runs.resume(resume, lambda name: find(name, data_dir, console))
    else:
        if dry_run or retry_failed or force:
            raise UsageError("--dry-run, --retry-failed and --force need a run to go on with: name it with --resume")
        if preset is not None and matrix is not None:
            raise UsageError("--preset and --matrix both name a matrix: give one of them")
        from lenet.cases.presets import load_file, load_preset, override
        from lenet.machine.card import describe, present_devices, with_host_name

        chosen = load_file(matrix) if matrix is not None else load_preset(preset or "quick")
        if device is None and "device_targets" not in chosen.model_fields_set:
            device = "auto"
        chosen = override(
            chosen,
            framework=framework,
            device=",".join(present_devices()) if device == "auto" else device,
            mode=mode,
            batch_size=batch_size,
            epochs=epochs,
            dataset=dataset,
            pipeline=pipeline,
            profile=profile,
            seed=seed,
            repeat=repeat,
            world_size=world_size,
            scaling=scaling,
            versions=versions,
        )
        cases = chosen.cases()
        make_environments(cases)  # before the run is begun: a release that cannot be installed leaves no folder
        card = with_host_name(describe()) if with_host else None
        asked = runs.begin(cases, lambda name: find(name, data_dir, console), output, matrix=chosen, machine=card)
    cases = outstanding(asked.states(engine == "ray"), retry_failed=retry_failed, force=force)
    make_environments(cases)
    limits = TimeLimits(timeout, silence_timeout)

    def make_engine(observer: Observer) -> Engine:
        return choose_engine(engine, limits, observer, when_busy)

    again = f"lenet-bench run --resume {asked.store.path}" + (f" --engine {engine}" if engine != "local" else "")
    raise typer.Exit(_carry_out(asked, cases, make_engine, goal, baseline, console, again))


def _carry_out(
    asked: Run,
    cases: list[Case],
    make_engine: Callable[[Observer], Engine],
    goal: Goal | None,
    baseline: str | None,
    console: Console,
    again: str,
) -> int:
    """Run these cases, then more until the goal is reached; show the table; the exit code.

    `again` is the command that goes on with the run.
    """
    import time

    from lenet.commands.sampling import sample_until
    from lenet.report.progress.observers import LiveObserver, PlainObserver

    store = asked.store
    done = len(store.manifest.cases) - len(cases)
    kept = f", {done} done before" if done else ""
    matrix = store.manifest.matrix
    for line in (f"{matrix.name}: {len(cases)} cases{kept} → {store.path}", matrix.description or matrix.span):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    began = time.monotonic()

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    def measure(observer: PlainObserver) -> None:
        engine = make_engine(observer)
        engine.run(cases, asked.datasets, store)
        if goal is not None:
            sample_until(asked, engine, goal, say, began)

    signal.signal(signal.SIGTERM, _interrupt)
    if cases:
        asked.go_on_here()
    try:
        if console.is_terminal and not console.quiet:
            with LiveObserver(console, asked.datasets, store.manifest.cases, store.records()) as live:
                measure(live)
        else:
            measure(PlainObserver(console))
    except KeyboardInterrupt:
        intact = len(store.manifest.cases) - len(store.missing())
        print(
            f"stopped: {intact} of {len(store.manifest.cases)} records are intact; go on with: {again}",
            file=sys.stderr,
        )
        return INTERRUPTED
    from lenet.report import render

    print(render(asked.rows(), "terminal", baseline))
    asked.write_tables(baseline)
    print(f"records and tables: {store.path}")
    return _verdict(store.records())


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _verdict(records: list[Record]) -> int:
    """0 when every case that could run ended well, a plateau counted as an end, and at least one could."""
    from lenet.store.record import Status

    good = (Status.OK, Status.PLATEAU)
    if not any(record.status in good for record in records):
        print("lenet-bench: no case could be carried out; the table's notes say why", file=sys.stderr)
        return FAILED
    if any(record.status not in (*good, Status.UNAVAILABLE) for record in records):
        print("lenet-bench: some cases failed; the table's notes say why", file=sys.stderr)
        return FAILED
    return 0
