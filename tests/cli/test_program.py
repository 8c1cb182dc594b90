"""Hints begin with words that start the command in the place where they are printed."""

from __future__ import annotations

import ast
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lenet.cli import COMMANDS, _fail
from lenet.cli.invocation import Invocation, warn
from lenet.cli.program import RUNNERS, command_line, program
from lenet.errors import program_words, runnable
from lenet.machine.programs import quoted
from lenet.report.layout import paragraphs, wrapped
from lenet.report.table.forms import Layout, shown

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


NAMES = "|".join(command.__name__ for command in COMMANDS)
PLAIN = re.compile(rf"(?<=.)(?<!`)\blenet-bench (?:{NAMES}|--)\b")
"""A command within a message, but not in backticks: `runnable` leaves it as it is."""
NAMELESS = re.compile(rf"`(?:{NAMES}) [^`]")
"""A command line that begins with the command: no shell finds it."""


def texts(source):
    """The strings of a module that somebody may read when it runs, with `{}` for what is put into them."""
    tree = ast.parse(source)
    silent = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    silent |= {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in silent:
            yield node.value


def test_a_message_that_names_a_command_has_it_whole_in_backticks():
    assert PLAIN.search("it is damaged: see lenet-bench verify")
    assert NAMELESS.search("`lenet-bench tune` searches, `run --profile tuned` compares")
    found = [
        (path.name, text)
        for path in sorted((ROOT / "lenet").rglob("*.py"))
        for text in texts(path.read_text(encoding="utf-8"))
        if PLAIN.search(text) or NAMELESS.search(text)
    ]
    assert found == []


class TestEveryPrinterNamesTheCommandThatWorksHere:
    MESSAGE, HERE = "see `lenet-bench verify RUN` first", "see `.tox/cpu/bin/lenet-bench verify RUN` first"

    @pytest.fixture(autouse=True)
    def here(self, script, monkeypatch):
        monkeypatch.setenv("PATH", "/usr/bin")
        token = program_words.set(program)
        yield
        program_words.reset(token)

    def test_messages_that_are_wrapped(self):
        assert runnable(self.MESSAGE) == wrapped(self.MESSAGE) == self.HERE
        assert paragraphs([self.MESSAGE]) == f"{self.HERE}\n"

    def test_warnings_and_notes(self, capsys):
        warn(self.MESSAGE)
        Invocation(None, False, None).note(self.MESSAGE)
        assert capsys.readouterr().err == f"lenet-bench: WARNING: {self.HERE}\n{self.HERE}\n"

    def test_errors(self, capsys):
        assert _fail(self.MESSAGE) == 2
        assert capsys.readouterr().err == f"lenet-bench: error: {self.HERE}\n"

    def test_a_table_in_a_terminal_but_not_one_in_a_file(self):
        layout = Layout(["a"], [["b"]], [False], [], [self.MESSAGE])
        assert self.HERE in shown(layout, "terminal")
        assert self.HERE not in shown(layout, "github")
