"""`verify` accepts a run of every command and engine as the command line makes it, and refuses a forged copy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lenet.commands.verify import verify

TESTS = Path(__file__).resolve().parents[1]
PLAN = """
[plan]
warmup_steps = 6
window_steps = 4
window_seconds = 0.02
windows = 3
resident_windows = 2
"""
MATRICES = {
    "plain": 'modes = ["graph"]\ndatasets = ["digits"]\nbatch_sizes = [64]\nrepeat = 2\n' + PLAN,
    "strong": 'modes = ["graph"]\ndatasets = ["digits"]\nbatch_sizes = [64]\nworld_sizes = [1, 2]\n' + PLAN,
    "weak": 'modes = ["graph"]\ndatasets = ["digits"]\nbatch_sizes = [64]\nworld_sizes = [2]\nscalings = ["weak"]\n'
    + PLAN,
}


class CommandLine:
    """`lenet-bench` with workers that train in NumPy, each run in a folder of its own name."""

    def __init__(self, folder, msrun):
        self.folder = folder
        for name, text in MATRICES.items():
            (folder / f"{name}.toml").write_text(text)
        paths = [str(TESTS / "cheap"), str(TESTS.parent)]
        self.environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "FAKE_MSRUN": str(msrun),
            "LENET_BENCH_PROFILES": str(folder / "profiles"),
        }

    def __call__(self, *arguments):
        command = [sys.executable, "-m", "lenet.cli", *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=280, check=False
        )
        assert done.returncode == 0, done.stderr
        return done


@pytest.fixture(scope="module")
def cli(tmp_path_factory, fake_msrun):
    return CommandLine(tmp_path_factory.mktemp("user"), fake_msrun)


RUNS = {
    "plain": ["run", "--matrix", "plain.toml"],
    "epochs": ["run", "--mode", "graph", "--batch-size", "64", "--epochs", "2", "--dataset", "digits"],
    "until": ["run", "--matrix", "plain.toml", "--until", "0.01%", "--budget", "5"],
    "strong": ["run", "--matrix", "strong.toml"],
    "strong-epochs": ["run", "--matrix", "strong.toml", "--epochs", "2"],
    "weak": ["run", "--matrix", "weak.toml"],
    "check": ["check", "--dataset", "digits", "--batch-size", "64", "--steps", "30"],
    "tune": ["tune", "--dataset", "digits", "--batch-size", "64", "--budget", "5"],
}


@pytest.mark.parametrize("name", RUNS)
def test_the_run_is_verified(cli, name):
    done = cli(*RUNS[name], "--output", name)
    violations = verify(cli.folder / name).violations
    assert [str(each) for each in violations] == [], done.stdout
