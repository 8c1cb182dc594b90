"""Hints begin with words that start the command in the place where they are printed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lenet.cli.program import program, runnable

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def script(tmp_path, monkeypatch):
    """The command's script in an environment of tox below the working folder, started by its path."""
    path = tmp_path / ".tox/cpu/bin/lenet-bench"
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n", encoding="utf-8")
    path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(path)])
    monkeypatch.delenv("TOX_ENV_NAME", raising=False)
    return path


def test_a_shell_that_finds_it(script, monkeypatch):
    monkeypatch.setenv("PATH", str(script.parent), prepend=os.pathsep)
    assert program() == "lenet-bench"


def test_in_tox_the_path(script, monkeypatch):
    monkeypatch.setenv("PATH", str(script.parent), prepend=os.pathsep)
    monkeypatch.setenv("TOX_ENV_NAME", "cpu")
    assert program() == ".tox/cpu/bin/lenet-bench"
    assert runnable("run `lenet-bench tune --mode jit` first") == "run `.tox/cpu/bin/lenet-bench tune --mode jit` first"


def test_an_environment_that_is_not_activated(script, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "/usr/bin")
    assert program() == ".tox/cpu/bin/lenet-bench"
    monkeypatch.chdir(script.parent)
    assert program() == str(script)


def test_as_a_module(tmp_path):
    """The interpreter is named by its path from the working folder, if it is below."""
    code = "import sys; sys.argv[0] = 'x/__main__.py'; from lenet.cli.program import program; print(program())"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert shown.stdout == f"{sys.executable} -m lenet.cli\n"
