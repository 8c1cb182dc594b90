"""Does the harness slow down what it measures? Our loop against a bare one, interleaved window by window.

    python bench/overhead.py [--data-dir DIR] [--mode graph] [--profile PROFILE] [--bare step,transcription]

One process trains with the worker's own loop, reports included, and with a bare loop, in alternating windows
(`interleaved.py`). The bare loop is that of the case's standalone script (`lenet-bench script`), or a `for` over the
step that the worker's trainer compiled. Each window of ours is compared with the mean of the bare ones around it.

Windows are short because the speed of a shared machine changes within about a second; a real window is longer, so the
report at its end weighs less.

What the harness itself costs in a window is measured separately, over steps that train nothing: it is too small to see
in the noise of two trainings.

Printed: the median of ours over bare for each process, and the median of the processes with its 95% interval. The
process is the unit, as everywhere in the project: the windows of one share how MindSpore tuned its kernels there.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from lenet.analysis.statistics import MIN_PROCESSES, intervals
from lenet.cases.case import Mode, Pipeline
from lenet.dataset import resolve
from lenet.machine.card import describe

CHILD = Path(__file__).with_name("interleaved.py")
LOOPS = {
    "transcription": "the case's standalone script (a network and a compiled step of its own)",
    "step": "a bare `for` over our trainer's step",
}


class Setting(NamedTuple):
    """What is trained, and how long."""

    folder: Path
    mode: Mode
    profile: str
    pipeline: Pipeline
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

    harness: float
    """What the harness itself does in a window, over the seconds of one; median of the processes."""

    def __str__(self) -> str:
        return f"{self.ratio:.4f}, 95% interval {self.low:.4f} to {self.high:.4f}; itself {self.harness:.3%}"


class Process(NamedTuple):
    """The measurements of one process."""

    ratios: list[float]
    """Bare seconds over ours, as (windows - 1,) numbers."""

    harness: float
    """What the harness itself does in a window, over the seconds of one."""


def process(setting: Setting, bare: str, bare_first: bool) -> Process:
    """Measure in one process."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        out = Path(scratch) / "out.json"
        numbers = [str(number) for number in (setting.batch_size, setting.steps, setting.windows)]
        arguments = [str(setting.folder), setting.mode.value, setting.profile, setting.pipeline.value, *numbers]
        subprocess.run(
            [sys.executable, str(CHILD), *arguments, bare, "bare" if bare_first else "ours", str(out)],
            check=True,
            cwd=scratch,
            capture_output=True,
        )
        measured = json.loads(out.read_text(encoding="utf-8"))
    seconds, ours = measured["bare"], measured["ours"]
    ratios = [(before + after) / 2 / own for before, after, own in zip(seconds, seconds[1:], ours, strict=False)]
    return Process(ratios, measured["harness"] / statistics.median(ours))


def measure(setting: Setting, loops: list[str], processes: int) -> dict[str, Overhead]:
    """Measure against each of the loops, the processes in turn, and print a line a process."""
    results: dict[str, list[Process]] = {bare: [] for bare in loops}
    for number in range(processes):
        for bare in loops:
            one = process(setting, bare, bare_first=number % 2 == 0)
            results[bare].append(one)
            print(
                f"process {number + 1}, {bare}: ours / bare {statistics.median(one.ratios):.4f} over "
                f"{len(one.ratios)} pairs of windows; the harness itself {one.harness:.3%} of a window",
                flush=True,
            )
    medians = [[statistics.median(each.ratios) for each in results[bare]] for bare in loops]
    overheads = {}
    for bare, sample, interval in zip(loops, medians, intervals(medians), strict=True):
        if interval is None:
            raise AssertionError(f"{processes} processes were asked for, and {MIN_PROCESSES} are the least")
        harness = statistics.median(each.harness for each in results[bare])
        overheads[bare] = Overhead(statistics.median(sample), interval.low, interval.high, harness)
    return overheads


def main(
    data_dir: Annotated[Path | None, typer.Option(help="data of MNIST's shape; default: MNIST or digits")] = None,
    mode: Annotated[Mode, typer.Option()] = Mode.GRAPH,
    profile: Annotated[str, typer.Option()] = "default",
    pipeline: Annotated[Pipeline, typer.Option()] = Pipeline.TUTORIAL,
    batch_size: Annotated[int, typer.Option()] = 32,
    steps: Annotated[int, typer.Option(min=1, help="steps a window")] = 10,
    windows: Annotated[int, typer.Option(min=10, help="windows a process")] = 160,
    processes: Annotated[int, typer.Option(min=MIN_PROCESSES)] = 8,
    bare: Annotated[str, typer.Option(help="the bare loops, with commas: transcription, step")] = "transcription,step",
) -> None:
    """Measure how much the harness costs."""
    loops = bare.split(",")
    if unknown := [loop for loop in loops if loop not in LOOPS]:
        raise typer.BadParameter(f"{unknown[0]} is no bare loop: {', '.join(LOOPS)}", param_hint="--bare")
    data = resolve("auto", data_dir)
    print(f"{mode.value}, {profile}, {pipeline.value} pipeline, {data.card.name}, {describe().summary}")
    print(f"windows of {steps} steps of {batch_size}")
    setting = Setting(data.folder, mode, profile, pipeline, batch_size, steps, windows)
    for loop, overhead in measure(setting, loops, processes).items():
        print(f"ours over {LOOPS[loop]}: {overhead}")


if __name__ == "__main__":
    typer.run(main)
