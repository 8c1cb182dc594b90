"""`lenet-bench tune`."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Annotated

import typer

from lenet.errors import FAILED, UsageError


def tune(
    framework: Annotated[str, typer.Option(help="mindspore,pytorch")] = "mindspore",
    device: Annotated[str, typer.Option(help="cpu,gpu,ascend")] = "cpu",
    mode: Annotated[str, typer.Option(help="pynative,graph,jit; each is tuned in turn.")] = "graph",
    batch_size: Annotated[str, typer.Option(help="Batch sizes, with commas.")] = "32",
    dataset: Annotated[str, typer.Option(help="mnist, digits, or auto: mnist where it can be had.")] = "auto",
    data_dir: Annotated[Path | None, typer.Option(help="A folder with data of MNIST's shape.")] = None,
    budget: Annotated[float, typer.Option(min=1, help="Seconds for each device, mode and batch size.")] = 240.0,
    output: Annotated[Path | None, typer.Option(help="The run's folder (default results/run-TIME-tune).")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that one measurement may take.")] = 120.0,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Find the fastest runtime profile for this machine and keep it for `--profile tuned`."""
    from rich.console import Console

    from lenet.cases.matrix import Matrix
    from lenet.cases.presets import override
    from lenet.cli.data import find
    from lenet.commands import tune as tuning
    from lenet.engine import TimeLimits
    from lenet.engine.local import LocalEngine
    from lenet.report.text.tune import tuning_text

    if "," in dataset:
        raise UsageError(f"--dataset {dataset}: a profile is tuned on one dataset; name one")
    console = Console(stderr=True, quiet=quiet)
    wanted = override(Matrix(), framework=framework, device=device, mode=mode, batch_size=batch_size, dataset=dataset)
    run = tuning.prepare(wanted, lambda name: find(name, data_dir, console), output)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the worker too, and keeps what is measured
    began = time.monotonic()

    def tell(text: str) -> None:
        line = f"[{time.monotonic() - began:4.0f} s] {text}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    failed = False
    try:
        for tuned in tuning.tune(run, budget, tell, LocalEngine(TimeLimits(timeout))):
            print(tuning_text(tuned.case, tuned.outcome, tuning.TRACE_STEPS, tuning.TRACE_TOLERANCE))
            failed |= tuned.saved is None
            if tuned.path is not None:
                print(f"kept for --profile tuned: {tuned.path}\n", flush=True)
    finally:
        console.print(
            f"every measurement is a record in {run.store.path}", markup=False, highlight=False, soft_wrap=True
        )
    if failed:
        raise typer.Exit(FAILED)
