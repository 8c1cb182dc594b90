"""On other platforms (imitated, see imitated.py) each command gives its result, or says in a sentence why not."""

from __future__ import annotations

import functools
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import typer.main

from lenet.cli import COMMANDS, app

TESTS = Path(__file__).parents[1]
PLACES = {"Windows": "Windows x86-64", "macOS": "macOS aarch64", "aarch64": "Linux aarch64"}

EXAMPLES = tuple(example.removeprefix("lenet-bench ") for example in COMMANDS.values())
"""Each command, as its help has it."""
FURTHER = (
    *("table results/mine", "table results/mine --format csv -o rows.csv", "table results/mine --by version"),
    *("report results/mine", "report results/mine -o report.md", "check results/mine", "verify results/mine --steps 0"),
    *("submit results/mine -o a.zip", "verify a.zip --steps 0", "merge a.zip -o merged", "script --mode graph"),
    *(
        "reproduce --list",
        "run --resume results/laptop",
        "reproduce results/theirs",
        "clean --only data --yes",
        "--version",
    ),
)
"""Other forms of them."""

ENDS = {
    "submit results/mine --sign": (2, "has no SSH key"),
    "reproduce results/theirs --exact": (2, "cannot be built: there is no network"),
    "check --rung repeat,seed,modes": (1, "reported no trace"),
    "reproduce results/theirs": (1, "accuracy"),
    "verify results/theirs": (1, "another training"),
    "doctor --device gpu": (1, "MindSpore has a GPU plugin for Linux x86-64 only; this is"),
}
"""Exit codes that are not 0, and why: here is neither a key nor a network nor a GPU, and no training is LeNet's."""


def measures(line: str) -> bool:
    """Whether that command line measures: it makes a run."""
    command = typer.main.get_group(app).commands.get(line.split()[0])
    reads = line.startswith(("check results", "reproduce --list"))
    return command is not None and any(each.name == "resume" for each in command.params) and not reads


def runs_in_examples() -> set[str]:
    """The runs that the examples name as arguments."""
    found: set[str] = set()
    for line in EXAMPLES:
        name, *words = shlex.split(line)
        context = typer.main.get_group(app).commands[name].make_context(name, words)
        for parameter in context.command.params:
            value = context.params[str(parameter.name)]
            if parameter.param_type_name == "argument" and value is not None:
                found |= {str(each) for each in (value if isinstance(value, list | tuple) else [value])}
    return found


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """All that it printed, on one line."""
        return " ".join(f"{self.out} {self.err}".split())


def imitated(place: str, folder: Path, *arguments: str, lines: tuple[str, ...] = (), cheap: bool = False) -> str:
    paths = [*([str(TESTS / "cheap")] if cheap else []), str(TESTS.parent), os.environ.get("PYTHONPATH", "")]
    (folder / "home").mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("imitated.py")), place, *arguments],
        input=json.dumps([shlex.split(line) for line in lines]), cwd=folder, capture_output=True, text=True,
        timeout=280, env={
            **os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "HOME": str(folder / "home"),
            "LENET_BENCH_CACHE": str(folder / "cache"), "LENET_BENCH_PROFILES": str(folder / "profiles"),
            "FAKE_SECONDS": "0",
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folder(honest_run, tmp_path):
    for name in ("a", "b"):
        shutil.copytree(honest_run, tmp_path / name)
    return tmp_path


@pytest.fixture(scope="module")
def outcomes(honest_run, tmp_path_factory):
    """How each command line ended on a platform, and the folder in which they ran; all lines run at the first call."""

    @functools.cache
    def on(place):
        folder = tmp_path_factory.mktemp("elsewhere")
        for run in runs_in_examples():
            shutil.copytree(honest_run, folder / run)
        lines = (*EXAMPLES, *FURTHER)
        ended = json.loads(imitated(place, folder, "--fake", lines=lines))
        return dict(zip(lines, (Done(*each) for each in ended), strict=True)), folder

    return on


@pytest.mark.parametrize("line", [*EXAMPLES, *FURTHER])
@pytest.mark.parametrize("place", PLACES)
def test_each_command_gives_its_result_or_its_sentence(outcomes, place, line):
    ended, folder = outcomes(place)
    done = ended[line]
    assert "Traceback" not in done.err, done.err
    wanted, words = ENDS.get(line, (0, ""))
    if place == "Windows" and measures(line):
        wanted, words = 2, "use Linux in WSL 2"
    assert (done.code, words in done.said) == (wanted, True), f"{done.code}\n{done.out}\n{done.err}"
    if done.code == 2:
        assert done.out == ""
        assert done.err.startswith("lenet-bench: error: ")
        assert done.err.count("\n") == 1
        return
    written = [folder / word for before, word in zip(line.split(), line.split()[1:], strict=False) if before == "-o"]
    assert written or done.out, done
    assert all(path.exists() for path in written)


@pytest.mark.parametrize("place", PLACES)
def test_the_doctor_names_the_wheel_of_another_platform(outcomes, place):
    ended, _ = outcomes(place)
    said = f"is built for Linux x86-64 and this is {PLACES[place]}: install the wheel for it from https://"
    assert said in ended["doctor --device gpu"].said


def test_a_link_is_not_followed_on_windows_either(folder):
    record = next((folder / "a/records").iterdir())
    moved = record.rename(folder / record.name)
    record.symlink_to(moved)
    ((code, _, err),) = json.loads(imitated("Windows", folder, lines=("table a",)))
    assert code == 2
    assert "it is a link" in err


def test_notebooks_read_on_windows_and_are_told_where_to_measure(folder):
    code = """
import lenet
from lenet.dataset import resolve
print(len(lenet.read("a")), len(lenet.compare("a", "b")), resolve("digits").folder.name)
try:
    lenet.measure(mode="graph")
except lenet.errors.UsageError as error:
    print(error)
"""
    counts, sentence = imitated("Windows", folder, "-c", code).splitlines()
    assert counts == "4 2 digits", "the data is where verify finds it"
    assert "use Linux in WSL 2" in sentence


@pytest.mark.parametrize("place", ["macOS", "aarch64"])
def test_a_run_is_measured_and_verified_elsewhere(folder, place):
    (folder / "short.toml").write_text(
        "[plan]\nwarmup_steps = 6\nwindow_steps = 4\nwindow_seconds = 0.02\nwindows = 3\nresident_windows = 1\n",
        encoding="utf-8",
    )
    options = "--matrix short.toml --mode graph,jit --batch-size 32 --dataset digits --device cpu --output c --quiet"
    lines = (f"run {options}", "table c", "report c -o report.html", "verify c --steps 0")
    for line, (code, out, err) in zip(lines, json.loads(imitated(place, folder, lines=lines, cheap=True)), strict=True):
        assert code == 0, f"{line}: {out}{err}"
        assert "Traceback" not in err
