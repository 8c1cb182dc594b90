"""Is the project itself quick? Each target of the command beside what this machine does.

    python bench/itself.py [--data-dir DIR] [--only start,table,case,throughput]

start: `lenet-bench --help`, the median of several starts. table: `lenet-bench table` over 10,000 records in a process
of its own, and the same over a tenth of them: ten times the records must not take more than ten times the time. case:
what `run` takes for a case beyond the training that the case consists of. throughput: our images/s over those of a
bare loop on the same steps (`bench/overhead.py`). Exit code 1 where a target is missed. A busy machine misses them.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from many_records import CARD, SPEEDS, VERSIONS, made
from overhead import Setting, measure
from tabulate import tabulate

from lenet.cases.case import Case, Hyperparameters, Mode, Pipeline
from lenet.cases.matrix import Matrix
from lenet.dataset import resolve
from lenet.machine.card import describe
from lenet.store.run import Store

COMMAND = (sys.executable, "-m", "lenet.cli")
RECORDS = 10_000


class Figure(NamedTuple):
    """One line of the answer."""

    what: str
    target: str
    figure: str
    good: bool


def timed(*arguments: str) -> float:
    """Seconds of one command, start and end of its process included."""
    began = time.perf_counter()
    subprocess.run([*COMMAND, *arguments], check=True, capture_output=True, env={**os.environ, "COLUMNS": "80"})
    return time.perf_counter() - began


def start() -> list[Figure]:
    """The command's start."""
    timed("--help")  # compiles what was never imported
    seconds = statistics.median(timed("--help") for _ in range(9))
    return [Figure("lenet-bench --help", "0.3 s", f"{seconds:.2f} s", seconds <= 0.3)]


def written(folder: Path, count: int) -> Path:
    """A run of `count` records, each a case of its own, as a run of that size would leave."""
    cases = [
        Case(
            mode=tuple(SPEEDS)[index % 3],
            repetition=index // 30,
            hyperparameters=Hyperparameters(batch_size=32 * (1 + index // 3 % 10)),
        )
        for index in range(count)
    ]
    draw, machine = random.Random(1), describe()  # noqa: S311 - figures to look at
    store = Store.create(folder, Matrix(), cases, {"mnist": CARD}, machine)
    for number, case in enumerate(cases):
        record = made(case, machine.id, VERSIONS[-1], 1000.0, draw, number)
        # Not write_record: flushing 10,000 files to the disk is not what is measured.
        store.record_path(case).write_text(record.model_dump_json(indent=1), encoding="utf-8")
    return folder


def table() -> list[Figure]:
    """A table over many records."""
    with tempfile.TemporaryDirectory() as name:
        few = written(Path(name) / "few", RECORDS // 10)
        many = written(Path(name) / "many", RECORDS)
        small = min(timed("table", str(few)) for _ in range(3))
        large = min(timed("table", str(many)) for _ in range(3))
    return [
        Figure(f"table of {RECORDS:,} records", "5 s", f"{large:.2f} s", large <= 5.0),
        Figure("the same over that of a tenth of them", "10 times", f"{large / small:.1f} times", large <= 10 * small),
    ]


def case(data_dir: Path | None) -> list[Figure]:
    """What a case costs beyond its training: the process, the framework's import, building, judging, writing."""
    dataset = resolve("auto", data_dir)
    beyond = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        for index in range(3):
            folder = Path(name) / f"run{index}"
            options = ["--mode", "graph", "--batch-size", "32", "--device", "cpu", "--output", str(folder)]
            options += ["--data-dir", str(data_dir)] if data_dir else ["--dataset", dataset.card.name]
            whole = timed("run", *options)
            (record,) = Store.open(folder).records()
            if record.phases is None:
                raise SystemExit(f"{record.status.value}: {record.reason}")
            spent = record.phases
            beyond.append(
                whole - spent.compile_and_first_step_seconds - spent.training_seconds - spent.resident_seconds
            )
            shutil.rmtree(folder)
    seconds = statistics.median(beyond)
    return [Figure("a case beyond its training (run, one case)", "3 s", f"{seconds:.2f} s", seconds <= 3.0)]


def throughput(data_dir: Path | None) -> list[Figure]:
    """Our images/s over a bare loop's."""
    data = resolve("auto", data_dir)
    setting = Setting(data.folder, Mode.GRAPH, "default", Pipeline.TUTORIAL, batch_size=32, steps=10, windows=160)
    overhead = measure(setting, ["step"], processes=6)["step"]
    return [Figure("images/s over a bare loop's", "0.99", str(overhead), overhead.ratio >= 0.99)]


def main(
    data_dir: Annotated[Path | None, typer.Option(help="data of MNIST's shape; default: MNIST or digits")] = None,
    only: Annotated[str, typer.Option(help="what to measure, with commas")] = "start,table,case,throughput",
) -> None:
    """Measure the project itself and print each target beside the figure."""
    parts: dict[str, Callable[[], list[Figure]]] = {
        "start": start,
        "table": table,
        "case": lambda: case(data_dir),
        "throughput": lambda: throughput(data_dir),
    }
    figures: list[Figure] = []
    for part in only.split(","):
        if part not in parts:
            raise typer.BadParameter(f"unknown part {part!r}: choose from {', '.join(parts)}")
        print(f"measuring {part}", file=sys.stderr)
        figures += parts[part]()
    lines = [[each.what, each.target, each.figure, "met" if each.good else "MISSED"] for each in figures]
    print(describe().summary)
    print(tabulate(lines, ["", "target", "here", ""], tablefmt="simple", disable_numparse=True))
    raise typer.Exit(0 if all(each.good for each in figures) else 1)


if __name__ == "__main__":
    typer.run(main)
