"""`bench/levers.py`: how levers reach their workers, whether MindSpore has them, and what is made of measurements."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lenet.cases.case import Case, Hyperparameters, Mode
from lenet.cases.matrix import Matrix
from lenet.cases.profile import RuntimeProfile
from lenet.machine.card import describe
from lenet.store.record import Status
from lenet.store.run import Store
from lenet.worker.work import PROFILE_VARIABLES
from tests.steady import steady

ROOT = Path(__file__).parents[2]


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / f"bench/{name}.py")
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


load("seeds")  # that the next one imports
levers = load("levers")

ENVIRONMENT = {"PYTHONPATH": f"{ROOT / 'bench/applied'}:{ROOT}", "PATH": os.environ["PATH"]}


def worker(code, seed, applied, **variables):
    """What a process that is called like a worker prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, "lenet.worker", "5"],
        input=json.dumps({"case": {"hyperparameters": {"seed": seed}}}),
        env={**ENVIRONMENT, "LENET_BENCH_LEVERS": json.dumps(applied), **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


READ = "import os, sys; print(os.environ.get('MALLOC_ARENA_MAX'), sys.argv[1:], os.getpid()); print(sys.stdin.read())"


APPLIED = {"2": {"environment": {"MALLOC_ARENA_MAX": "1"}}, "3": {}}


class TestApplied:
    @pytest.mark.parametrize(("seed", "expected"), [(2, "1"), (3, "None"), (1, "None")])
    def test_variables_are_there_from_the_start_and_the_assignment_is_not_lost(self, seed, expected):
        first, second = worker(READ, seed, APPLIED)
        assert first.startswith(f"{expected} ['lenet.worker', '5']")
        assert json.loads(second)["case"]["hyperparameters"]["seed"] == seed

    def test_functions_are_called_after_the_settings_of_the_profile(self):
        code = """
import sys
from types import ModuleType, SimpleNamespace
trainer = ModuleType("lenet.training.mindspore")
trainer.apply_profile = lambda profile: print("profile", profile)
planted = ModuleType("planted")
planted.config = SimpleNamespace(choose=lambda **values: print("called", values))
sys.modules |= {"lenet.training.mindspore": trainer, "planted": planted}
from lenet import training
import sitecustomize
training.build = lambda case, dataset: trainer.apply_profile(case)
sitecustomize._call_after_profile([["planted.config.choose", {"count": 3}]])
training.build("as installed", None)
"""
        said = worker(code, 1, APPLIED)
        assert said[:2] == ["profile as installed", "called {'count': 3}"]
        assert said[2].startswith("lever: planted.config.choose")

    def test_only_workers_are_changed(self):
        """The command itself, whose standard input is a person's."""
        done = subprocess.run(
            [sys.executable, "-c", "import sys; print(sys.stdin.read())", "lenet.cli"],
            input="mine",
            env={**ENVIRONMENT, "LENET_BENCH_LEVERS": json.dumps(APPLIED)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == "mine"


class TestDeclared:
    def test_each_has_one_effect_and_its_source(self):
        names = [each["name"] for each in levers.DECLARED["lever"]]
        assert len(set(names)) == len(names) > 15
        for each in levers.DECLARED["lever"]:
            assert ("environment" in each) + ("calls" in each) == (each["name"] != "nothing")
            assert each["source"].startswith("https://") or (ROOT / each["source"]).is_file()
        for each in levers.DECLARED["omitted"]:
            assert each["why"]
            assert each["source"].startswith("https://")

    def test_none_is_a_setting_of_a_profile(self):
        own = (ROOT / "lenet/training/mindspore.py").read_text(encoding="utf-8")
        for each in levers.DECLARED["lever"]:
            assert not set(each.get("environment", {})) & set(PROFILE_VARIABLES)
            for function, _ in each.get("calls", ()):
                assert f"{function.rpartition('.')[2]}(" not in own

    def test_one_that_became_a_setting_is_that_setting(self):
        became = [each for each in levers.DECLARED["lever"] if "setting" in each]
        assert became
        for each in became:
            preloaded = RuntimeProfile.parse(each["setting"]).preloaded
            assert each["environment"]["LD_PRELOAD"].removeprefix("AVAILABLE:") in preloaded

    def test_this_machine_is_in_the_values(self):
        value = {"list": ["0-LAST"], "main": ["LAST"], "other": 1}
        assert levers.resolved(value, 3) == {"list": ["0-3"], "main": [3], "other": 1}

    def test_a_library_that_is_missing_leaves_its_lever_out_and_says_what_to_install(self, monkeypatch, capsys):
        monkeypatch.setattr(levers, "find_library", lambda name: None)
        assert "jemalloc" not in {each.name for each in levers.levers()}
        assert "apt-get install libjemalloc2" in capsys.readouterr().err
        monkeypatch.setattr(levers, "find_library", lambda name: f"lib{name}.so.2")
        (found,) = levers.levers(["jemalloc"])
        assert found.applied == {"environment": {"LD_PRELOAD": "libjemalloc.so.2"}}

    @pytest.mark.mindspore
    def test_mindspore_has_the_functions_and_takes_the_arguments(self):
        code = """
import inspect, json, pkgutil, sys
for name, arguments in json.loads(sys.argv[1]):
    try:
        inspect.signature(pkgutil.resolve_name(name)).bind(**arguments)
    except ValueError:  # a built-in without a signature
        assert not arguments
    print(name)
"""
        calls = [call for each in levers.levers() for call in each.applied.get("calls", ())]
        done = subprocess.run([sys.executable, "-c", code, json.dumps(calls)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert [name for name in done.stdout.splitlines() if name in {each for each, _ in calls}] == [
            name for name, _ in calls
        ]


SPEEDS = {1: 1000.0, 2: 1001.0, 3: 1300.0}


@pytest.fixture
def measured(tmp_path, digits, plain_record, monkeypatch):
    """The default, the lever `nothing`, a faster one, and one that fails: two runs with four groups each."""
    cases = [
        Case(mode=Mode.GRAPH, dataset="digits", repetition=group, hyperparameters=Hyperparameters(seed=seed))
        for group in range(4)
        for seed in (*SPEEDS, 4)
    ]
    for run in ("graph-first", "graph-again"):
        store = Store.create(tmp_path / run, Matrix(), cases, {digits.card.name: digits.card}, describe())
        for case in cases:
            seed = case.hyperparameters.seed
            record = plain_record(case, *([Status.CRASHED, "no such thing"] if seed == 4 else []))
            rate = SPEEDS.get(seed, 1.0) * (1 + 0.01 * ((case.repetition * seed) % 3 - 1))
            windows = steady([rate] * (6 if seed in SPEEDS else 0), images=32, turns=True)
            fields = {"group": f"{run[6:]}{case.repetition}", "windows": windows}
            store.write_record(record.model_copy(update=fields))
        store.release()
        names = {"2": "nothing", "3": "fast", "4": "broken"}
        (tmp_path / f"{run}.json").write_text(json.dumps(names), encoding="utf-8")
    monkeypatch.setattr(levers, "MEASURED", tmp_path / "levers.json")
    return tmp_path


class TestTable:
    def test_each_lever_has_its_ratio_in_the_groups_of_all_runs_and_a_verdict(self, measured):
        found = {each.lever: each for each in levers.results(measured)}
        assert found["fast"].found.ratio == pytest.approx(1.3, rel=0.01)
        assert (found["fast"].mark.value, found["fast"].found.groups) == ("faster", 8)
        assert found["nothing"].mark.value in ("same", "unresolved")
        assert found["broken"].found.ratio is None
        assert found["broken"].failures == "8 of 8 failed: no such thing"

    def test_results_are_kept_for_the_page(self, measured, monkeypatch, capsys):
        asked = []
        monkeypatch.setattr(levers.subprocess, "run", lambda command, check: asked.append(command))
        levers.table(measured, write=True)
        (line,) = [line for line in capsys.readouterr().out.splitlines() if "| fast " in line]
        assert [cell.strip() for cell in line.split("|")[1:7] if "." not in cell] == ["graph", "fast", "8", "faster"]
        ((_, cases),) = json.loads((measured / "levers.json").read_text()).items()
        ((_, kept),) = cases.items()
        assert kept["fast"]["verdict"] == "faster"
        assert asked[0][1].endswith("docs/generate.py")


@pytest.mark.mindspore
@pytest.mark.parametrize("mode", ["graph", "jit"])
def test_the_exported_script_takes_turns_with_a_worker(tmp_path, monkeypatch, mode):
    """Real MindSpore: the script's own loop reports what it measures as a worker does."""
    monkeypatch.setattr(levers, "MATRIX", levers.MATRIX.replace("windows = 10", "windows = 2"))
    case = ["--mode", mode, "--batch-size", "64", "--profile", "onednn_isa=AVX2", "--dataset", "digits"]
    levers._run(tmp_path / "run", [levers.Lever(levers.SCRIPT, {"script": True})], 1, case)
    records = Store.open(tmp_path / "run").records()
    assert [(each.status, each.reason) for each in records if each.status is not Status.OK] == []
    assert len({each.group for each in records}) == 1
    worker, script = sorted(records, key=lambda each: each.case.hyperparameters.seed)
    for each in (worker, script):
        turns = [window for window in each.windows if not window.warmup]
        assert len(turns) >= 3
        assert all(window.turn is not None for window in turns)
        assert each.summary.throughput.windows == len(turns)
        assert each.lead_in_seconds == 0
    assert [window.steps for window in script.windows][:2] == [window.steps for window in worker.windows][:2]
    assert script.phases.waiting_seconds > 0
    (found,) = levers.results(tmp_path)
    assert (found.lever, found.found.groups) == (levers.SCRIPT, 1)
