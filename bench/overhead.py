"""Does the harness slow down what it measures? Our throughput against a bare loop's, interleaved on one machine.

    python bench/overhead.py [--data-dir DIR] [--mode graph] [--profile PROFILE] [--steps 1800] [--rounds 5]

Each round runs, each in a process of its own and in turn first: the plain transcription of the tutorial that the tests
keep (no windows, no reports, two readings of the clock), and the same steps through the engine and its worker. Both
rates are over the same steps, from the 61st to the last. Printed: every round's rates, and the median of the ratios.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from lenet.case import Case, Mode, Plan, RuntimeProfile
from lenet.dataset import Dataset, resolve
from lenet.dataset.files import NAMES
from lenet.dataset.idx import read_images, read_labels, write_images, write_labels
from lenet.engine.local import LocalEngine
from lenet.machine import describe
from lenet.matrix import Matrix
from lenet.record import Status
from lenet.store import Store

TRANSCRIPTION = Path(__file__).resolve().parents[1] / "tests" / "transcription.py"


def bare(case: Case, dataset: Dataset, steps: int, folder: Path) -> float:
    """Images a second of the plain transcription."""
    out = folder / "out.json"
    hyper = case.hyperparameters
    numbers = [str(hyper.batch_size), "1000", str(hyper.seed)]
    subprocess.run(
        [sys.executable, str(TRANSCRIPTION), str(dataset.folder), case.mode.value, *numbers, str(out), str(steps)],
        check=True,
        cwd=folder,
        env={**os.environ, **case.profile.environment},
        capture_output=True,
    )
    return float(json.loads(out.read_text(encoding="utf-8"))["images_per_second"])


def ours(case: Case, dataset: Dataset, folder: Path) -> float:
    """Images a second of the worker over the same steps."""
    store = Store.create(folder / "run", Matrix(), [case], {case.dataset: dataset.card}, describe())
    (record,) = LocalEngine().run([case], {case.dataset: dataset}, store)
    if record.status is not Status.OK:
        raise SystemExit(f"{record.status.value}: {record.reason}")
    steady = [window for window in record.windows if not window.warmup]
    return sum(window.images for window in steady) / sum(window.seconds for window in steady)


def main(
    data_dir: Annotated[Path | None, typer.Option(help="data of MNIST's shape; default: MNIST or digits")] = None,
    mode: Annotated[Mode, typer.Option()] = Mode.GRAPH,
    profile: Annotated[str, typer.Option(help="without settings that MindSpore takes by call")] = "default",
    batch_size: Annotated[int, typer.Option()] = 32,
    steps: Annotated[int, typer.Option(min=120)] = 1800,
    rounds: Annotated[int, typer.Option(min=1)] = 5,
) -> None:
    """Measure how much the harness costs."""
    whole = resolve("auto", data_dir)
    needed = steps * batch_size
    if needed > whole.card.training_images:
        raise typer.BadParameter(f"{needed:,} images are more than {whole.card.name} has: choose fewer --steps")
    print(f"{mode.value}, {profile}, {steps} steps of {batch_size}, {whole.card.name}, {describe().summary}")
    with tempfile.TemporaryDirectory() as name:
        dataset = beginning(whole, needed, batch_size, Path(name))
        case = Case(
            mode=mode,
            dataset=dataset.card.name,
            profile=RuntimeProfile.parse(profile),
            plan=Plan(epochs=1, resident_windows=0),
            hyperparameters={"batch_size": batch_size},
        )
        compare(case, dataset, steps, rounds)


def beginning(whole: Dataset, training: int, test: int, folder: Path) -> Dataset:
    """The first images of both parts, so that one epoch is exactly the steps that are compared."""
    for images, labels, count in ((*NAMES[:2], training), (*NAMES[2:], test)):
        write_images(folder / images, read_images(whole.folder / images)[:count])
        write_labels(folder / labels, read_labels(whole.folder / labels)[:count])
    return resolve("auto", folder)


def compare(case: Case, dataset: Dataset, steps: int, rounds: int) -> list[float]:
    """Measure the rounds and print them; our rate over the bare loop's in each."""
    ratios = []
    for number in range(rounds):
        rates: dict[str, float] = {}
        for side in ("bare", "ours") if number % 2 == 0 else ("ours", "bare"):
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
                folder = Path(name)
                measured = bare(case, dataset, steps, folder) if side == "bare" else ours(case, dataset, folder)
            rates[side] = measured
        ratios.append(rates["ours"] / rates["bare"])
        print(f"round {number + 1}: bare {rates['bare']:,.0f}, ours {rates['ours']:,.0f} images/s, {ratios[-1]:.4f}")
    print(f"ours / bare: median {statistics.median(ratios):.4f}, from {min(ratios):.4f} to {max(ratios):.4f}")
    return ratios


if __name__ == "__main__":
    typer.run(main)
