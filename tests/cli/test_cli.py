"""The command line without a training: help, bad input, tables of what is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from lenet.cases.case import Case
from lenet.cases.frameworks import ABILITIES, Framework


def subprocess_of(folder, *arguments, **variables):
    """Run the real command in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "lenet.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "COLUMNS": "80", **variables},
        timeout=120,
    )


def test_the_parent_never_imports_a_framework():
    code = (
        "import sys, lenet.cli, lenet.engine.local, lenet.report, lenet.worker.work\n"
        "import lenet.dataset.download, lenet.machine.card\n"
        "lenet.machine.card.describe()\nprint({'mindspore', 'torch'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"


def test_version(lenet_bench):
    assert lenet_bench("--version").stdout.startswith("lenet-bench 0.")


BAD = {
    "no-command": ["fly"],
    "unknown-option": ["run", "--speed", "9"],
    "preset": ["run", "--preset", "fast"],
    "both": ["run", "--preset", "quick", "--matrix", "x.toml"],
    "matrix": ["run", "--matrix", "none.toml"],
    "device": ["run", "--device", "tpu"],
    "mode": ["run", "--mode", "eager"],
    "engine": ["run", "--engine", "slurm"],
    "cann": ["run", "--cann", "nowhere/set_env.sh"],
    "world-size": ["run", "--world-size", "0"],
    "scaling": ["run", "--scaling", "both"],
    "doctor-device": ["doctor", "--device", "tpu"],
    "doctor-format": ["doctor", "--format", "pdf"],
    "batch-zero": ["run", "--batch-size", "0"],
    "batch-word": ["run", "--batch-size", "big"],
    "batch-too-large": ["run", "--dataset", "digits", "--batch-size", "513"],
    "epochs": ["run", "--epochs", "0"],
    "epochs-word": ["run", "--epochs", "few"],
    "dataset": ["run", "--dataset", "cifar"],
    "reproduce-nothing": ["reproduce"],
    "reproduce-list": ["reproduce", "tutorial", "--list"],
    "reproduce-unknown": ["reproduce", "nowhere"],
    "reproduce-toml": ["reproduce", "nowhere.toml"],
    "reproduce-case": ["reproduce", "tutorial", "--case", "cpu-graph"],
    "reproduce-mode": ["reproduce", "nowhere", "--mode", "graph"],
    "datasets-the-same": ["run", "--dataset", "digits,digits"],
    "data-dir": ["run", "--data-dir", "nowhere"],
    "profile": ["run", "--profile", "fast"],
    "seed-unset": ["run", "--seed", "5489"],
    "repeat": ["run", "--repeat", "0"],
    "resume": ["run", "--resume", "nowhere"],
    "resume-and-more": ["run", "--resume", ".", "--mode", "graph"],
    "timeout": ["run", "--timeout", "0"],
    "busy": ["run", "--busy", "maybe"],
    "dry-run-of-nothing": ["run", "--dry-run"],
    "dry-run-nowhere": ["run", "--resume", "nowhere", "--dry-run"],
    "baseline": ["run", "--baseline", "speed=9"],
    "output": ["run", "--dataset", "digits", "--output", "/proc/run"],
    "profile-tuned": ["run", "--profile", "tuned", "--mode", "graph", "--dataset", "digits"],
    "profile-cores": ["run", "--profile", "cpu_affinity=4096", "--dataset", "digits"],
    "tune-device": ["tune", "--device", "tpu"],
    "tune-datasets": ["tune", "--dataset", "digits,mnist"],
    "tune-budget": ["tune", "--budget", "0"],
    "explain-two-modes": ["explain", "--mode", "graph,jit"],
    "explain-two-pipelines": ["explain", "--pipeline", "tutorial,cached"],
    "explain-pipeline": ["explain", "--pipeline", "fast"],
    "explain-nowhere": ["explain", "nowhere"],
    "explain-both": ["explain", "nowhere", "--mode", "graph"],
    "explain-format": ["explain", "--format", "pdf"],
    "run-format": ["run", "--format", "pdf"],
    "run-until-resume": ["run", "--resume", "nowhere", "--until", "3%"],
    "run-epochs-twice": ["run", "--epochs", "1,2"],
    "tune-resume": ["tune", "--resume", "nowhere", "--dataset", "digits"],
    "tune-seed": ["tune", "--seed", "2"],
    "explain-resume": ["explain", "--resume", "nowhere", "--dataset", "digits"],
    "reproduce-format": ["reproduce", ".", "--format", "pdf"],
    "check-rung": ["check", "--rung", "learn,fly"],
    "check-steps": ["check", "--steps", "0"],
    "check-device": ["check", "--device", "tpu"],
    "check-devices": ["check", "--device", "cpu,gpu"],
    "check-profile": ["check", "--profile", "fast"],
    "check-seed": ["check", "--seed", "5489"],
    "check-format": ["check", "--format", "pdf"],
    "check-nowhere": ["check", "nowhere"],
    "check-runs-and-rungs": ["check", "nowhere", "--rung", "learn"],
    "check-runs-and-mode": ["check", "nowhere", "--mode", "jit"],
    "check-reference": ["check", "--reference", "nowhere"],
    "check-resume": ["check", "--resume", "nowhere", "--dataset", "digits"],
    "check-nothing": ["check", "--rung", "profile", "--dataset", "digits"],
    "make-of-nothing": ["check", "--make-reference"],
    "make-without-output": ["check", "nowhere", "--make-reference"],
    "until": ["run", "--until", "narrow"],
    "until-all": ["run", "--until", "100%"],
    "until-what": ["run", "--until", "speed:3%"],
    "until-ratio": ["run", "--until", "ratio:wide"],
    "until-ratio-rounds": ["run", "--until", "ratio:3%", "--interleave", "rounds"],
    "until-ratio-alone": ["run", "--until", "ratio:3%", "--alive", "1"],
    "until-ratio-epochs": ["run", "--until", "ratio:3%", "--device", "cpu", "--epochs", "1"],
    "until-ratio-baseline": ["run", "--until", "ratio:3%", "--device", "cpu", "--mode", "graph,jit"],
    "versions": ["run", "--versions", "latest"],
    "versions-wheel": ["run", "--versions", "2.10.0,nowhere/mindspore-2.11.0-cp311-none-any.whl"],
    "versions-folder": ["tune", "--versions", "/mindspore.whl"],
    "versions-cleaned": ["run", "--versions", "2.11.0@0123456789ab", "--dataset", "digits"],
    "compare-one": ["compare", "."],
    "compare-nowhere": ["compare", "nowhere", "nowhere"],
    "compare-fail-on": ["compare", ".", ".", "--fail-on", "much"],
    "compare-over": ["compare", ".", "--over", "speed=1,2"],
    "compare-format": ["compare", ".", ".", "--format", "pdf"],
    "table-by": ["table", ".", "--by", "colour"],
    "table-none": ["table"],
    "table-nowhere": ["table", "nowhere"],
    "table-format": ["table", ".", "--format", "pdf"],
    "verify-nowhere": ["verify", "nowhere"],
    "verify-format": ["verify", ".", "--format", "pdf"],
    "tune-format": ["tune", "--format", "pdf"],
    "reproduce-nowhere": ["reproduce", "nowhere"],
    "reproduce-http": ["reproduce", "http://localhost/record.json"],
    "merge-nowhere": ["merge", "nowhere", "-o", "all"],
    "merge-without-output": ["merge", "nowhere"],
}


IN_A_PROCESS = ("unknown-option", "output", "batch-too-large", "reproduce-http", "merge-nowhere")
"""The bad input that is given to the real command too: each of another kind of error."""


def refused(done, folder):
    assert done.returncode == 2, done
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("lenet-bench: error: ")
    assert not list(folder.iterdir()), "nothing is left behind"


@pytest.mark.parametrize("arguments", BAD.values(), ids=BAD)
def test_bad_input_is_one_sentence_and_exit_code_2(lenet_bench, tmp_path, arguments):
    refused(lenet_bench(*arguments), tmp_path)


def test_a_message_escapes_control_characters(tmp_path):
    done = subprocess_of(tmp_path, "table", "no run \x1b[31m\u202e")
    refused(done, tmp_path)
    assert "no run \\x1b[31m\\u202e" in done.stderr


@pytest.mark.parametrize("name", IN_A_PROCESS)
def test_bad_input_of_the_real_command(tmp_path, name):
    refused(subprocess_of(tmp_path, *BAD[name]), tmp_path)


@pytest.fixture
def stored(new_store, digits, plain_record):
    cases = [Case(dataset="digits", mode=mode) for mode in ABILITIES[Framework.MINDSPORE].modes]
    store = new_store(cases, digits)
    for case in cases[:2]:
        store.write_record(plain_record(case))
    return store


class TestTable:
    def test_every_format_to_standard_output(self, lenet_bench, stored):
        for form in ("terminal", "github", "csv", "json", "html"):
            done = lenet_bench("table", stored.path, "--format", form)
            assert (done.returncode, done.stderr) == (0, "")
            assert "graph" in done.stdout.lower()
        assert len(json.loads(lenet_bench("table", stored.path, "--format", "json").stdout)) == 2

    def test_without_a_terminal_it_is_githubs(self, lenet_bench, stored):
        assert lenet_bench("table", stored.path).stdout.startswith("| device")

    def test_to_a_file(self, lenet_bench, stored, tmp_path):
        assert lenet_bench("table", stored.path, "--format", "json", "-o", "out.json").stdout == ""
        assert len(json.loads((tmp_path / "out.json").read_text())) == 2

    def test_to_a_folder_that_is_not_there(self, lenet_bench, stored):
        done = lenet_bench("table", stored.path, "-o", "none/out.md")
        assert done.returncode == 2
        assert "cannot write" in done.stderr

    def test_two_runs(self, lenet_bench, stored):
        done = lenet_bench("table", stored.path, stored.path, "--format", "json")
        assert len(json.loads(done.stdout)) == 4

    def test_a_baseline_that_is_not_there(self, lenet_bench, stored):
        done = lenet_bench("table", stored.path, "--baseline", "mode=jit")
        assert done.returncode == 2
        assert "the table has mode: graph, pynative" in done.stderr

    def test_a_damaged_record(self, lenet_bench, stored):
        stored.record_path(stored.manifest.cases[0]).write_text("{")
        done = lenet_bench("table", stored.path)
        assert done.returncode == 2
        assert "damaged" in done.stderr
        assert len(done.stderr.splitlines()) == 1

    def test_a_reader_that_ends_early(self, stored):
        command = f"{sys.executable} -m lenet.cli table {stored.path} --format csv | head -c 1"
        done = subprocess.run(command, shell=True, capture_output=True, text=True)
        assert done.stderr == ""


def test_verify_as_json(lenet_bench, stored):
    done = lenet_bench("verify", stored.path, "--format", "json")
    assert done.returncode == 1, "records without events"
    (result,) = json.loads(done.stdout)
    assert (result["run"], result["records"]) == (str(stored.path), 2)
    assert {"rule", "place", "message"} == set(result["violations"][0])


@pytest.fixture
def two_runs(tmp_path, digits):
    """Folders of two runs of one case, six processes each; the second is a tenth slower."""
    from lenet.cases.matrix import Matrix
    from lenet.machine.card import describe
    from lenet.store.run import Store
    from tests.analysis.test_compare import STEADY, processes

    for name, factor in (("before", 1.0), ("after", 0.9)):
        records = processes([factor * rate for rate in STEADY])
        store = Store.create(tmp_path / name, Matrix(), [each.case for each in records], {}, describe())
        for each in records:
            store.write_record(each)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["before", "after"], 0),
        (["before", "after", "--fail-on", "5%"], 1),
        (["before", "after", "--fail-on", "0.2"], 0),
        (["after", "before", "--fail-on", "5%"], 0),
    ],
)
def test_fail_on_fails_for_cases_that_are_worse_by_that_much(lenet_bench, two_runs, arguments, code):
    done = lenet_bench("compare", *arguments)
    assert done.returncode == code, done.stderr
    assert ("slower" if arguments[0] == "before" else "faster") in done.stdout
    assert ("are slower by 5%" in done.stderr) == (code == 1)


def test_a_folder_of_runs_names_all_of_them(lenet_bench, two_runs):
    done = lenet_bench("table", ".", "--by", "version")
    assert done.returncode == 0, done.stderr
    assert "2.10.0" in done.stdout
    assert lenet_bench("table", ".", "--format", "mllog").stdout.count('"run_stop"') == 12
