"""Does the harness slow down what it measures? Our loop against a bare one, interleaved window by window.

    python bench/overhead.py [--data-dir DIR] [--mode graph] [--profile PROFILE] [--bare step,transcription]

In one process the worker's own training loop, reports and all, and a bare loop train a window each in turn
(`interleaved.py`): the plain transcription of the tutorial that the tests keep, or a bare `for` over the very step that
our trainer compiled. Each of our windows is held against the mean of the bare ones before and after it.

Printed: the median of ours over bare for each process, and the median of the processes with its 95% interval. The
process is the unit, as everywhere in the project: the windows of one share how MindSpore tuned its kernels there.
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

import typer

from lenet.analysis.statistics import LEAST, intervals
from lenet.case import Mode, RuntimeProfile
from lenet.dataset import resolve
from lenet.machine import describe

CHILD = Path(__file__).with_name("interleaved.py")
LOOPS = {
    "transcription": "the tutorial's plain transcription (a network and a compiled step of its own)",
    "step": "a bare `for` over our trainer's step",
}


class Setting(NamedTuple):
    """What is trained, and how long."""

    folder: Path
    mode: Mode
    profile: str
    batch_size: int
    steps: int
    """Steps a window."""

    windows: int
    """Windows a process and loop."""


class Overhead(NamedTuple):
    """Our throughput over the bare loop's."""

    ratio: float
    """Median of the processes' medians."""

    low: float
    high: float
    """The 95% interval of that median."""

    def __str__(self) -> str:
        return f"{self.ratio:.4f}, 95% interval {self.low:.4f} to {self.high:.4f}"


def ratios(setting: Setting, bare: str, bare_first: bool) -> list[float]:
    """One process: bare seconds over ours, window by window, as (windows - 1,) numbers."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        out = Path(scratch) / "out.json"
        numbers = [str(number) for number in (setting.batch_size, setting.steps, setting.windows)]
        arguments = [str(setting.folder), setting.mode.value, setting.profile, *numbers]
        subprocess.run(
            [sys.executable, str(CHILD), *arguments, bare, "bare" if bare_first else "ours", str(out)],
            check=True,
            cwd=scratch,
            env={**os.environ, **RuntimeProfile.parse(setting.profile).environment},
            capture_output=True,
        )
        told = json.loads(out.read_text(encoding="utf-8"))
    seconds = told["bare"]
    return [(before + after) / 2 / own for before, after, own in zip(seconds, seconds[1:], told["ours"], strict=False)]


def measure(setting: Setting, loops: list[str], processes: int) -> dict[str, Overhead]:
    """Measure against each of the loops, the processes in turn, and print a line a process."""
    medians: dict[str, list[float]] = {bare: [] for bare in loops}
    for number in range(processes):
        for bare in loops:
            found = ratios(setting, bare, bare_first=number % 2 == 0)
            medians[bare].append(statistics.median(found))
            print(
                f"process {number + 1}, {bare}: ours / bare {medians[bare][-1]:.4f} over {len(found)} pairs of windows",
                flush=True,
            )
    overheads = {}
    for bare, interval in zip(loops, intervals(list(medians.values())), strict=True):
        if interval is None:
            raise AssertionError(f"{processes} processes were asked for, and {LEAST} are the least")
        overheads[bare] = Overhead(statistics.median(medians[bare]), interval.low, interval.high)
    return overheads


def main(
    data_dir: Annotated[Path | None, typer.Option(help="data of MNIST's shape; default: MNIST or digits")] = None,
    mode: Annotated[Mode, typer.Option()] = Mode.GRAPH,
    profile: Annotated[str, typer.Option()] = "default",
    batch_size: Annotated[int, typer.Option()] = 32,
    steps: Annotated[int, typer.Option(min=1, help="steps a window")] = 20,
    windows: Annotated[int, typer.Option(min=10, help="windows a process")] = 60,
    processes: Annotated[int, typer.Option(min=LEAST)] = 8,
    bare: Annotated[str, typer.Option(help="the bare loops, with commas: transcription, step")] = "transcription,step",
) -> None:
    """Measure how much the harness costs."""
    loops = bare.split(",")
    if unknown := [loop for loop in loops if loop not in LOOPS]:
        raise typer.BadParameter(f"{unknown[0]} is no bare loop: {', '.join(LOOPS)}", param_hint="--bare")
    data = resolve("auto", data_dir)
    print(f"{mode.value}, {profile}, windows of {steps} steps of {batch_size}, {data.card.name}, {describe().summary}")
    setting = Setting(data.folder, mode, profile, batch_size, steps, windows)
    for loop, overhead in measure(setting, loops, processes).items():
        print(f"ours over {LOOPS[loop]}: {overhead}")


if __name__ == "__main__":
    typer.run(main)
