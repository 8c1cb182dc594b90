"""Run every shell command of README.md and docs/*.md as it is printed: `tox -e docs-commands`.

A command is a line of a fenced `sh` block, a line after `$ ` in a `console` block, or a `lenet-bench` command in a
table of README.md. Each page runs in its own copy of the checkout and its own home, where ~/mnist holds data (the
digits). RUN, BEFORE, AFTER, A and B are finished runs in that copy. All pages use the environment that README.md and
docs/tour.md tell their reader to make. The presets of the copies have a short plan: commands train for seconds.

An HTML comment before a block changes how it runs:

    <!-- commands: numpy -->     workers train in NumPy (tests/cheap): the command is tested, not MindSpore
    <!-- commands: exit 1 -->    the last command of the block ends with this exit code
    <!-- commands: ctrl-c 20 --> Ctrl-C after 20 seconds, if it still runs then: the exit code is 130, and what was
                                 measured is kept. A command that ends before that ends with 0.
    <!-- commands: install -->   the block makes the environment of all pages

Several, separated by commas, may stand in one comment.

docs/commands-not-run.toml lists the commands that cannot run here, each with its reason.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NOT_RUN = tomllib.loads((ROOT / "docs/commands-not-run.toml").read_text(encoding="utf-8"))["command"]
BLOCK_SECONDS = 600

MARKER = re.compile(r"<!-- commands: (?P<what>[a-z0-9, -]+) -->")
TABLE_COMMAND = re.compile(r"`(lenet-bench [^`]+)`")
PLAN = """
[plan]
window_steps = 5
window_seconds = 0.05
windows = 3
resident_windows = 1
budget_seconds = 5
evaluation_images = 64
"""


@dataclass(frozen=True)
class Block:
    """Commands that one shell runs, in order."""

    line: int
    commands: tuple[str, ...]
    marker: str = ""

    def has(self, word: str) -> bool:
        """Whether the marker has that word."""
        return word in self.marker.split(", ")

    def number(self, word: str) -> int | None:
        """The number behind that word in the marker."""
        found = re.search(rf"\b{word} (\d+)", self.marker)
        return int(found[1]) if found else None


def blocks(page: Path) -> Iterator[Block]:
    """The commands of a page, block by block."""
    text = page.read_text(encoding="utf-8").splitlines()
    marker, number = "", 0
    while number < len(text):
        line = text[number]
        number += 1
        if found := MARKER.fullmatch(line):
            marker = found["what"]
        elif fence := re.fullmatch(r"```(sh|console)", line):
            end = text.index("```", number)
            yield Block(number + 1, tuple(_commands(text[number:end], fence[1])), marker)
            number, marker = end + 1, ""
        elif page.name == "README.md" and line.startswith("|") and (found := TABLE_COMMAND.search(line)):
            yield Block(number, (found[1],), marker)
        elif line.strip() and not line.startswith("|"):
            marker = ""


def _commands(lines: list[str], kind: str) -> Iterator[str]:
    if kind == "console":
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if command := re.sub(r"(^|\s+)#.*$", "", line).strip():
            yield command


def is_run(page: Path, command: str) -> bool:
    """Whether no entry of the list excludes the command."""
    return not any(entry["page"] == page.name and entry["command"] == command for entry in NOT_RUN)


@dataclass(frozen=True)
class Done:
    """How the commands of a block ended."""

    returncode: int
    output: str
    interrupted: bool = False
    """Whether they got Ctrl-C."""


@dataclass(frozen=True)
class Place:
    """A copy of the checkout with its own home, where a page's commands run."""

    folder: Path
    environment: Path
    """The virtual environment of all pages."""
    shared: Path
    """Holds what pages may share: the cache of data."""

    def run(self, commands: tuple[str, ...], *, numpy: bool = False, interrupt: int | None = None) -> Done:
        """Run the commands in one shell, which prints each and stops at the first that fails.

        `interrupt` is the number of seconds after which they get Ctrl-C, if they still run.
        """
        home = self.folder.parent / "home"
        path = [str(self.environment / "bin"), os.environ["PATH"]]
        outer = ("PYTEST_", "TOX_", "VIRTUAL_ENV", "PYTHON")  # of the tox and pytest that run this
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(outer)}
        in_numpy = {"PYTHONPATH": str(ROOT / "tests/cheap"), "FAKE_MSRUN": str(self.shared / "msrun")}
        if any("reproduce" in command for command in commands):
            in_numpy["CHEAP_TRAINER"] = "reference"  # as the runs were made
        process = subprocess.Popen(
            ["bash", "-e", "-o", "pipefail", "-x", "-c", "\n".join(commands)],
            cwd=self.folder,
            env={
                **inherited,
                "HOME": str(home),
                "PATH": os.pathsep.join(path),
                "LENET_BENCH_CACHE": str(self.shared / "cache"),
                "LENET_BENCH_LOCKS": str(self.shared / "locks"),
                "COLUMNS": "100",
                **(in_numpy if numpy else {}),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # A shell's job in the background ignores Ctrl-C, and so would every command that it starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        output, sent = None, []
        for seconds, number in ((interrupt, signal.SIGINT), (BLOCK_SECONDS, signal.SIGKILL)):
            if output is None and seconds is not None:
                try:
                    output, _ = process.communicate(timeout=seconds)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, number)
                    sent.append(number)
        if output is None:
            output, _ = process.communicate()
            output += f"\nkilled after {BLOCK_SECONDS} s"
        return Done(process.returncode, output, interrupted=signal.SIGINT in sent)


def copy_checkout(target: Path) -> None:
    """What git has of the checkout, as it is now, with short plans in the presets."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name, follow_symlinks=False)
    for preset in (target / "lenet/cases/presets").glob("*.toml"):
        plan = PLAN + ("epochs = 1\n" if preset.stem == "full" else "")
        text = preset.read_text(encoding="utf-8").partition("[plan]")[0]
        text = re.sub(r"^repeat = \d+$", "repeat = 1", text, flags=re.MULTILINE)
        text = re.sub(r"^batch_sizes = .*$", "batch_sizes = [32]", text, flags=re.MULTILINE)
        preset.write_text(text + plan, encoding="utf-8")


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The environment of all pages, made by the commands that README.md and docs/tour.md print."""
    folder = tmp_path_factory.mktemp("environment") / "checkout"
    folder.mkdir()
    for name in ("home", "locks"):
        (folder.parent / name).mkdir()
    copy_checkout(folder)
    place = Place(folder, folder / ".venv", folder.parent)
    (install,) = {block.commands for page in PAGES for block in blocks(page) if block.has("install")}
    done = place.run(install)
    assert done.returncode == 0, done.output
    done = place.run(("python -c 'import lenet.dataset; print(lenet.dataset.resolve(\"digits\").folder)'",))
    assert done.returncode == 0, done.output
    (folder.parent / "digits").symlink_to(done.output.splitlines()[-1])
    launcher = folder.parent / "msrun" / "msrun"
    launcher.parent.mkdir()
    source = (ROOT / "tests/cheap/msrun.py").read_text(encoding="utf-8")
    launcher.write_text(f"#!{place.environment}/bin/python\n{source}", encoding="utf-8")
    launcher.chmod(0o755)
    return place


@pytest.fixture(scope="session")
def runs(environment: Place) -> dict[str, Path]:
    """Finished runs for the names that pages use."""
    options = "--mode pynative,graph --batch-size 32 --repeat 4 --dataset digits --quiet"
    for name in ("first", "second"):
        done = environment.run((f"CHEAP_TRAINER=reference lenet-bench run {options} --output {name}",), numpy=True)
        assert done.returncode == 0, done.output
    first, second = environment.folder / "first", environment.folder / "second"
    return {"RUN": first, "BEFORE": first, "AFTER": second, "A": first, "B": second}


@pytest.fixture
def place(environment: Place, runs: dict[str, Path], tmp_path: Path) -> Place:
    """A fresh copy and a fresh home for a page."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    copy_checkout(folder)
    for name, run in runs.items():
        shutil.copytree(run, folder / name)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "mnist").symlink_to(environment.shared / "digits")
    return Place(folder, environment.environment, environment.shared)


def pages() -> list[Path]:
    return [
        page for page in PAGES if any(is_run(page, command) for block in blocks(page) for command in block.commands)
    ]


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_command_works_as_printed(page, place):
    for block in blocks(page):
        commands = tuple(command for command in block.commands if is_run(page, command))
        if not commands or block.has("install"):
            continue
        done = place.run(commands, numpy=block.has("numpy"), interrupt=block.number("ctrl-c"))
        where = f"{page.relative_to(ROOT)}:{block.line}"
        print(f"\n{where}\n{done.output[-6000:]}")
        assert done.returncode == (130 if done.interrupted else block.number("exit") or 0), where
        assert "Traceback (most recent call last)" not in done.output, where


@pytest.mark.parametrize("entry", NOT_RUN, ids=lambda entry: entry["command"])
def test_a_command_that_is_not_run_is_on_its_page_and_has_a_reason(entry):
    (page,) = (page for page in PAGES if page.name == entry["page"])
    assert entry["why"]
    assert entry["command"] in [command for block in blocks(page) for command in block.commands]


def test_every_block_says_what_it_is():
    """A fenced block without a language, or an indented one, would hide commands from this test."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        plain = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
        assert not re.search(r"^ {4}(\$ |lenet-bench |tox |pip |python )", plain, flags=re.MULTILINE), page
        fences = re.findall(r"^```(\S*)$", text, flags=re.MULTILINE)
        assert set(fences[::2]) <= {"sh", "console", "text", "python", "toml", "json", "yaml"}, page
        assert set(fences[1::2]) <= {""}, page
