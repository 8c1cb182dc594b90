"""Ctrl-C and SIGTERM in every command that measures: a normal end, nothing lost, and a hint that resumes the run."""

from __future__ import annotations

import functools
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import typer.main

from lenet.cli import app
from lenet.store.run import Store

FAST = Path(__file__).with_name("fast.py")

MEASURING = {
    "run": ["run", "--mode", "graph", "--repeat", "3", "--dataset", "digits"],
    "tune": ["tune", "--dataset", "digits", "--budget", "30"],
    "explain": ["explain", "--dataset", "digits"],
    "check": ["check", "--dataset", "digits", "--rung", "repeat,seed"],
    "reproduce": ["reproduce", "original"],
}
"""A short invocation of each command that starts workers."""

RECORDS = {"explain": 0}
"""Records that are written before the signal, where it is not 1: explain may measure one case only."""

SLOW_RECOMPUTATION = f"""
import pathlib, runpy, time
from lenet.commands import recompute

def step(self):
    pathlib.Path("recomputing").touch()
    time.sleep(300)

recompute.SHARE = 1e6
recompute.Recomputation._step = step
runpy.run_path({str(FAST)!r}, run_name="__main__")
"""
"""The same command, whose recomputation does not end."""

EXIT_CODES = {"check": 1, "reproduce": 1}
"""Exit codes that are not 0: the fake worker traces nothing, and no two of its trainings are alike."""


def test_every_command_that_measures_is_tested():
    commands = typer.main.get_group(app).commands
    assert set(MEASURING) == {name for name, each in commands.items() if any(p.name == "resume" for p in each.params)}


def _as_from_a_terminal():
    """Under nohup this process ignores SIGHUP, and so would the command."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def started(folder, *arguments, seconds, command=(str(FAST),)):
    """The command in that folder, with a temporary directory of its own and a worker of that pace."""
    (folder / "temporary").mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, *command, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder / "temporary"), "FAKE_SECONDS": str(seconds)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_as_from_a_terminal,
    )


@pytest.fixture
def start(tmp_path):
    """Start the command in an empty folder."""
    return functools.partial(started, tmp_path)


@pytest.fixture(scope="module")
def measured_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("original")
    arguments = ("run", "--mode", "graph", "--repeat", 2, "--dataset", "digits", "-o", "original")
    process = started(folder, *arguments, seconds=0.001)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return folder / "original"


@pytest.fixture
def original(measured_once, tmp_path):
    """A run to reproduce."""
    shutil.copytree(measured_once, tmp_path / "original")


@pytest.fixture(params=MEASURING)
def interrupted(request, start, tmp_path):
    """Interrupt a command while it measures; returns its exit code, standard error, run, and records before."""

    def go(signals):
        name = request.param
        if name == "reproduce":
            request.getfixturevalue("original")
        process = start(*MEASURING[name], "--output", "run", seconds=0.2)
        folder = tmp_path / "run"
        deadline = time.monotonic() + 60
        while not _measures(folder, RECORDS.get(name, 1)):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        before = {path: path.read_bytes() for path in (folder / "records").iterdir()}
        workers = psutil.Process(process.pid).children(recursive=True)
        assert workers
        for number in signals:
            process.send_signal(number)
            time.sleep(0.05)
        out, err = process.communicate(timeout=30)
        assert not [each for each in workers if each.is_running()]
        return process.returncode, out, err, before

    return go


def _measures(folder, records):
    """Whether so many records are written and a worker has reported an event since."""
    try:
        written = len(list((folder / "records").glob("*.json")))
        return written >= records and (folder / "events.jsonl").read_bytes().count(b"\n") > 8 * written
    except FileNotFoundError:
        return False


def stops(code, out, err, before, tmp_path):
    """Check how an interrupted command ended; returns the arguments that resume the run."""
    assert code == 130, err
    assert out == ""
    assert "Traceback" not in err
    assert not list((tmp_path / "temporary").iterdir()), "a folder is left"
    assert all(path.read_bytes() == content for path, content in before.items())
    assert len(Store.open(tmp_path / "run").records()) == len(before)
    ((count, hint),) = re.findall(r"stopped: (\d+) of \d+ records are in run; resume with: lenet-bench (.*)", err)
    assert int(count) == len(before)
    return shlex.split(hint)


def test_ctrl_c(interrupted, tmp_path):
    stops(*interrupted([signal.SIGINT, signal.SIGINT]), tmp_path)


@pytest.mark.parametrize("interrupted", ["run"], indirect=True)
def test_a_closed_terminal(interrupted, tmp_path):
    stops(*interrupted([signal.SIGHUP]), tmp_path)


def test_sigterm_as_timeout_sends_it_and_the_resumed_run(interrupted, start, tmp_path):
    """Twice: once to the process, and once to its group."""
    code, out, err, before = interrupted([signal.SIGTERM, signal.SIGTERM])
    hint = stops(code, out, err, before, tmp_path)
    process = start(*hint, seconds=0.001)
    out, err = process.communicate(timeout=100)
    assert process.returncode == EXIT_CODES.get(hint[0], 0), err
    assert out
    assert all(path.read_bytes() == content for path, content in before.items()), "a finished record is kept"
    assert not Store.open(tmp_path / "run").missing()


@pytest.mark.parametrize(
    ("name", "number"), [("run", signal.SIGINT), ("run", signal.SIGTERM), ("reproduce", signal.SIGINT)]
)
def test_while_trainings_are_recomputed(start, tmp_path, request, name, number):
    """Everything is measured by then: what the command writes and prints at its end is there, but for the proofs."""
    if name == "reproduce":
        request.getfixturevalue("original")
    command = ("-c", SLOW_RECOMPUTATION)
    process = start(*MEASURING[name], "--output", "run", seconds=0.001, command=command)
    deadline = time.monotonic() + 60
    while not (tmp_path / "recomputing").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    for _ in range(2):
        process.send_signal(number)
        time.sleep(0.05)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "recompute the trainings with: lenet-bench verify run" in err
    assert "graph" in out, "the table, or the verdicts"
    store = Store.open(tmp_path / "run")
    assert not store.missing()
    assert {"table.md", "table.json"} <= {path.name for path in store.path.iterdir()}
    assert not list((tmp_path / "temporary").iterdir())
