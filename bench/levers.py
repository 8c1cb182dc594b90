"""Which settings around MindSpore make the training faster? Each lever of `levers.toml`, beside the default.

    python bench/levers.py measure RUN [--mode graph,pynative] [--lever NAME,...] [--groups 6] [--data-dir DIR]
    python bench/levers.py table RUN [--write]
    python bench/levers.py script RUN [--mode graph,pynative,jit] [--groups 8]

`measure` runs `lenet-bench run` in groups of the default and a few levers, whose workers take turns. The members differ
in the seed, which changes no speed; `applied/sitecustomize.py` applies the lever of a seed in its worker. `measure`
continues a folder that it was interrupted in. Levers that look good are measured again, in other combinations: the
table has all groups of a lever together.

`table` prints the ratio of each lever to the default with its 95% interval and verdict, by the package's own analysis:
Holm's correction is for all levers of a case. The lever `nothing` shows what two equal members differ by. With
`--write` the results go into `levers.json`, and so into the table of docs/tuning.md.

`script` compares the exported script of a case (`lenet-bench script`) with the worker in the same way: the script's own
loop and clock run in a process that takes turns with the worker. A script has no lead-in of a turn, so beside it
the worker takes none. It prints the same table.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from ctypes.util import find_library
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import seeds
import typer
from tabulate import tabulate

from lenet.analysis.difference import SpeedDifference, difference, measured
from lenet.analysis.verdict import Mark, decide
from lenet.machine.cores import usable_cores
from lenet.store.record import Record, Status
from lenet.store.run import Store

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).parent
DECLARED = tomllib.loads((HERE / "levers.toml").read_text(encoding="utf-8"))
MEASURED = HERE / "levers.json"
SCRIPT = "exported script"
DEFAULT_SEED = 1
BESIDE = 3
"""Levers of a group beside the default."""
MATRIX = """
description = "the default and levers, by seed"
[plan]
windows = 10
window_seconds = 0.3
resident_windows = 0
budget_seconds = 30
evaluation_images = 1
"""

app = typer.Typer(help=__doc__, add_completion=False)


class Lever(NamedTuple):
    """A setting to try."""

    name: str
    applied: dict[str, Any]
    """What `applied/sitecustomize.py` is told."""
    modes: Sequence[str] | None = None
    """Modes in which it has a meaning; None: all."""


class Result(NamedTuple):
    """One lever beside the default in one mode."""

    lever: str
    mode: str
    case: str
    found: SpeedDifference
    mark: Mark
    failures: str


def resolved(value: Any, last_core: int) -> Any:
    """The declared value with what this machine has in the place of LAST and AVAILABLE.

    Raises:
        FileNotFoundError: a library is not installed.
    """
    if isinstance(value, dict):
        return {name: resolved(each, last_core) for name, each in value.items()}
    if isinstance(value, list):
        return [resolved(each, last_core) for each in value]
    if value == "LAST":
        return last_core
    if isinstance(value, str) and value.startswith("AVAILABLE:"):
        name = value.removeprefix("AVAILABLE:")
        if (library := find_library(name)) is None:
            raise FileNotFoundError(name)
        return library
    return value.replace("LAST", str(last_core)) if isinstance(value, str) else value


def levers(names: Sequence[str] = ()) -> list[Lever]:
    """The declared levers that this machine has, or those of them that are named."""
    declared = {each["name"]: each for each in DECLARED["lever"]}
    if unknown := [name for name in names if name not in declared]:
        raise typer.BadParameter(f"{unknown[0]} is none of {', '.join(declared)}", param_hint="--lever")
    found = []
    for name in names or declared:
        each = declared[name]
        try:
            applied = resolved(
                {key: each[key] for key in ("environment", "calls") if key in each}, len(usable_cores()) - 1
            )
        except FileNotFoundError as missing:
            print(f"{name}: {missing} is not installed: apt-get install {each['package']}", file=sys.stderr)
            continue
        found.append(Lever(name, applied, each.get("modes")))
    return found


def _run(folder: Path, beside: Sequence[Lever], groups: int, case: Sequence[str]) -> None:
    """`lenet-bench run` of the default and these levers, in a folder that is new or was interrupted."""
    by_seed = {str(seed): lever for seed, lever in enumerate(beside, DEFAULT_SEED + 1)}
    if not (folder / "manifest.json").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        names = {seed: lever.name for seed, lever in by_seed.items()}
        folder.with_name(f"{folder.name}.json").write_text(json.dumps(names), encoding="utf-8")
    applied = {"LENET_BENCH_LEVERS": json.dumps({seed: lever.applied for seed, lever in by_seed.items()})}
    members = [DEFAULT_SEED, *map(int, by_seed)]
    # A lever with which MindSpore does not run is a result too.
    code = seeds.run(folder, members, groups, case, ["--interleave", "windows"], MATRIX, "applied", applied)
    if not (folder / "manifest.json").exists():
        raise typer.Exit(code or 1)


Mode = Annotated[str, typer.Option(help="with commas")]
Data = Annotated[Path | None, typer.Option(help="data of MNIST's shape; default: MNIST or digits")]


@app.command()
def measure(
    run: Annotated[Path, typer.Argument(help="the folder that gets the runs")],
    data_dir: Data = None,
    mode: Mode = "graph,pynative",
    lever: Annotated[str, typer.Option(help="with commas; default: all")] = "",
    groups: Annotated[int, typer.Option(min=1)] = 6,
    batch_size: Annotated[int, typer.Option()] = 32,
    profile: Annotated[str, typer.Option(help="what the levers are added to")] = "default",
) -> None:
    """Measure levers beside the default, and print the table."""
    chosen = levers(list(filter(None, lever.split(","))))
    for name in mode.split(","):
        meant = [each for each in chosen if each.modes is None or name in each.modes]
        case = ["--mode", name, "--batch-size", str(batch_size), "--profile", profile, *_data(data_dir)]
        for first in range(0, len(meant), BESIDE):
            beside = meant[first : first + BESIDE]
            _run(run / "-".join([name, *(each.name for each in beside)]), beside, groups, case)
    table(run)


@app.command()
def script(
    run: Annotated[Path, typer.Argument(help="the folder that gets the runs")],
    data_dir: Data = None,
    mode: Mode = "graph,pynative,jit",
    groups: Annotated[int, typer.Option(min=1)] = 8,
    batch_size: Annotated[int, typer.Option()] = 32,
    profile: Annotated[str, typer.Option()] = "default",
) -> None:
    """Measure the exported script of each mode beside the worker, and print the table."""
    for name in mode.split(","):
        case = ["--mode", name, "--batch-size", str(batch_size), "--profile", profile, *_data(data_dir)]
        _run(run / f"{name}-script", [Lever(SCRIPT, {"script": True})], groups, case)
    table(run)


def _data(folder: Path | None) -> list[str]:
    return [] if folder is None else ["--data-dir", str(folder)]


def results(run: Path) -> Iterator[Result]:
    """What was measured, case by case. A lever that was measured more than once has all its groups together."""
    together: dict[str, dict[str, tuple[list[Record], list[Record]]]] = {}
    for folder in sorted(run.iterdir()):
        if not (folder / "manifest.json").exists():
            continue
        names = json.loads(folder.with_name(f"{folder.name}.json").read_text(encoding="utf-8"))
        by_seed: dict[int, list[Record]] = {}
        for record in Store.open(folder).records():
            by_seed.setdefault(record.case.hyperparameters.seed, []).append(record)
        for seed, name in names.items():
            if members := by_seed.get(int(seed), []):
                case = together.setdefault(seeds.words(members[0].case), {})
                defaults, levered = case.setdefault(name, ([], []))
                defaults += by_seed.get(DEFAULT_SEED, [])
                levered += members
    for case, levered in together.items():
        differences = [_difference(*records) for records in levered.values()]
        marks = decide(differences)
        for (name, (_, members)), apart, (mark, _) in zip(levered.items(), differences, marks, strict=True):
            failed = [each for each in members if each.status is not Status.OK]
            why = f"{len(failed)} of {len(members)} failed: {failed[0].reason[:60]}" if failed else ""
            yield Result(name, members[0].case.mode.value, case, apart, mark, why)


def _difference(defaults: Sequence[Record], levered: Sequence[Record]) -> SpeedDifference:
    default, beside = measured(defaults), measured(levered)
    return difference(default, beside) if default and beside else SpeedDifference("groups", None, None, None)


def cell(found: SpeedDifference) -> tuple[str, str]:
    """The ratio and its interval."""
    if found.ratio is None:
        return "–", "–"
    low, high = (found.interval.low, found.interval.high) if found.interval is not None else (None, None)
    return f"{found.ratio:.3f}", "–" if low is None else f"{low:.3f} to {high:.3f}"


@app.command()
def table(
    run: Annotated[Path, typer.Argument(help="the folder of `measure` or `script`")],
    write: Annotated[bool, typer.Option(help="keep the results for docs/tuning.md")] = False,
) -> None:
    """Print the ratio of each lever to the default."""
    listed = list(results(run))
    lines = [
        [each.mode, each.lever, *cell(each.found), each.found.groups, each.mark.value, each.failures] for each in listed
    ]
    for case in dict.fromkeys(each.case for each in listed):
        print(case)
    headers = ["mode", "lever", "times the default", "95% interval", "groups", "verdict", ""]
    print(tabulate(lines, headers, tablefmt="github", disable_numparse=True))
    if write:
        keep(run, listed)


def keep(run: Path, listed: Sequence[Result]) -> None:
    """Write the results beside those of other machines and modes, and the pages that show them."""
    known = json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.exists() else {}
    first = next(folder for folder in sorted(run.iterdir()) if (folder / "manifest.json").exists())
    here = known.setdefault(Store.open(first).manifest.machine.summary, {})
    for each in listed:
        value, interval = cell(each.found)
        content = {"ratio": value, "interval": interval, "groups": each.found.groups, "verdict": each.mark.value}
        here.setdefault(each.case, {})[each.lever] = content | ({"failed": each.failures} if each.failures else {})
    MEASURED.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    subprocess.run([sys.executable, str(HERE.parent / "docs/generate.py")], check=True)


if __name__ == "__main__":
    app()
