"""Ctrl-C and SIGTERM in every command that measures nothing: exit code 130, nothing half written, nothing left."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from lenet.cli import app

TESTS = Path(__file__).resolve().parents[1]
TIMES = 2
"""How often each command is interrupted, at another place each time."""

READING = {
    "table": ["table", "run", "-o", "table.md"],
    "report": ["report", "run", "-o", "report.html"],
    "compare": ["compare", "run", "run", "-o", "compare.csv"],
    "verify": ["verify", "run", "--steps", "3"],
    "merge": ["merge", "run", "-o", "merged"],
    "submit": ["submit", "run", "-o", "run.zip"],
    "script": ["script", "--mode", "graph", "-o", "case.py"],
    "clean": ["clean"],
    "doctor": ["doctor", "--device", "cpu", "--timeout", "1"],
    "check": ["check", "run"],
    "reproduce": ["reproduce", "--list"],
    "run": ["run", "--resume", "run", "--dry-run"],
}
MEASURES_ONLY = {"tune", "explain"}


def test_every_command_is_tested():
    assert set(READING) | MEASURES_ONLY == set(typer.main.get_group(app).commands)


@pytest.fixture
def call(tmp_path, honest_run):
    folder = tmp_path / "here"
    shutil.copytree(honest_run, folder / "run")
    (tmp_path / "temporary").mkdir()

    def go(*words):
        return subprocess.run(
            [sys.executable, str(TESTS / "signalled.py"), *map(str, words)], cwd=folder, capture_output=True, text=True,
            env={**os.environ, "TMPDIR": str(tmp_path / "temporary"), "ACCESSES": str(tmp_path / "accesses")},
            timeout=200,
        )  # fmt: skip

    return go


def files(folder):
    return {path.relative_to(folder) for path in folder.rglob("*")}


@pytest.mark.parametrize("name", READING)
def test_a_signal_anywhere(name, call, tmp_path, seed):
    words, folder = READING[name], tmp_path / "here"
    before = files(folder)
    usual = call(0, "SIGTERM", *words)
    assert usual.returncode in (0, 1), usual.stderr
    made = files(folder) - before
    for path in sorted(made, reverse=True):
        (folder / path).rmdir() if (folder / path).is_dir() else (folder / path).unlink()
    accesses = int((tmp_path / "accesses").read_text())
    chance = random.Random(seed)
    for number in (chance.choice(["SIGTERM", "SIGINT"]) for _ in range(TIMES)):
        at = chance.randint(2, max(2, accesses * 9 // 10))
        done = call(at, number, *words)
        where = f"{number} at access {at} of {accesses}: {done.stderr}"
        assert done.returncode == 130, where
        assert done.stderr.splitlines()[-1] == "lenet-bench: stopped", where
        assert "Traceback" not in done.stderr, where
        assert files(folder) - before <= made, where
        assert not [path for path in files(folder) if path.name.endswith(".tmp")], where
        assert not list((tmp_path / "temporary").iterdir()), where
    again = call(0, "SIGTERM", *words)
    assert (again.returncode, again.stdout) == (usual.returncode, usual.stdout)


WHILE_IT_IS_IMPORTED = """
import os, signal, sys
def hook(event, arguments):
    if event == "import" and arguments[0] == "typer":
        os.kill(os.getpid(), getattr(signal, sys.argv[1]))
sys.addaudithook(hook)
import lenet_bench
lenet_bench.main()
"""


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_a_signal_before_the_command_has_begun(number, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WHILE_IT_IS_IMPORTED, number], capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(TESTS.parent)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (130, "lenet-bench: stopped\n")
