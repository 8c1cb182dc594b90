"""Folders that belong to somebody else or cannot be written, no home, and no working folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from lenet.commands.verify import verify

TESTS = Path(__file__).resolve().parents[1]
NOBODY = 65534
RUN = ("run", "--mode", "graph", "--batch-size", "32", "--dataset", "digits", "--device", "cpu", "--quiet")
TUNE = ("tune", "--dataset", "digits", "--budget", "1", "--quiet", "-o", "tuned")


class Done(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def call(tmp_path):
    """Run command lines with a worker that is done in a blink, in a folder of its own, where permissions count.

    They run in one process; returns how each ended.
    """
    own = {"CACHE": "cache", "LOCKS": "locks", "PROFILES": "profiles"}
    variables = {f"LENET_BENCH_{name}": str(tmp_path / folder) for name, folder in own.items()}
    (tmp_path / "locks").mkdir()

    def go(*lines, cwd=tmp_path, **changes):
        wanted = {**os.environ, **variables, **changes}
        done = subprocess.run(
            [sys.executable, str(TESTS / "unprivileged.py"), sys.executable, str(TESTS / "cli/several.py")],
            cwd=cwd, env={name: value for name, value in wanted.items() if value is not None}, capture_output=True,
            text=True, timeout=200, input=json.dumps([[str(word) for word in line] for line in lines]),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return [Done(*each) for each in json.loads(done.stdout)]

    return go


def somebody_elses(folder, mode=0o555):
    """Give the folder and all in it to another user, or without the right to do so make it read-only."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(mode if path.is_dir() else 0o444)
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)
    return folder


@pytest.fixture
def theirs(honest_run, tmp_path):
    """A finished run of another user."""
    shutil.copytree(honest_run, tmp_path / "theirs" / "run")
    return somebody_elses(tmp_path / "theirs")


def refused(done, *words):
    assert done.returncode == 2, done
    assert "Traceback" not in done.stderr
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("lenet-bench: error: "))
    assert all(word in line for word in words), line


def test_the_run_of_another_user_is_read(call, theirs, tmp_path):
    run = theirs / "run"
    lines = (
        ("table", run),
        ("verify", run, "--steps", "0"),
        ("compare", run, run),
        ("report", run, "-o", "report.md"),
        ("merge", run, "-o", "all"),
        ("run", "--resume", run, "--dry-run"),
    )
    for words, done in zip(lines, call(*lines), strict=True):
        assert (done.returncode, done.stderr) == (0, ""), words
    assert not verify(next((tmp_path / "all" / "runs").iterdir())).violations


def test_what_would_write_to_it_is_refused(call, theirs, honest_run):
    resumed, *others = call(
        ("run", "--resume", theirs / "run", "--quiet"),
        (*RUN, "-o", theirs / "mine"),
        ("merge", honest_run, "-o", theirs / "all"),
        ("table", honest_run, "-o", theirs / "table.md"),
        ("report", honest_run, "-o", theirs / "run" / "report.md"),
    )
    refused(resumed, "cannot write", "Permission denied")
    for done in (*others, *call(RUN, LENET_BENCH_RESULTS=str(theirs))):
        refused(done, "choose another --output")


def test_a_cache_of_another_user_is_used_as_it_is(call, tmp_path, digits):
    shutil.copytree(digits.folder, tmp_path / "cache" / digits.folder.name)
    somebody_elses(tmp_path / "cache")
    (done,) = call((*RUN, "-o", "run"))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("mode", [0o555, 0o000], ids=["read-only", "closed"])
def test_a_cache_that_cannot_be_used_is_refused_by_name(call, tmp_path, mode):
    (tmp_path / "cache").mkdir()
    somebody_elses(tmp_path / "cache", mode)
    refused(*call((*RUN, "-o", "run")), "set LENET_BENCH_CACHE to another folder")
    assert not (tmp_path / "run").exists()


def test_tune_refuses_a_folder_of_profiles_before_it_measures(call, tmp_path):
    (tmp_path / "profiles").mkdir()
    somebody_elses(tmp_path / "profiles")
    refused(*call(TUNE), "LENET_BENCH_PROFILES")
    assert not (tmp_path / "tuned").exists()


def test_profiles_in_a_folder_whose_name_is_no_text(call, tmp_path):
    (done,) = call((*TUNE, "--format", "json"), LENET_BENCH_PROFILES=str(tmp_path / "\udcff"))
    assert done.returncode == 0, done.stderr
    assert "\ufffd" in json.loads(done.stdout)["results"][0]["path"]


def test_locks_of_other_users_that_cannot_be_opened_hinder_nobody(call, tmp_path):
    (tmp_path / "locks" / "lenet-bench-cpu.lock").touch(mode=0o600)
    if os.geteuid() != 0:
        (tmp_path / "locks" / "lenet-bench-cpu.lock").chmod(0)
    else:
        os.chown(tmp_path / "locks" / "lenet-bench-cpu.lock", NOBODY, NOBODY)
    (done,) = call((*RUN, "-o", "run"))
    assert done.returncode == 0
    assert "no lock on cpu" in done.stderr


NO_HOME = {"LENET_BENCH_CACHE": None, "LENET_BENCH_PROFILES": None, "XDG_CACHE_HOME": None, "XDG_DATA_HOME": None}


@pytest.mark.parametrize("home", ["absent", "read-only", "a file", ""])
def test_a_home_that_cannot_be_used(call, tmp_path, home, honest_run):
    folder = tmp_path / "home"
    if home == "read-only":
        folder.mkdir()
        somebody_elses(folder)
    elif home == "a file":
        folder.touch()
    elif home == "absent":
        (tmp_path / "void").mkdir()
        folder = somebody_elses(tmp_path / "void") / "home"
    home = str(folder) if home else "/proc/nowhere"
    run, table = call((*RUN, "-o", "run"), ("table", honest_run), **NO_HOME, HOME=home)
    refused(run, "set LENET_BENCH_CACHE to another folder")
    assert (table.returncode, table.stderr) == (0, "")
    changes = {**NO_HOME, "LENET_BENCH_CACHE": str(tmp_path / "cache")}
    refused(*call(TUNE, **changes, HOME=home), "LENET_BENCH_PROFILES")


def test_a_temporary_folder_that_cannot_be_used_is_replaced(call, tmp_path):
    (tmp_path / "temporary").mkdir()
    somebody_elses(tmp_path / "temporary")
    for folder in ("temporary", "absent"):
        (done,) = call((*RUN, "-o", folder + "-run"), TMPDIR=str(tmp_path / folder))
        assert (done.returncode, done.stderr) == (0, "")


def test_a_working_folder_that_is_gone(honest_run, tmp_path):
    line = f'mkdir gone && cd gone && rmdir ../gone && "{sys.executable}" -m lenet.cli'
    paths = {"PYTHONPATH": str(TESTS.parent)}

    def shell(words):
        return subprocess.run(
            ["bash", "-c", f"{line} {words}"], cwd=tmp_path, env={**os.environ, **paths}, capture_output=True, text=True
        )

    assert shell(f"table '{honest_run}'").returncode == 0
    refused(shell("table nowhere"), "cannot read nowhere")
    refused(shell("run --mode graph --dataset digits --device cpu"), "choose another --output")
