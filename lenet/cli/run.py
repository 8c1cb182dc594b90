"""`lenet-bench run`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from lenet.errors import FAILED, INTERRUPTED, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from lenet.engine import Limits
    from lenet.record import Record
    from lenet.run import Run


def run(
    preset: Annotated[str | None, typer.Option(help="A named matrix: quick (default), standard, full.")] = None,
    matrix: Annotated[Path | None, typer.Option(help="A matrix as a TOML file.")] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu,gpu,ascend, or auto: those this machine seems to have.")
    ] = None,
    mode: Annotated[str | None, typer.Option(help="pynative,graph,jit")] = None,
    batch_size: Annotated[str | None, typer.Option(help="Batch sizes, with commas.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Train that many whole epochs, judged after each.")] = None,
    dataset: Annotated[str | None, typer.Option(help="mnist, digits, or auto: mnist where it can be had.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="A folder with data of MNIST's shape.")] = None,
    profile: Annotated[
        str | None, typer.Option(help="default, or settings as onednn_isa=AVX2+launch_blocking.")
    ] = None,
    seed: Annotated[str | None, typer.Option(help="Seeds, with commas.")] = None,
    repeat: Annotated[int | None, typer.Option(help="Processes a case, interleaved in rounds.")] = None,
    output: Annotated[Path | None, typer.Option(help="The run's folder (default results/run-TIME-NAME).")] = None,
    resume: Annotated[Path | None, typer.Option(help="A run to go on with: only what is missing is done.")] = None,
    timeout: Annotated[float | None, typer.Option(min=0.1, help="Seconds that a case may take.")] = None,
    silence_timeout: Annotated[float, typer.Option(min=0.1, help="Seconds without a sign of life.")] = 600.0,
    baseline: Annotated[str | None, typer.Option(help="Compare with the rows that have FIELD=VALUE,…")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Carry a matrix of trainings out and show it as a table."""
    from rich.console import Console

    from lenet import run as runs
    from lenet.cli.data import find
    from lenet.engine import Limits
    from lenet.report.baseline import parse

    console = Console(stderr=True, quiet=quiet)
    if baseline is not None:
        parse(baseline)
    spanning = {
        "preset": preset,
        "matrix": matrix,
        "device": device,
        "mode": mode,
        "batch-size": batch_size,
        "epochs": epochs,
        "dataset": dataset,
        "profile": profile,
        "seed": seed,
        "repeat": repeat,
        "output": output,
    }
    if resume is not None:
        named = [f"--{name}" for name, value in spanning.items() if value is not None]
        if named:
            raise UsageError(f"--resume goes on with a run as it was asked for: leave {', '.join(named)} away")
        asked = runs.resume(resume, lambda name: find(name, data_dir, console))
    else:
        if preset is not None and matrix is not None:
            raise UsageError("--preset and --matrix both name a matrix: give one of them")
        from lenet.machine import present_devices
        from lenet.matrix import load_file, load_preset, override

        chosen = load_file(matrix) if matrix is not None else load_preset(preset or "quick")
        if device is None and "device_targets" not in chosen.model_fields_set:
            device = "auto"
        chosen = override(
            chosen,
            device=",".join(present_devices()) if device == "auto" else device,
            mode=mode,
            batch_size=batch_size,
            epochs=epochs,
            dataset=dataset,
            profile=profile,
            seed=seed,
            repeat=repeat,
        )
        asked = runs.begin(chosen, lambda name: find(name, data_dir, console), output)
    raise typer.Exit(_carry_out(asked, Limits(timeout, silence_timeout), baseline, console))


def _carry_out(asked: Run, limits: Limits, baseline: str | None, console: Console) -> int:
    """Run what is missing, show the table; the exit code."""
    from lenet.engine.local import LocalEngine
    from lenet.progress import LiveObserver, PlainObserver

    store, cases = asked.store, asked.store.missing()
    done = len(store.manifest.cases) - len(cases)
    kept = f", {done} done before" if done else ""
    matrix = store.manifest.matrix
    for line in (f"{matrix.name}: {len(cases)} cases{kept} → {store.path}", matrix.description or matrix.span):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        if console.is_terminal and not console.quiet:
            with LiveObserver(console, asked.datasets, store.manifest.cases, store.records()) as live:
                LocalEngine(limits, live).run(cases, asked.datasets, store)
        else:
            LocalEngine(limits, PlainObserver(console)).run(cases, asked.datasets, store)
    except KeyboardInterrupt:
        intact = len(store.manifest.cases) - len(store.missing())
        print(
            f"stopped: {intact} of {len(store.manifest.cases)} records are intact; "
            f"go on with: lenet-bench run --resume {store.path}",
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
    from lenet.record import Status

    good = (Status.OK, Status.PLATEAU)
    if not any(record.status in good for record in records):
        print("lenet-bench: no case could be carried out; the table's notes say why", file=sys.stderr)
        return FAILED
    if any(record.status not in (*good, Status.UNAVAILABLE) for record in records):
        print("lenet-bench: some cases failed; the table's notes say why", file=sys.stderr)
        return FAILED
    return 0
