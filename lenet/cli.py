"""The `lenet-bench` command: verbs only. What they do lives in the other rooms and is imported when a verb needs it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from lenet import __version__
from lenet.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from lenet.case import Matrix
    from lenet.dataset import Dataset
    from lenet.record import Record
    from lenet.store import Store

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="One LeNet training, the same on every MindSpore device, mode and batch size.",
)

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130

CommandLineError: type[Exception] = typer.BadParameter.__mro__[2]
"""What typer raises for a command line that it cannot read: click's ClickException, or typer's own copy of it."""


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"lenet-bench {__version__}")
        raise typer.Exit


@app.callback()
def _callback(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Say it.")] = False,
) -> None:
    del version


@app.command()
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
        store, datasets = _resumed(resume, data_dir, console)
    else:
        if preset is not None and matrix is not None:
            raise UsageError("--preset and --matrix both name a matrix: give one of them")
        from lenet.matrix import load_file, load_preset, override

        chosen = load_file(matrix) if matrix is not None else load_preset(preset or "quick")
        if device is None and "device_targets" not in chosen.model_fields_set:
            device = "auto"
        chosen = override(
            chosen,
            device=_present_devices() if device == "auto" else device,
            mode=mode,
            batch_size=batch_size,
            epochs=epochs,
            dataset=dataset,
            profile=profile,
            seed=seed,
            repeat=repeat,
        )
        store, datasets = _created(chosen, data_dir, output, console)
    raise typer.Exit(_carry_out(store, datasets, Limits(timeout, silence_timeout), baseline, console))


@app.command()
def table(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders that `run` wrote.")],
    form: Annotated[str | None, typer.Option("--format", help="terminal, github, csv, json, html")] = None,
    baseline: Annotated[str | None, typer.Option(help="Compare with the rows that have FIELD=VALUE,…")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write there instead of printing.")] = None,
) -> None:
    """Show the records of runs side by side."""
    from lenet.report import FORMATS, render, rows
    from lenet.store import Store, write_atomically

    wanted = next((known for known in FORMATS if known == form), None)
    if form is not None and wanted is None:
        raise UsageError(f"--format {form!r}: choose from {', '.join(FORMATS)}")
    if wanted is None:
        wanted = "terminal" if output is None and sys.stdout.isatty() else "github"
    found = []
    for folder in runs:
        store = Store.open(folder)
        found += rows(store.records(), store.path.resolve().name)
    text = render(found, wanted, baseline)
    if output is None:
        sys.stdout.write(text)
    else:
        write_atomically(output, text)


def _present_devices() -> str:
    """The device targets that this machine seems to have, without importing a framework."""
    found = ["cpu"]
    if shutil.which("nvidia-smi") or Path("/dev/nvidiactl").exists():
        found.append("gpu")
    if shutil.which("npu-smi") or Path("/dev/davinci_manager").exists():
        found.append("ascend")
    return ",".join(found)


def _resolve(name: str, data_dir: Path | None, console: Console) -> Dataset:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from lenet.dataset import resolve

    def warn(text: str) -> None:
        print(f"lenet-bench: WARNING: {text}", file=sys.stderr)

    columns = (TextColumn("{task.description}"), BarColumn(20), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        tasks: dict[str, Any] = {}

        def progress(file: str, done: int, total: int | None) -> None:
            if file not in tasks:
                tasks[file] = bars.add_task(file, total=total)
            bars.update(tasks[file], completed=done, total=total)

        return resolve(name, data_dir, progress=progress, warn=warn)


def _created(
    matrix: Matrix, data_dir: Path | None, output: Path | None, console: Console
) -> tuple[Store, dict[str, Dataset]]:
    """A new run with its data found; the matrix then names the data that was found."""
    from datetime import datetime, timezone

    from lenet.machine import describe
    from lenet.store import Store

    found = [_resolve(name, data_dir, console) for name in matrix.datasets]
    datasets = {each.card.name: each for each in found}
    if len(datasets) != len(found):
        raise UsageError(f"--dataset {','.join(matrix.datasets)}: two of them are the same data here; name it once")
    for each in found:
        smallest = min(each.card.training_images, each.card.test_images)
        if max(matrix.batch_sizes) > smallest:
            raise UsageError(
                f"--batch-size {max(matrix.batch_sizes)}: {each.card.name} has a set of {smallest} images; choose less"
            )
    matrix = matrix.model_copy(update={"datasets": tuple(datasets)})
    if output is None:
        stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S")
        output = Path("results") / f"run-{stamp}-{matrix.name}"
    cards = {name: each.card for name, each in datasets.items()}
    return Store.create(output, matrix, matrix.cases(), cards, describe()), datasets


def _resumed(folder: Path, data_dir: Path | None, console: Console) -> tuple[Store, dict[str, Dataset]]:
    """An existing run with the same data as then."""
    from lenet.machine import describe
    from lenet.store import Store

    store = Store.open(folder)
    if store.manifest.machine.id != describe().id:
        raise UsageError(
            f"{folder} was begun on another machine ({store.manifest.machine.summary}): go on there, or begin a new run"
        )
    datasets = {}
    for name, card in store.manifest.datasets.items():
        datasets[name] = _resolve(name, data_dir, console)
        if datasets[name].card.sha256 != card.sha256:
            raise UsageError(
                f"{folder} was begun with other data: {name} was {card.sha256[:12]}… then; begin a new run"
            )
    return store, datasets


def _carry_out(store: Store, datasets: dict[str, Dataset], limits: Any, baseline: str | None, console: Console) -> int:
    """Run what is missing, show the table; the exit code."""
    from lenet.engine.local import LocalEngine
    from lenet.progress import LiveObserver, PlainObserver

    cases = store.missing()
    done = len(store.manifest.cases) - len(cases)
    matrix = store.manifest.matrix
    kept = f", {done} done before" if done else ""
    console.print(
        f"{matrix.name}: {len(cases)} cases{kept} → {store.path}", markup=False, highlight=False, soft_wrap=True
    )
    if matrix.description:
        console.print(matrix.description, markup=False, highlight=False)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        if console.is_terminal and not console.quiet:
            with LiveObserver(console, datasets) as live:
                LocalEngine(limits, live).run(cases, datasets, store)
        else:
            LocalEngine(limits, PlainObserver(console)).run(cases, datasets, store)
    except KeyboardInterrupt:
        intact = len(store.manifest.cases) - len(store.missing())
        print(
            f"stopped: {intact} of {len(store.manifest.cases)} records are intact; "
            f"go on with: lenet-bench run --resume {store.path}",
            file=sys.stderr,
        )
        return INTERRUPTED
    return _show(store, baseline)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _show(store: Store, baseline: str | None) -> int:
    from lenet.report import render, rows

    records = store.records()
    found = rows(records, store.path.resolve().name)
    print(render(found, "terminal", baseline))
    store.write_text("table.md", render(found, "github", baseline))
    store.write_text("table.html", render(found, "html", baseline))
    store.write_text("table.csv", render(found, "csv"))
    store.write_text("table.json", render(found, "json"))
    print(f"records and tables: {store.path}")
    return _verdict(records)


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


def main() -> None:
    """Entry of the command: every foreseen error is one sentence and exit code 2."""
    try:
        raise SystemExit(app(standalone_mode=False) or 0)
    except UsageError as error:
        _complain(str(error))
    except CommandLineError as error:
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        _complain(f"{message.rstrip('.')}: see lenet-bench --help")
    except (KeyboardInterrupt, typer.Abort) as error:
        print("stopped before the first case; nothing was lost", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from error
    except BrokenPipeError as error:
        # The reader of our output has gone, as `| head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from error


def _complain(sentence: str) -> NoReturn:
    print(f"lenet-bench: error: {' '.join(sentence.split())}", file=sys.stderr)
    raise SystemExit(BAD_INPUT)


if __name__ == "__main__":
    main()
