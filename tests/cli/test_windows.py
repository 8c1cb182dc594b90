"""On Windows (imitated, see tests/windows.py) commands that read runs work, and those that measure say a sentence."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

WINDOWS = Path(__file__).parents[1] / "windows.py"


@pytest.fixture
def command(honest_run, tmp_path):
    shutil.copytree(honest_run, tmp_path / "a")
    shutil.copytree(honest_run, tmp_path / "b")

    def run(*arguments):
        return subprocess.run(
            [sys.executable, str(WINDOWS), *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=250
        )

    return run


@pytest.mark.parametrize(
    "words",
    [
        "table a", "table a --format csv -o rows.csv", "report a -o report.html", "report a", "compare a b",
        "verify a --steps 0", "merge a b -o all", "check --help", "--version",
    ],
)  # fmt: skip
def test_a_command_that_reads_runs_works(command, words):
    done = command(*words.split())
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", ["run", "run --resume a", "tune", "check", "explain", "reproduce a"])
def test_a_command_that_measures_says_a_sentence(command, words):
    done = command(*words.split())
    assert done.returncode == 2, done.stderr
    assert "use Linux in WSL 2" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_link_is_not_followed_there_either(command, tmp_path):
    record = next((tmp_path / "a/records").iterdir())
    moved = record.rename(tmp_path / record.name)
    record.symlink_to(moved)
    done = command("table", "a")
    assert done.returncode == 2
    assert "it is a link" in done.stderr
