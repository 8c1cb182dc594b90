"""Does the harness slow down what it measures? Our loop against a bare one, interleaved window by window.

    python bench/overhead.py [--data-dir DIR] [--mode graph] [--profile PROFILE] [--windows 40] [--processes 3]

In one process the worker's own training loop, reports and all, and the plain transcription of the tutorial that the
tests keep train a window each in turn (`interleaved.py`). Each of our windows is held against the mean of the bare
ones before and after it. Printed: the median of bare over ours for each process, and for all with its 95% interval.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer
from scipy.stats import bootstrap

from lenet.case import Mode, RuntimeProfile
from lenet.dataset import resolve
from lenet.machine import describe

CHILD = Path(__file__).with_name("interleaved.py")


class Overhead(NamedTuple):
    """Our throughput over the bare loop's."""

    ratio: float
    low: float
    high: float
    """The 95% bootstrap interval of the median, over pairs of windows."""


def ratios(folder: Path, mode: Mode, profile: str, batch_size: int, steps: int, windows: int) -> list[float]:
    """One process: bare seconds over ours, window by window."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        out = Path(scratch) / "out.json"
        numbers = [str(batch_size), str(steps), str(windows)]
        subprocess.run(
            [sys.executable, str(CHILD), str(folder), mode.value, profile, *numbers, str(out)],
            check=True,
            cwd=scratch,
            env={**os.environ, **RuntimeProfile.parse(profile).environment},
            capture_output=True,
        )
        told = json.loads(out.read_text(encoding="utf-8"))
    bare = told["bare"]
    return [(before + after) / 2 / own for before, after, own in zip(bare, bare[1:], told["ours"], strict=False)]


def measure(
    folder: Path, mode: Mode, profile: str, batch_size: int, steps: int, windows: int, processes: int
) -> Overhead:
    """Measure and print a line a process."""
    every: list[float] = []
    for number in range(processes):
        found = ratios(folder, mode, profile, batch_size, steps, windows)
        every += found
        print(f"process {number + 1}: ours / bare {statistics.median(found):.4f} over {len(found)} pairs of windows")
    interval = bootstrap((np.array(every),), np.median, rng=np.random.default_rng(1)).confidence_interval
    return Overhead(statistics.median(every), float(interval.low), float(interval.high))


def main(
    data_dir: Annotated[Path | None, typer.Option(help="data of MNIST's shape; default: MNIST or digits")] = None,
    mode: Annotated[Mode, typer.Option()] = Mode.GRAPH,
    profile: Annotated[str, typer.Option()] = "default",
    batch_size: Annotated[int, typer.Option()] = 32,
    steps: Annotated[int, typer.Option(min=1, help="steps a window")] = 40,
    windows: Annotated[int, typer.Option(min=10)] = 40,
    processes: Annotated[int, typer.Option(min=1)] = 3,
) -> None:
    """Measure how much the harness costs."""
    data = resolve("auto", data_dir)
    print(f"{mode.value}, {profile}, windows of {steps} steps of {batch_size}, {data.card.name}, {describe().summary}")
    found = measure(data.folder, mode, profile, batch_size, steps, windows, processes)
    print(f"ours / bare: {found.ratio:.4f}, 95% interval {found.low:.4f} to {found.high:.4f}")


if __name__ == "__main__":
    typer.run(main)
