"""`lenet-bench run` and `tune` from the command line, with a fake worker in the place of the frameworks."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from lenet.cases.case import Case, Mode, RuntimeProfile
from lenet.commands import tune
from lenet.errors import UsageError
from lenet.machine.card import describe
from lenet.store.profiles import Scope, resolve
from tests.installed import FRAMEWORKS

WORKER = (sys.executable, "-I", "-S", str(Path(__file__).parents[1] / "fake_worker.py"))
ONE_CASE = ("--mode", "graph", "--batch-size", "32", "--dataset", "digits", "--device", "cpu")


@pytest.fixture
def run(lenet_bench, monkeypatch):
    monkeypatch.setattr("lenet.engine.local.worker_command", lambda *_: WORKER)
    return lambda *arguments: lenet_bench("run", *arguments)


def test_results_are_on_standard_output_and_all_else_on_standard_error(run, tmp_path):
    done = run(*ONE_CASE, "-o", "run", "--format", "json")
    assert done.returncode == 0, done
    (row,) = json.loads(done.stdout)
    assert row["status"] == "ok"
    lines = done.stderr.splitlines()
    assert lines[0] == "quick-changed: 1 case → run"
    assert "[1/1] CPU · graph · batch 32" in done.stderr
    assert lines[-1] == "records and tables: run"
    assert json.loads((tmp_path / "run" / "table.json").read_text()) == [row]


def test_quiet_prints_results_only(run):
    done = run(*ONE_CASE, "-o", "run", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    assert "64" in done.stdout


def test_a_run_can_be_inspected_resumed_and_not_replaced(run):
    run(*ONE_CASE, "-o", "run")
    inspected = run("--resume", "run", "--dry-run")
    assert "--resume would measure 1 of them" in inspected.stdout
    (state,) = json.loads(run("--resume", "run", "--dry-run", "--format", "json").stdout)
    assert (state["state"], state["would_measure"]) == ("stale", True)
    assert state["reason"]
    as_table = run("--resume", "run", "--dry-run", "--format", "csv")
    assert (as_table.returncode, as_table.stdout) == (2, "")
    assert "--format 'csv': choose from terminal, json" in as_table.stderr
    replaced = run(*ONE_CASE, "-o", "run")
    assert replaced.returncode == 2
    assert "--resume" in replaced.stderr
    other = run("--resume", "run", "--seed", "2", "-o", "other")
    assert other.returncode == 2
    assert "omit --seed, --output" in other.stderr


def test_a_run_is_resumed_with_the_values_that_it_has(run, tmp_path):
    run(*ONE_CASE, "-o", "run")
    assert run("--resume", "run", "--device", "cpu", "--batch-size", "32", "--dry-run").returncode == 0
    refused = run("--resume", "run", "--device", "gpu", "--batch-size", "32", "--dry-run")
    assert refused.returncode == 2
    assert "omit --device\n" in refused.stderr


def test_a_folder_for_new_runs(run, tmp_path, monkeypatch):
    monkeypatch.setenv("LENET_BENCH_RESULTS", str(tmp_path / "mine"))
    assert run(*ONE_CASE, "--quiet").returncode == 0
    (made,) = (tmp_path / "mine").iterdir()
    assert made.name.startswith("run-")


def test_tune_measures_nothing_without_a_folder_for_its_profile(lenet_bench, run, tmp_path, monkeypatch):
    def without_home(*_, **__):
        raise RuntimeError("no home")

    monkeypatch.delenv("LENET_BENCH_PROFILES")
    monkeypatch.setattr("platformdirs.user_data_dir", without_home)
    done = lenet_bench("tune", "--dataset", "digits", "--budget", "1", "-o", "run")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "set LENET_BENCH_PROFILES to a folder" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_failed_case_is_exit_code_1(run, monkeypatch):
    monkeypatch.setenv("FAKE_FAULTS", "exit")
    done = run(*ONE_CASE, "-o", "run")
    assert done.returncode == 1
    assert "no case could be run" in done.stderr


def test_tune_as_json(lenet_bench, run, tmp_path, monkeypatch):
    monkeypatch.setenv("LENET_BENCH_PROFILES", str(tmp_path / "profiles"))
    done = lenet_bench("tune", "--dataset", "digits", "--budget", "30", "-o", "run", "--format", "json")
    assert done.returncode == 0, done
    document = json.loads(done.stdout)
    (result,) = document["results"]
    assert document["finals"] == [], "one case has nothing to be faster than"
    assert result["search"]["default"]["raced"][0]["images_per_second"] == 64
    assert result["tuned"]["scope"]["mode"] == "graph"
    assert Path(result["path"]).parent == tmp_path / "profiles"


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_command_that_a_missing_profile_names_tunes_that_scope(lenet_bench, monkeypatch, framework):
    case = Case(framework=framework, mode=Mode.PYNATIVE, profile=RuntimeProfile.parse("tuned"))
    with pytest.raises(UsageError) as missing:
        resolve([case], describe().id)
    (command,) = re.findall(r"`lenet-bench (.*?)`", str(missing.value))
    planned = []

    def begin(cases, *_, **__):
        planned.extend(cases)
        raise UsageError("nothing is measured here")

    monkeypatch.setattr(tune, "begin", begin)
    assert lenet_bench(*shlex.split(command)).returncode == 2
    assert [Scope.of(each, describe().id) for each in planned] == [Scope.of(case, describe().id)]
