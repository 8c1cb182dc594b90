"""`lenet-bench check` from the command line: the convergence of runs, references, a real ladder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lenet.analysis.check import Match, Pair, Rung, evaluate
from lenet.cases.case import Case, Hyperparameters, Mode
from lenet.commands.check import cases, traced
from lenet.commands.verify import verify
from lenet.engine.local import LocalEngine
from lenet.store.record import Status


class TestRuns:
    @pytest.fixture
    def diverged(self, new_store, digits, plain_record):
        case = Case(dataset="digits")
        store = new_store([case], digits)
        store.write_record(plain_record(case, Status.DIVERGED, "the loss of step 3 is nan"))
        return store

    def test_one_that_failed_is_exit_code_1(self, lenet_bench, diverged):
        done = lenet_bench("check", diverged.path)
        assert (done.returncode, done.stderr) == (1, "")
        assert "diverged: the loss of step 3 is nan" in done.stdout
        assert max(map(len, done.stdout.splitlines())) <= 80

    def test_as_json(self, lenet_bench, diverged):
        (result,) = json.loads(lenet_bench("check", diverged.path, "--format", "json").stdout)
        assert (result["status"], result["verdict"]) == ("diverged", "diverged")

    def test_one_that_is_not_judged_is_no_failure(self, lenet_bench, new_store, digits, plain_record):
        case = Case(dataset="digits")
        store = new_store([case], digits)
        store.write_record(plain_record(case))
        done = lenet_bench("check", store.path)
        assert done.returncode == 0
        assert "not judged" in done.stdout

    def test_a_reference_of_too_few_seeds(self, lenet_bench, diverged, tmp_path):
        done = lenet_bench("check", diverged.path, "--make-reference", "-o", tmp_path / "new")
        assert done.returncode == 2
        assert not (tmp_path / "new").exists()


@pytest.fixture(scope="module")
def ladder(tmp_path_factory):
    """A real ladder on the digits: the ended command, and its run's folder."""
    folder = tmp_path_factory.mktemp("ladder")
    command = [
        *(sys.executable, "-m", "lenet.cli", "check", "--dataset", "digits", "--rung", "repeat,seed,profile,learn"),
        *("--steps", "12", "--profile", "onednn_isa=SSE41", "--output", "run", "--format", "json", "--quiet"),
    ]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280), folder / "run"


@pytest.fixture
def results(ladder):
    done, _ = ladder
    assert done.stderr == ""
    return {each["rung"]: each for each in json.loads(done.stdout)["findings"]}


@pytest.mark.mindspore
class TestLadder:
    def test_every_rung_holds_or_is_skipped(self, ladder, results):
        assert ladder[0].returncode == 0, ladder
        assert results["learn"]["holds"] is None
        assert "no reference" in results["learn"]["reason"]

    def test_its_run_is_verified(self, ladder):
        assert [str(each) for each in verify(ladder[1]).violations] == []

    def test_a_repetition_is_bitwise_equal(self, results):
        comparison = results["repeat"]["comparison"]
        assert (comparison["outcome"], comparison["steps"]) == ("identical", 12)
        assert comparison["same_order"]
        assert comparison["same_images"]
        assert comparison["same_initial_weights"]

    def test_another_seed_gives_another_order_and_other_weights(self, results):
        comparison = results["seed"]["comparison"]
        assert results["seed"]["holds"]
        assert comparison["same_order"] is comparison["same_initial_weights"] is False

    def test_another_instruction_set_is_within_the_tolerance(self, results):
        comparison = results["profile"]["comparison"]
        assert results["profile"]["holds"] is True
        assert comparison["same_order"]
        assert comparison["same_initial_weights"]

    def test_the_settings_are_stated(self, ladder):
        settings = json.loads(ladder[0].stdout)["settings"]
        assert settings["precision"] == "float32"
        assert int(settings["operator_threads"]) >= 1

    def test_no_traced_case_is_timed(self, ladder):
        from lenet.store.run import Store

        records = Store.open(ladder[1]).records()
        assert all(record.summary.throughput is None for record in records)
        assert {sum(window.steps for window in record.windows) for record in records if record.windows} == {12}

    def test_data_in_file_order_fails_the_rung_seed(self, digits, new_store):
        base = traced(Case(mode=Mode.GRAPH, dataset="digits"), 3)
        other = base.model_copy(update={"hyperparameters": Hyperparameters(seed=2)})
        pair = Pair(rung=Rung.SEED, compared="seed 1 / 2", a=base, b=other)
        store = new_store(cases([pair]), digits)
        worker = (sys.executable, str(Path(__file__).parents[1] / "planted.py"), "file_order")
        LocalEngine(command=worker).run(cases([pair]), {"digits": digits}, store)
        (found,) = evaluate(store, [pair], 1e-3, ())
        assert (found.holds, found.comparison.same_order) == (False, True)
        assert found.comparison.outcome is Match.OTHER_START
