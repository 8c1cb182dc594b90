"""`verify` accepts a run of every command and engine as the command line makes it, and refuses a forged copy."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from forging import change_digit, classes, edit, edit_events, no_tables, refused_by

from lenet.commands.verify import verify
from lenet.errors import UsageError
from lenet.store.record import Status
from lenet.store.run import Store
from lenet.store.seal import SEAL

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
    "strong": 'modes = ["graph"]\ndatasets = ["digits"]\nbatch_sizes = [64]\nworld_sizes = [2]\n' + PLAN,
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
        # What is reproduced trains what its record claims.
        trainer = {"CHEAP_TRAINER": "reference"} if arguments[-1] in ("plain", "reproduce") else {}
        environment = {**self.environment, **trainer}
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=280, check=False
        )
        assert done.returncode == 0, done.stderr
        return done


@pytest.fixture(scope="module")
def cli(tmp_path_factory, fake_msrun):
    return CommandLine(tmp_path_factory.mktemp("user"), fake_msrun)


RUNS = {
    "plain": ["run", "--matrix", "plain.toml"],
    "epochs": ["run", "--mode", "graph", "--batch-size", "64", "--epochs", "2", "--dataset", "digits"],
    "until": ["run", "--matrix", "plain.toml", "--until", "0.01%", "--budget", "2"],
    "versions": ["run", "--matrix", "plain.toml", "--versions", version("mindspore")],
    "strong": ["run", "--matrix", "strong.toml"],
    "strong-epochs": ["run", "--matrix", "strong.toml", "--epochs", "2"],
    "weak": ["run", "--matrix", "weak.toml"],
    "check": ["check", "--rung", "repeat,learn", "--dataset", "digits", "--batch-size", "64", "--steps", "30"],
    "tune": ["tune", "--dataset", "digits", "--batch-size", "64", "--budget", "40"],
    "explain": ["explain", "--dataset", "digits", "--batch-size", "64"],
    "reproduce": ["reproduce", "plain"],
    "ray": ["run", "--matrix", "plain.toml", "--engine", "ray"],
}
MARKS = {"ray": [pytest.mark.ray]}


@pytest.fixture(scope="module")
def made(cli):
    """Makes the run of that name, once; its folder."""

    @functools.cache
    def make(name):
        for other in set(RUNS[name]) & {"plain"}:
            make(other)
        done = cli(*RUNS[name], "--output", name)
        assert (cli.folder / name / "manifest.json").exists(), done.stderr
        return cli.folder / name

    return make


@pytest.mark.parametrize("name", [pytest.param(name, marks=MARKS.get(name, ())) for name in RUNS])
class TestEveryCommandAndEngine:
    def test_the_run_is_verified_and_sealed(self, made, name):
        result = verify(made(name))
        assert [str(each) for each in result.violations] == []
        assert result.sealed is not None
        assert any(record.status is Status.OK for record in Store.open(made(name)).records())


def unsealed(run, folder):
    """A copy of the run without its seal."""
    return shutil.copytree(run, folder / "copy", ignore=shutil.ignore_patterns(f"{SEAL}*"))


NO_WITNESS = {"load"}
"""Of a record: what the parent alone observes."""
ESTIMATES = {"norm", "sketch"}
"""Of a trace: what no other number confirms to the last digit (`test_verify_traced.py`)."""


@pytest.mark.parametrize("name", ["weak", "strong-epochs", "check"])
class TestOneDigitIsChanged:
    """In one number of each class of figures, of a run without its seal: `tests/store/test_seal.py` tests that."""

    def test_of_the_events(self, made, name, tmp_path):
        run = unsealed(made(name), tmp_path)
        path = run / "events.jsonl"
        lines = path.read_text().splitlines()
        events = [json.loads(line) for line in lines]
        accepted = set()
        for figure, (index, place) in classes(events).items():
            event = json.loads(lines[index])
            change_digit(event, place)
            path.write_text("".join(f"{line}\n" for line in [*lines[:index], json.dumps(event), *lines[index + 1 :]]))
            if not verify(run).violations:
                accepted.add(figure)
        assert {figure for figure in accepted if not ESTIMATES & set(figure)} == set()

    def test_of_the_records(self, made, name, tmp_path):
        run = unsealed(made(name), tmp_path)
        paths = sorted((run / "records").iterdir())
        records = [json.loads(path.read_text()) for path in paths]
        accepted = set()
        for figure, (index, place) in classes(records).items():
            record = json.loads(paths[index].read_text())
            change_digit(record, place)
            paths[index].write_text(json.dumps(record))
            try:
                if not verify(run).violations:
                    accepted.add(figure)
            except UsageError:
                assert figure[-1] == "schema_version"
            paths[index].write_text(json.dumps(records[index]))
        assert {figure for figure in accepted if not NO_WITNESS & set(figure)} == set()


def test_a_run_on_another_release_than_its_cases_name_is_refused(made, tmp_path):
    run = unsealed(made("versions"), tmp_path)
    no_tables(run)
    for path in (run / "records").iterdir():
        edit(path, lambda data: data["software"].update(framework_version="2.0.0"))
        edit_events(run, path.stem, lambda event: event.get("software", {}).update(framework_version="2.0.0"))
    assert refused_by(run) == {"software"}


def test_a_merged_store_is_verified_run_by_run(cli, made):
    sources = [str(made(name)) for name in ("plain", "check", "weak")]
    cli("merge", *sources, "--output", "merged")
    done = cli("verify", "merged", "--steps", "0")  # these workers train something cheaper
    assert done.returncode == 0, done.stdout
    assert " ".join(done.stdout.split()).count("verified: no violation") == 3
