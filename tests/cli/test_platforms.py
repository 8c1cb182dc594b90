"""On other platforms (imitated, see tests/imitated.py) each command gives its result, or says in a sentence why not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lenet import cli

TESTS = Path(__file__).parents[1]
READING = (
    *("table a", "table a --format csv -o rows.csv", "table a --by version", "report a -o report.html", "report a"),
    *("report a -o report.md", "compare a b", "check a", "verify a --steps 0", "merge a b -o all", "reproduce --list"),
    *("script --mode graph -o case.py", "submit a -o a.zip", "clean --yes --only data", "check --help", "--version"),
)
MEASURING = ("run", "run --resume a", "tune", "check", "explain", "reproduce a")
WRONG_WHEEL = {"Windows": "Windows x86-64", "macOS": "macOS aarch64", "aarch64": "Linux aarch64"}


@pytest.fixture
def command(honest_run, tmp_path):
    shutil.copytree(honest_run, tmp_path / "a")
    shutil.copytree(honest_run, tmp_path / "b")
    paths = [str(TESTS / "cheap"), str(TESTS.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "LENET_BENCH_CACHE": str(tmp_path / "cache")}

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, str(TESTS / "imitated.py"), *arguments],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=250,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        return done

    return run


def test_every_command_is_tried():
    tried = {words.split()[0] for words in (*READING, *MEASURING)} | {"doctor"}
    assert tried >= {each.__name__ for each in cli.COMMANDS}


@pytest.mark.parametrize("words", READING)
def test_a_command_that_measures_nothing_works_on_windows(command, words):
    done = command("Windows", *words.split())
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", MEASURING)
def test_a_command_that_measures_says_on_windows_where_it_can(command, words):
    done = command("Windows", *words.split())
    assert done.returncode == 2, done.stderr
    assert "use Linux in WSL 2" in done.stderr


def test_a_link_is_not_followed_on_windows_either(command, tmp_path):
    record = next((tmp_path / "a/records").iterdir())
    moved = record.rename(tmp_path / record.name)
    record.symlink_to(moved)
    done = command("Windows", "table", "a")
    assert done.returncode == 2
    assert "it is a link" in done.stderr


def test_data_is_kept_on_windows_where_verify_finds_it(command):
    code = "from lenet.dataset import resolve; print(resolve('digits').folder.name)"
    assert command("Windows", "-c", code).stdout == "digits\n"


def test_notebooks_read_on_windows_and_are_told_where_to_measure(command):
    code = "import lenet; print(len(lenet.read('a')), len(lenet.compare('a', 'b')))"
    assert command("Windows", "-c", code).stdout == "4 2\n"
    code = "import lenet\ntry: lenet.measure(mode='graph')\nexcept lenet.errors.UsageError as error: print(error)"
    assert "use Linux in WSL 2" in command("Windows", "-c", code).stdout


@pytest.mark.parametrize("place", ["macOS", "aarch64"])
def test_a_run_is_measured_read_and_verified_elsewhere(command, place, tmp_path):
    (tmp_path / "short.toml").write_text(
        "[plan]\nwarmup_steps = 6\nwindow_steps = 4\nwindow_seconds = 0.02\nwindows = 3\nresident_windows = 1\n",
        encoding="utf-8",
    )
    options = "--matrix short.toml --mode graph,jit --batch-size 32 --dataset digits --device cpu --output c --quiet"
    done = command(place, "run", *options.split())
    assert done.returncode == 0, done.stderr
    for words in ("table c", "report c -o report.html", "verify c --steps 0", "script --mode graph", "clean"):
        done = command(place, *words.split())
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"


@pytest.mark.mindspore
@pytest.mark.parametrize(("place", "name"), WRONG_WHEEL.items())
def test_the_doctor_names_the_wheel_of_another_platform(command, place, name):
    done = command(place, "doctor", "--device", "cpu", "--timeout", "1")
    assert done.returncode == 1
    said = " ".join(done.stdout.split())
    assert f"is built for Linux x86-64 and this is {name}: install the wheel for it from https://" in said
