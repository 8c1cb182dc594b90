"""What `explain` prints beside the explanation."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

FAST = Path(__file__).with_name("fast.py")


@pytest.fixture
def command(tmp_path):
    """Run a command in an empty folder, with workers that are done in a blink; what it says on standard error."""

    def go(*arguments):
        done = subprocess.run(
            [sys.executable, str(FAST), *arguments],
            cwd=tmp_path,
            env={**os.environ, "FAKE_SECONDS": "0.001"},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    return go


def test_it_offers_a_report_of_the_case(command, tmp_path):
    said = " ".join(command("explain", "--dataset", "digits", "--budget", "1", "-o", "run").split())
    name, *words = shlex.split(said.rpartition("issue tracker: ")[2])
    assert (name, words[:2]) == ("lenet-bench", ["script", "run"])
    command(*words)
    assert "images/s" in (tmp_path / "issue.md").read_text(encoding="utf-8")


def test_it_says_how_much_of_the_budget_is_left(command):
    said = command("explain", "--dataset", "digits", "--budget", "500", "-o", "run")
    assert "without instruments (500 s left)" in said
