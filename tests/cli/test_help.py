"""The help of each command, and shell completion."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys

import pytest
import typer.main

from lenet.cli import COMMANDS, app
from lenet.cli.help import GROUPS

EXAMPLES = {command.__name__: example for command, example in COMMANDS.items()}
HEAVY = {"mindspore", "torch", "pandas", "sklearn", "scipy", "numpy", "requests", "pydantic", "rich.console"}


def test_the_help_names_all_commands_and_imports_nothing_heavy():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "lenet.cli", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert set(EXAMPLES) <= set(done.stdout.split())
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "typer" in imported
    assert not imported & HEAVY


@pytest.mark.parametrize("name", EXAMPLES)
class TestCommand:
    @pytest.fixture
    def text(self, lenet_bench, name):
        done = lenet_bench(name, "--help")
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def test_it_fits_80_columns_without_colour(self, text):
        assert max(map(len, text.splitlines())) <= 80
        assert "\x1b" not in text
        assert f"Example: {EXAMPLES[name_of(text)]}" in text.splitlines()[-1]

    def test_every_option_is_in_a_group(self, text, name):
        headings = re.findall(r"^(\S.*):$", text, flags=re.MULTILINE)
        assert set(headings) <= {"Arguments", "Options", *(f"{group} options" for group in GROUPS)}
        _, _, ungrouped = text.partition("\nOptions:\n")
        assert re.findall(r"^  (-\S+)", ungrouped, flags=re.MULTILINE) == ["--help"]

    def test_the_example_is_a_command_line(self, name):
        words = shlex.split(EXAMPLES[name])
        assert words[:2] == ["lenet-bench", name]
        command = typer.main.get_group(app).commands[name]
        assert command.make_context(name, words[2:]).params


def name_of(text):
    return re.findall(r"lenet-bench (\w+)", text)[0]


class TestCompletion:
    def complete(self, line, position, **variables):
        done = subprocess.run(
            [sys.executable, "-m", "lenet.cli"],
            env={
                **os.environ,
                "_LENET_BENCH_COMPLETE": "complete_bash",
                "COMP_WORDS": line,
                "COMP_CWORD": str(position),
                **variables,
            },
            capture_output=True,
            text=True,
        )
        return done.stdout.split()

    def test_commands_and_options(self):
        assert self.complete("lenet-bench re", 1) == ["report", "reproduce"]
        assert "--batch-size" in self.complete("lenet-bench run --b", 2)

    def test_it_can_be_installed(self, tmp_path):
        done = subprocess.run(
            ["bash", "-c", f"{shlex.quote(sys.executable)} -m lenet.cli --install-completion; true"],
            env={**os.environ, "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        assert "bash completion installed" in done.stdout, done
        (script,) = (tmp_path / ".bash_completions").iterdir()
        assert "_LENET_BENCH_COMPLETE=complete_bash" in script.read_text()
        assert str(script) in (tmp_path / ".bashrc").read_text()
