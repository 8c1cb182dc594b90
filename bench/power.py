"""How small a difference does a comparison find, and how often does it find one that is not there?

    python bench/power.py record RUN [--data-dir DIR] [--groups 100] [--processes 30]
    python bench/power.py export RUN --output FILE
    python bench/power.py table FILE
    python bench/power.py alone FILE...
    python bench/power.py live RUN --output FILE [--data-dir DIR] [--attempts 5] [--groups 18]

`record` runs `lenet-bench run` with five cases that differ in the seed, which changes no speed. Two train as usual;
the others have 2, 5 and 10% more work in each step (`planted/sitecustomize.py`). Four of them, without the 10%, are
measured in groups whose workers take turns; all five also as independent processes, one at a time. The two ways
alternate, so that both see the same machine. `record` continues a folder that it was interrupted in.

`export` keeps what the analysis reads: images and seconds of each member's blocks of turns, the order of each group's
starts, images/s of each independent process (the median of its windows, and over all of them), and the seconds that
each took.

`table` draws comparisons from the recorded groups and processes, with replacement and as many as fit a wall time, and
prints how often the package's own analysis calls a difference. The 95% intervals resample the groups, or the processes,
as a whole.

`alone` compares the throughput of the same training in a group with that of a process alone: does taking turns change
what is measured? `record --no-planted` records what it needs.

`live` does what a user does: `lenet-bench run` with groups of three cases, of which two are equal and one has 5% more
work, and then `lenet-bench compare` of each with the first. It writes a line for each comparison, and continues a file
with fewer attempts.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Annotated, Any

import seeds
import typer
from recording import (
    EVERY,
    IN_GROUPS,
    MORE_WORK,
    UNCHANGED,
    Recorded,
    groups_in,
    independent,
    interleaved,
    processes_in,
    processes_saved,
    read,
    taking_turns,
    total_rate,
)
from tabulate import tabulate

from lenet.analysis.paired import TimedTurn
from lenet.store.record import Record, Status
from lenet.store.run import Store

MATRIX = """
description = "five cases that differ in planted work"
[plan]
windows = 7
window_seconds = 0.3
resident_windows = 0
budget_seconds = 30
evaluation_images = 1
"""
COMPARED = {"none (A/A)": (1, 2), "5% more work": (1, 4)}
"""The seeds that an attempt of `live` compares."""
TOGETHER = tuple(sorted({seed for pair in COMPARED.values() for seed in pair}))
"""The members of its groups."""

DataDir = Annotated[Path | None, typer.Option(help="data of MNIST's shape; default: MNIST or digits")]
Mode = Annotated[str, typer.Option()]
BatchSize = Annotated[int, typer.Option()]
Pipeline = Annotated[str, typer.Option()]
Profile = Annotated[
    str, typer.Option(help="by default with one operator thread: MindSpore's tuner chooses among counts of threads")
]

app = typer.Typer(help=__doc__, add_completion=False)


def _case(mode: str, batch_size: int, pipeline: str, profile: str) -> list[str]:
    """What all cases share, as options of `lenet-bench run`."""
    return ["--mode", mode, "--batch-size", str(batch_size), "--pipeline", pipeline, "--profile", profile]


def _run(output: Path, members: Sequence[int], rounds: int, case: list[str], ways: list[str]) -> None:
    """`lenet-bench run` with the planted work, in a folder that is new or was interrupted."""
    planted = {"LENET_BENCH_PLANTED": json.dumps(EVERY)}
    if code := seeds.run(output, members, rounds, case, ways, MATRIX, "planted", planted):
        raise typer.Exit(code)


@app.command()
def record(
    run: Annotated[Path, typer.Argument(help="the folder that gets the runs")],
    data_dir: DataDir = None,
    groups: Annotated[int, typer.Option(min=0, help="groups of four members")] = 100,
    processes: Annotated[int, typer.Option(min=0, help="independent processes of each case")] = 30,
    parts: Annotated[int, typer.Option(min=1, help="into how many alternating parts both are divided")] = 10,
    planted: Annotated[bool, typer.Option(help="also the cases with more work")] = True,
    mode: Mode = "graph",
    batch_size: BatchSize = 32,
    pipeline: Pipeline = "tutorial",
    profile: Profile = "onednn_isa=AVX2+operator_threads=1",
) -> None:
    """Measure groups and independent processes."""
    case = _case(mode, batch_size, pipeline, profile)
    data = [] if data_dir is None else ["--data-dir", str(data_dir)]
    for part in range(parts):
        shares = [total * (part + 1) // parts - total * part // parts for total in (groups, processes)]
        for name, members, share, way in (
            ("groups", IN_GROUPS if planted else UNCHANGED, shares[0], "windows"),
            ("processes", tuple(MORE_WORK) if planted else UNCHANGED, shares[1], "rounds"),
        ):
            if share:
                _run(run / f"{name}-{part:02}", members, share, case, ["--interleave", way, *data])


def _blocks(record: Record) -> list[TimedTurn]:
    """The steady windows of a member by block, which is two cycles; those of a process alone one by one."""
    images: dict[int, int] = defaultdict(int)
    seconds: dict[int, float] = defaultdict(float)
    for number, window in enumerate(record.windows):
        if not window.warmup:
            block = number if window.cycle is None else window.cycle // 2
            images[block] += window.images
            seconds[block] += window.seconds
    return [TimedTurn(block, images[block], round(seconds[block], 6)) for block in sorted(images)]


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="the folder of `record`")],
    output: Annotated[Path, typer.Option("--output", "-o", help="a JSON file")],
) -> None:
    """Keep what the analysis needs of the recorded runs."""
    groups: dict[str, dict[int, Any]] = defaultdict(dict)
    starts: dict[str, list[int]] = defaultdict(list)
    processes: dict[int, list[Any]] = defaultdict(list)
    settings = set()
    for folder in sorted(run.iterdir()):
        if not (folder / "manifest.json").exists():
            continue
        store = Store.open(folder)
        for each in sorted(store.records(), key=lambda record: record.started_at):
            if each.status is not Status.OK or each.summary.throughput is None:
                continue
            seed, seconds = each.case.hyperparameters.seed, round(each.own_seconds, 2)
            settings.add((store.manifest.machine.summary, seeds.words(each.case)))
            if each.group:
                groups[each.group][seed] = [seconds, *map(astuple, _blocks(each))]
                starts[each.group].append(seed)
            else:
                rates = each.summary.throughput.median, total_rate(_blocks(each))
                processes[seed].append([*(round(rate, 1) for rate in rates), seconds])
    if len(settings) != 1:
        raise typer.BadParameter(f"{run} has {len(settings)} machines or cases: record one in each folder")
    ((machine, case),) = settings
    members = set().union(*groups.values())
    whole = {name: dict(sorted(group.items())) for name, group in groups.items() if set(group) == members}
    content = {
        "machine": machine,
        "case": case,
        "groups": list(whole.values()),
        "starts": [starts[name] for name in whole],
        "processes": processes,
    }
    output.write_text(json.dumps(content, separators=(",", ":")).replace('},{"1"', '},\n{"1"') + "\n", encoding="utf-8")
    print(f"{len(whole)} groups and {min(map(len, processes.values()), default=0)} processes of each case")


def _rows(recorded: Recorded) -> Iterator[list[Any]]:
    chance = random.Random(1)  # noqa: S311 # draws that repeat
    for minutes in (5, 20):
        for seed in IN_GROUPS[1:]:
            groups, processes = (count(recorded, seed, 60 * minutes) for count in (groups_in, processes_in))
            yield [
                f"{minutes} min",
                "none (A/A)" if not MORE_WORK[seed] else f"{MORE_WORK[seed]:.0%} more work",
                groups,
                interleaved(recorded, seed, groups, chance) or "too few for a verdict",
                processes,
                independent(recorded, seed, processes, chance) or "too few for a verdict",
            ]


@app.command()
def table(file: Annotated[Path, typer.Argument(help="a file of `export`", exists=True, dir_okay=False)]) -> None:
    """Print how often comparisons call a difference."""
    recorded = read(file)
    print(f"{recorded.machine}\n{recorded.case}\n")
    print(f"{len(recorded.groups)} groups, {min(map(len, recorded.processes.values()))} processes of each case\n")
    headers = ["wall time", "difference", "groups", "called, interleaved", "processes a side", "called, independent"]
    print(tabulate(list(_rows(recorded)), headers, tablefmt="github"))
    print(f"\nFor the same interval independent processes are {processes_saved(recorded, UNCHANGED[1])} times as many.")


@app.command()
def alone(
    files: Annotated[list[Path], typer.Argument(help="files of `export`", exists=True, dir_okay=False)],
) -> None:
    """Print whether taking turns changes the speed that is measured: images/s, with 95% intervals."""
    lines = []
    for file in files:
        recorded = read(file)
        if (found := taking_turns(recorded)) is None:
            raise typer.BadParameter(f"{file}: two groups and two processes of each case are the least")
        case = recorded.case.partition(" · ")[2]  # the device is CPU: others take no turns
        lines.append([case, found.alone, found.in_groups, found.times, f"{found.processes}, {found.members}"])
    headers = ["training", "images/s alone", "images/s in groups", "in groups over alone", "processes, members"]
    print(tabulate(lines, headers, tablefmt="github"))


@app.command()
def live(
    run: Annotated[Path, typer.Argument(help="the folder that gets the runs")],
    output: Annotated[Path, typer.Option("--output", "-o", help="a file of JSON lines, one for each comparison")],
    data_dir: DataDir = None,
    attempts: Annotated[int, typer.Option(min=1)] = 5,
    groups: Annotated[int, typer.Option(min=3, help="groups of three members of an attempt")] = 18,
    mode: Mode = "graph",
    batch_size: BatchSize = 32,
    pipeline: Pipeline = "tutorial",
    profile: Profile = "onednn_isa=AVX2+operator_threads=1",
) -> None:
    """Run and compare as a user does, and keep what `compare` says."""
    data = [] if data_dir is None else ["--data-dir", str(data_dir)]
    for number in range(attempts):
        done = output.read_text(encoding="utf-8").splitlines() if output.exists() else []
        if number in {json.loads(line)["attempt"] for line in done}:
            continue
        folder = run / f"attempt-{number:02}"
        shutil.rmtree(folder, ignore_errors=True)  # an attempt that was interrupted
        begun = time.monotonic()
        _run(folder, TOGETHER, groups, _case(mode, batch_size, pipeline, profile), ["--interleave", "windows", *data])
        seconds = round(time.monotonic() - begun, 1)
        lines = [
            {"attempt": number, "difference": difference, "seconds": seconds, **_compared(folder, *members)}
            for difference, members in COMPARED.items()
        ]
        with output.open("a", encoding="utf-8") as kept:
            for text in map(json.dumps, lines):
                print(text, flush=True)
                kept.write(text + "\n")


def _compared(run: Path, first: int, second: int) -> dict[str, Any]:
    """What `compare` says of two seeds."""
    command = [sys.executable, "-m", "lenet.cli", "compare", str(run), "--format", "json"]
    command += ["--over", f"seed={first},{second}"]
    (said,) = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return {key: said[key] for key in ("groups", "ratio", "low", "high", "p", "mark")}


if __name__ == "__main__":
    app()
