"""Hints begin with words that start the command in the place where they are printed."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lenet.cli.program import RUNNERS, command_line, program, runnable
from lenet.machine.programs import quoted

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
    for name in RUNNERS:
        monkeypatch.delenv(name, raising=False)
    return path


def test_a_shell_that_finds_it(script, monkeypatch):
    monkeypatch.setenv("PATH", str(script.parent), prepend=os.pathsep)
    assert program() == "lenet-bench"


@pytest.mark.parametrize("runner", RUNNERS)
def test_where_another_program_activates_the_environment_it_is_the_path(script, monkeypatch, runner):
    monkeypatch.setenv("PATH", str(script.parent), prepend=os.pathsep)
    monkeypatch.setenv(runner, "cpu")
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


def test_in_the_folder_of_the_script(script, monkeypatch):
    monkeypatch.chdir(script.parent)
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.setattr(sys, "argv", ["./lenet-bench"])
    assert program() == str(script)


def test_where_the_working_folder_is_gone(script, monkeypatch, tmp_path):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    monkeypatch.setenv("PATH", "/usr/bin")
    assert program() == str(script)


WORDS = ("plain", "", "two words", "a  b", " ", "-x", "it's", '"$HOME"', "`x`", "$(x)", "a\nb\tc", "\x1b[31m", "Größe")
WORDS += ("\udcff", "a\udcffö'\\", "\u202e", "~", "*", "!", "a=b", "{a,b}", "#x", "\\")


@pytest.mark.parametrize("word", WORDS, ids=range(len(WORDS)))
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_bash_reads_a_printed_word_as_it_was(word, encoding, monkeypatch):
    """On one line, without control characters, whatever the terminal's encoding has."""
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    printed = quoted(word)
    assert printed.isprintable()
    printed.encode(encoding)
    done = subprocess.run(["bash", "-c", f"printf '%s\\0' {printed}"], capture_output=True, check=True)
    assert done.stdout == os.fsencode(word) + b"\0"


def test_a_command_line_of_words(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["lenet-bench"])
    assert command_line("run", "--resume", "a run") == "lenet-bench run --resume 'a run'"
