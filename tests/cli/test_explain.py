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

    def go(*arguments, program=FAST):
        done = subprocess.run(
            [sys.executable, str(program), *arguments],
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


def test_the_offered_command_begins_as_this_one_did(command, tmp_path):
    """`python -m lenet.cli` is three words, not one in quotes."""
    started = tmp_path / "__main__.py"
    code = f"__file__ = {str(FAST)!r}\nexec(compile(open(__file__).read(), __file__, 'exec'))\n"
    started.write_text(code, encoding="utf-8")
    said = command("explain", "--dataset", "digits", "--budget", "1", "-o", "run", program=started)
    offered = shlex.split(" ".join(said.split()).rpartition("issue tracker: ")[2])
    assert offered[1:5] == ["-m", "lenet.cli", "script", "run"]
