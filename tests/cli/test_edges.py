"""Every option that takes a path or a number, at the edges of what can be given: a documented exit code."""

from __future__ import annotations

import os
import re
import shutil
import threading
from pathlib import Path

import pytest
import typer.main

import lenet
from lenet.cli import app
from lenet.errors import BAD_INPUT, FAILED, INTERRUPTED
from lenet.files.folder import scan
from lenet.store.seal import write_seal
from lenet.store.submission import pack

COMMANDS = typer.main.get_group(app).commands

BASE = {
    "run": ["--dataset", "digits", "--mode", "graph", "--device", "cpu"],
    "tune": ["--dataset", "digits"],
    "explain": ["--dataset", "digits"],
    "check": ["--dataset", "digits"],
    "reproduce": ["run"],
    "compare": ["run", "run"],
    "merge": ["run", "--output", "merged"],
    "submit": ["run", "--output", "run.zip"],
    "verify": ["run", "--steps", "0"],
    "table": ["run"],
    "report": ["run"],
    "script": [],
    "doctor": [],
    "clean": [],
}
"""What a command is given besides the option at its edge."""

PATHS = (
    *("", "-", "-x", "/dev/null", "/dev/zero", "/dev/full", "file/x", "ring", "data"),
    *("x" * 300, "deep/" * 1000, "a\nb", "\udcff", "new\u202e.html"),
)
NUMBERS = ("", "0", "-1", "1", "1e-308", "1e308", "10000001", "nan", "-inf", "9" * 400, "0x10")
NEVER = {"", "nan", "-inf", "0x10"}
"""Numbers that no option takes."""


def kind(parameter):
    described = getattr(parameter, "type_descriptor", None)  # of Typer 0.29; it was Click's `type` before
    name = str(described.annotation) if described is not None else type(parameter.type).__name__
    if "Path" in name:
        return "path"
    return "number" if re.search(r"int|float", name, re.IGNORECASE) else ""


def options(wanted):
    return [
        pytest.param(name, parameter, id=f"{name}-{parameter.name}")
        for name, command in COMMANDS.items()
        for parameter in command.params
        if kind(parameter) == wanted
    ]


def line(name, parameter, value):
    if parameter.param_type_name == "argument":
        return [name, value] if parameter.nargs == 1 or name != "compare" else [name, "run", value]
    option = max(parameter.opts, key=len)
    base = [] if parameter.name == "resume" and name == "run" else list(BASE[name])
    if option in base:
        del base[base.index(option) : base.index(option) + 2]
    return [name, *base, f"{option}={value}"]


def checked(world, words):
    code, out, err = world(words)
    assert code in (0, FAILED, BAD_INPUT, INTERRUPTED), (words, code, err)
    assert "Traceback" not in out + err, words
    if code == BAD_INPUT:
        (message,) = (each for each in err.splitlines() if each.startswith("lenet-bench: error: "))
        assert message.isprintable(), words
    return code


@pytest.mark.parametrize(("name", "parameter"), options("path"))
def test_a_path(world, name, parameter):
    codes = {value: checked(world, line(name, parameter, value)) for value in PATHS}
    assert BAD_INPUT in codes.values(), "no command can use all of them"


@pytest.mark.parametrize(("name", "parameter"), options("number"))
def test_a_number(world, name, parameter):
    codes = {value: checked(world, line(name, parameter, value)) for value in NUMBERS}
    assert all(codes[value] == BAD_INPUT for value in NEVER), codes
    assert len(set(codes.values())) > 1, "some number is taken"


def test_every_command_is_given_something():
    assert set(BASE) == set(COMMANDS)
    assert len(options("path")) > 20
    assert len(options("number")) > 8


@pytest.mark.parametrize(
    "words", [["table", "run", "-o", ""], ["table", ""], ["run", "--data-dir="], ["verify", "run", "--data-dir", ""]]
)
def test_an_empty_word_is_refused(world, words):
    """It would be the working folder."""
    code, _, err = world(words)
    assert code == BAD_INPUT
    assert "is empty: a variable of the shell may be unset" in err


def test_a_dash_is_standard_output_and_no_folder(world, tmp_path):
    for words in (["table", "run"], ["report", "run", "--format", "markdown"], ["script", "--mode", "graph"]):
        code, out, _ = world([*words, "-o", "-"])
        assert code == 0
        assert out
        assert not (tmp_path / "world" / "-").exists()
    for words in (["run", "--dataset", "digits"], ["merge", "run"], ["tune", "--dataset", "digits"]):
        code, _, err = world([*words, "-o", "-"])
        assert (code, "name a folder" in err) == (BAD_INPUT, True)


READ = {
    "matrix": ["run", "--device", "cpu", "--matrix"],
    "reference": ["check", "run", "--reference"],
    "record": ["reproduce"],
    "submission": ["verify", "--steps", "0"],
    "submissions": ["merge", "-o", "merged"],
}
"""Options and arguments that take a file to read."""


@pytest.mark.parametrize("name", READ)
def test_a_file_comes_through_a_pipe(world, name, honest_run, tmp_path):
    """As bash's `<(command)` gives it."""
    shutil.copytree(honest_run, tmp_path / "sealed")
    write_seal(tmp_path / "sealed")
    submission = pack(scan(tmp_path / "sealed"))
    content = {
        "matrix": b'modes = ["graph"]\ndatasets = ["digits"]\nbatch_sizes = [32]\n',
        "reference": (Path(lenet.__file__).parent / "analysis/reference/mnist-b32.json").read_bytes(),
        "record": next((honest_run / "records").iterdir()).read_bytes(),
    }.get(name, submission)
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(content,))
    writer.start()
    code, _, err = world([*READ[name], str(tmp_path / "pipe")])
    writer.join()
    assert code in (0, FAILED), err


def test_a_pipe_in_a_folder_of_references_is_not_waited_for(world, tmp_path):
    (tmp_path / "references").mkdir()
    os.mkfifo(tmp_path / "references" / "x.json")
    code, _, err = world(["check", "run", "--reference", str(tmp_path / "references")])
    assert code == BAD_INPUT
    assert "not a plain file" in err
