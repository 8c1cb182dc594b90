"""How small a difference does a comparison find, and how often does it find one that is not there?

    python bench/power.py record RUN [--data-dir DIR] [--groups 100] [--processes 30]
    python bench/power.py export RUN --output FILE
    python bench/power.py table FILE
    python bench/power.py alone FILE

`record` runs `lenet-bench run` with five cases that differ in the seed, which changes no speed. Two train as usual;
the others have 2, 5 and 10% more work in each step (`planted/sitecustomize.py`). Four of them, without the 10%, are
measured in groups whose workers take turns; all five also as independent processes, one at a time. The two ways
alternate, so that both see the same machine. `record` continues a folder that it was interrupted in.

`export` keeps what the analysis reads: images and seconds of each member's blocks of turns, the median of each
independent process, and the seconds that each took.

`table` draws comparisons from the recorded groups and processes, as many as fit a wall time, and prints how often the
package's own analysis calls a difference. The 95% intervals resample the groups, or the processes, as a whole.

`alone` compares the throughput of the same training in a group with that of a process alone: does taking turns change
what is measured?
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from tabulate import tabulate

from lenet.analysis.difference import SIGNIFICANT, welch
from lenet.analysis.paired import LEAST_GROUPS, TimedTurn, group_estimate, student
from lenet.analysis.statistics import BOOTSTRAP_FROM, MIN_PROCESSES, Ratio, ratio
from lenet.cases.case import Case, Hyperparameters
from lenet.store.record import Record, Status
from lenet.store.run import Store

EVERY = {3: 50, 4: 20, 5: 10}
"""After how many steps a seed trains one more."""
MORE_WORK = {1: 0.0, 2: 0.0, **{seed: 1 / every for seed, every in EVERY.items()}}
"""Extra work of each seed, as a share of a step. Seed 1 is what the others are compared with."""
IN_GROUPS = (1, 2, 3, 4)
UNCHANGED = (1, 2)
MATRIX = """
description = "five cases that differ in planted work"
[plan]
windows = 10
window_seconds = 0.3
resident_windows = 0
budget_seconds = 30
evaluation_images = 1
"""
DRAWS = 1000
RESAMPLED, DRAWS_OF_EACH = 100, 20
"""How often the units are resampled for the interval, and how many comparisons are drawn from each."""

app = typer.Typer(help=__doc__, add_completion=False)


class Member(NamedTuple):
    """One process of a group."""

    turns: list[TimedTurn]
    seconds: float
    """From its start to its end, without the turns of the others."""


Group = dict[int, Member]
"""The members of a group by seed."""


class Process(NamedTuple):
    """An independent process."""

    median: float
    """Median images/s of its windows."""
    total: float
    """Images/s over all of its windows."""
    seconds: float


class Recorded(NamedTuple):
    """What was recorded."""

    machine: str
    case: str
    groups: list[Group]
    processes: dict[int, list[Process]]
    """By seed."""


class Rate(NamedTuple):
    """How often comparisons called a difference."""

    share: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.share:.0%} ({self.low:.0%} to {self.high:.0%})"


def _run(output: Path, seeds: Sequence[int], rounds: int, case: list[str], ways: list[str]) -> None:
    """`lenet-bench run` with the planted work, in a folder that is new or was interrupted."""
    command = [sys.executable, "-m", "lenet.cli", "run", *ways]
    if (output / "manifest.json").exists():
        command += ["--resume", str(output)]
    else:
        matrix = output.with_name(f"{output.name}.toml")
        matrix.parent.mkdir(parents=True, exist_ok=True)
        matrix.write_text(MATRIX, encoding="utf-8")
        command += ["--matrix", str(matrix), "--device", "cpu", *case, "--seed", ",".join(map(str, seeds))]
        command += ["--repeat", str(rounds), "--output", str(output)]
    path = [str(Path(__file__).with_name("planted")), *filter(None, [os.environ.get("PYTHONPATH")])]
    planted = {"LENET_BENCH_PLANTED": json.dumps(EVERY), "PYTHONPATH": os.pathsep.join(path)}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, **planted})


@app.command()
def record(
    run: Annotated[Path, typer.Argument(help="the folder that gets the runs")],
    data_dir: Annotated[Path | None, typer.Option(help="data of MNIST's shape; default: MNIST or digits")] = None,
    groups: Annotated[int, typer.Option(min=0, help="groups of four members")] = 100,
    processes: Annotated[int, typer.Option(min=0, help="independent processes of each case")] = 30,
    parts: Annotated[int, typer.Option(min=1, help="into how many alternating parts both are divided")] = 10,
    mode: Annotated[str, typer.Option()] = "graph",
    batch_size: Annotated[int, typer.Option()] = 32,
    pipeline: Annotated[str, typer.Option()] = "tutorial",
    profile: Annotated[str, typer.Option(help="default: the fastest of Graph mode on AVX-512")] = "onednn_isa=AVX2",
) -> None:
    """Measure groups and independent processes."""
    case = ["--mode", mode, "--batch-size", str(batch_size), "--pipeline", pipeline, "--profile", profile]
    data = [] if data_dir is None else ["--data-dir", str(data_dir)]
    for part in range(parts):
        shares = [total * (part + 1) // parts - total * part // parts for total in (groups, processes)]
        for name, seeds, share, way in (
            ("groups", IN_GROUPS, shares[0], "windows"),
            ("processes", tuple(MORE_WORK), shares[1], "rounds"),
        ):
            if share:
                _run(run / f"{name}-{part:02}", seeds, share, case, ["--interleave", way, *data])


def _words(case: Case) -> str:
    """What the members share, in words."""
    return case.model_copy(
        update={"repetition": 0, "hyperparameters": Hyperparameters(batch_size=case.hyperparameters.batch_size)}
    ).label


def _total(turns: Sequence[TimedTurn]) -> float:
    """Images/s over all turns."""
    return sum(turn.images for turn in turns) / sum(turn.seconds for turn in turns)


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
    processes: dict[int, list[Any]] = defaultdict(list)
    settings = set()
    for folder in sorted(run.iterdir()):
        if not (folder / "manifest.json").exists():
            continue
        store = Store.open(folder)
        for each in store.records():
            if each.status is not Status.OK or each.summary.throughput is None:
                continue
            seed, seconds = each.case.hyperparameters.seed, round(each.own_seconds, 2)
            settings.add((store.manifest.machine.summary, _words(each.case)))
            if each.group:
                groups[each.group][seed] = [seconds, *map(astuple, _blocks(each))]
            else:
                rates = each.summary.throughput.median, _total(_blocks(each))
                processes[seed].append([*(round(rate, 1) for rate in rates), seconds])
    if len(settings) != 1:
        raise typer.BadParameter(f"{run} has {len(settings)} machines or cases: record one in each folder")
    ((machine, case),) = settings
    whole = [group for group in groups.values() if set(group) == set(IN_GROUPS)]
    content = {"machine": machine, "case": case, "groups": whole, "processes": processes}
    output.write_text(json.dumps(content, separators=(",", ":")).replace('},{"1"', '},\n{"1"') + "\n", encoding="utf-8")
    print(f"{len(whole)} groups and {min(map(len, processes.values()), default=0)} processes of each case")


def read(path: Path) -> Recorded:
    """What `export` wrote."""
    content = json.loads(path.read_text(encoding="utf-8"))
    groups = [
        {int(seed): Member([TimedTurn(*turn) for turn in turns], seconds) for seed, (seconds, *turns) in group.items()}
        for group in content["groups"]
    ]
    processes = {int(seed): [Process(*each) for each in listed] for seed, listed in content["processes"].items()}
    return Recorded(content["machine"], content["case"], groups, processes)


def groups_in(recorded: Recorded, seed: int, wall_seconds: float) -> int:
    """How many groups of two members, the first seed and this one, fit the wall time."""
    pair = statistics.mean(group[1].seconds + group[seed].seconds for group in recorded.groups)
    return int(wall_seconds / pair)


def processes_in(recorded: Recorded, seed: int, wall_seconds: float) -> int:
    """How many independent processes of each of the two fit the wall time."""
    pair = sum(statistics.mean(each.seconds for each in recorded.processes[one]) for one in (1, seed))
    return int(wall_seconds / pair)


def scatter_in_groups(groups: Sequence[Group], seed: int) -> float:
    """Standard deviation, over the groups, of the logarithm of the ratio."""
    estimates = (group_estimate(group[1].turns, group[seed].turns) for group in groups)
    return statistics.stdev(value for value in estimates if value is not None)


def _resampled(units: Sequence[Any], count: int, chance: random.Random, found: Any) -> Rate | None:
    """How often `found` holds for `count` of the units, drawn without replacement, with its bootstrap interval."""
    if len(units) < count:
        return None

    def share(population: Sequence[Any], draws: int) -> float:
        return statistics.mean(bool(found(chance.sample(population, count))) for _ in range(draws))

    over = sorted(share(chance.choices(units, k=len(units)), DRAWS_OF_EACH) for _ in range(RESAMPLED))
    return Rate(share(units, DRAWS), over[int(0.025 * RESAMPLED)], over[int(0.975 * RESAMPLED) - 1])


def interleaved(recorded: Recorded, seed: int, count: int, chance: random.Random) -> Rate | None:
    """How often a comparison of `count` groups calls a difference; None where fewer were recorded."""
    if count < LEAST_GROUPS:
        return None
    # The estimate of a group is a function of the group alone: computed once, drawn often.
    estimates = [group_estimate(group[1].turns, group[seed].turns) for group in recorded.groups]
    return _resampled(estimates, count, chance, lambda drawn: student(drawn) < SIGNIFICANT)


def independent(recorded: Recorded, seed: int, count: int, chance: random.Random) -> Rate | None:
    """How often a comparison of `count` independent processes a side calls a difference."""
    if count < MIN_PROCESSES:
        return None
    # The sides are drawn together from parts of the recording: each pair is a neighbour in time.
    pairs = list(zip(recorded.processes[1], recorded.processes[seed], strict=False))
    return _resampled(
        pairs,
        count,
        chance,
        lambda drawn: welch([a.median for a, _ in drawn], [b.median for _, b in drawn]) < SIGNIFICANT,
    )


def _rows(recorded: Recorded) -> Iterator[list[Any]]:
    chance = random.Random(1)  # noqa: S311 # draws that repeat
    for minutes in (5, 20):
        for seed in IN_GROUPS[1:]:
            groups, processes = (count(recorded, seed, 60 * minutes) for count in (groups_in, processes_in))
            yield [
                f"{minutes} min",
                "none (A/A)" if not MORE_WORK[seed] else f"{MORE_WORK[seed]:.0%} more work",
                groups,
                interleaved(recorded, seed, groups, chance) or "too few recorded",
                processes,
                independent(recorded, seed, processes, chance) or "too few recorded",
            ]


@app.command()
def table(file: Annotated[Path, typer.Argument(help="a file of `export`")]) -> None:
    """Print how often comparisons call a difference."""
    recorded = read(file)
    print(f"{recorded.machine}\n{recorded.case}\n")
    print(f"{len(recorded.groups)} groups, {min(map(len, recorded.processes.values()))} processes of each case\n")
    headers = ["wall time", "difference", "groups", "called, interleaved", "processes a side", "called, independent"]
    print(tabulate(list(_rows(recorded)), headers, tablefmt="github"))


def taking_turns(recorded: Recorded) -> Ratio:
    """How many times the images/s of a process alone those of the same training in a group are."""
    alone = [each.total for seed in UNCHANGED for each in recorded.processes[seed]]
    member = [_total(group[seed].turns) for group in recorded.groups for seed in UNCHANGED]
    return ratio(alone, member, BOOTSTRAP_FROM)


@app.command()
def alone(files: Annotated[list[Path], typer.Argument(help="files of `export`")]) -> None:
    """Print whether taking turns changes the speed that is measured."""
    for file in files:
        recorded = read(file)
        found = taking_turns(recorded)
        count = len(UNCHANGED) * len(recorded.groups), sum(len(recorded.processes[seed]) for seed in UNCHANGED)
        if found.interval is None:
            raise typer.BadParameter(f"{file}: two groups and two processes are the least")
        print(recorded.case)
        print(f"  in a group over alone: {found.value:.3f} ({found.interval.low:.3f} to {found.interval.high:.3f}),")
        print(f"  {count[0]} members of groups, {count[1]} processes alone")


if __name__ == "__main__":
    app()
