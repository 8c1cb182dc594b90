"""`lenet-bench check` from the command line: bad input, runs that are judged, references made, a real ladder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lenet.analysis.check import Match, Pair, Rung, evaluate
from lenet.cases.case import Case, Hyperparameters, Mode
from lenet.cases.matrix import Matrix
from lenet.commands.check import base_case, cases
from lenet.engine.local import LocalEngine
from lenet.store.record import Status


def lenet_bench(folder, *arguments, timeout=280):
    return subprocess.run(
        [sys.executable, "-m", "lenet.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "COLUMNS": "80"},
        timeout=timeout,
    )


BAD = {
    "rung": ["check", "--rung", "learn,fly"],
    "steps": ["check", "--steps", "0"],
    "device": ["check", "--device", "tpu"],
    "devices": ["check", "--device", "cpu,gpu"],
    "profile": ["check", "--profile", "fast"],
    "seed": ["check", "--seed", "5489"],
    "format": ["check", "--format", "pdf"],
    "nowhere": ["check", "nowhere"],
    "runs-and-rungs": ["check", "nowhere", "--rung", "learn"],
    "reference": ["check", "--reference", "nowhere"],
    "make-of-nothing": ["check", "--make-reference"],
    "make-without-output": ["check", "nowhere", "--make-reference"],
}


@pytest.mark.parametrize("arguments", BAD.values(), ids=BAD)
def test_bad_input_is_one_sentence_and_exit_code_2(tmp_path, arguments):
    done = lenet_bench(tmp_path, *arguments)
    assert done.returncode == 2, done
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("lenet-bench: error: ")
    assert not list(tmp_path.iterdir()), "nothing is left behind"


class TestRuns:
    @pytest.fixture
    def diverged(self, new_store, digits, plain_record):
        case = Case(dataset="digits")
        store = new_store([case], digits)
        store.write_record(plain_record(case, Status.DIVERGED, "the loss of step 3 is nan"))
        return store

    def test_one_that_failed_is_exit_code_1(self, diverged, tmp_path):
        done = lenet_bench(tmp_path, "check", diverged.path)
        assert (done.returncode, done.stderr) == (1, "")
        assert "diverged: the loss of step 3 is nan" in done.stdout
        assert max(map(len, done.stdout.splitlines())) <= 80

    def test_for_a_program(self, diverged, tmp_path):
        (found,) = json.loads(lenet_bench(tmp_path, "check", diverged.path, "--format", "json").stdout)
        assert (found["status"], found["verdict"]) == ("diverged", "diverged")

    def test_one_that_is_not_judged_is_no_failure(self, new_store, digits, plain_record, tmp_path):
        case = Case(dataset="digits")
        store = new_store([case], digits)
        store.write_record(plain_record(case))
        done = lenet_bench(tmp_path, "check", store.path)
        assert done.returncode == 0
        assert "not judged" in done.stdout

    def test_a_reference_of_too_few_seeds(self, diverged, plain_record, tmp_path):
        done = lenet_bench(tmp_path, "check", diverged.path, "--make-reference", "-o", tmp_path / "new")
        assert done.returncode == 2
        assert not (tmp_path / "new").exists()


@pytest.fixture(scope="module")
def climbed(tmp_path_factory):
    """A real ladder on the digits: what the command said, and its run's folder."""
    folder = tmp_path_factory.mktemp("ladder")
    done = lenet_bench(
        folder,
        *("check", "--dataset", "digits", "--rung", "repeat,seed,profile,device,learn", "--steps", "12"),
        *("--profile", "onednn_isa=SSE41", "--output", "run", "--format", "json", "--quiet"),
    )
    return done, folder / "run"


@pytest.fixture
def found(climbed):
    done, _ = climbed
    assert done.stderr == ""
    return {each["rung"]: each for each in json.loads(done.stdout)["findings"]}


@pytest.mark.mindspore
class TestLadder:
    def test_it_holds_and_what_is_not_here_is_skipped(self, climbed, found):
        assert climbed[0].returncode == 0, climbed
        assert found["learn"]["holds"] is None
        assert "no reference" in found["learn"]["reason"]
        assert found["device"]["holds"] in (None, True)

    def test_the_same_case_twice_is_the_same_to_the_last_bit(self, found):
        comparison = found["repeat"]["comparison"]
        assert (comparison["outcome"], comparison["steps"]) == ("identical", 12)
        assert comparison["same_order"]
        assert comparison["same_images"]
        assert comparison["same_initial_weights"]

    def test_another_seed_is_another_order_and_other_weights(self, found):
        comparison = found["seed"]["comparison"]
        assert found["seed"]["holds"]
        assert comparison["same_order"] is comparison["same_initial_weights"] is False

    def test_another_instruction_set_is_close_and_starts_from_the_same(self, found):
        comparison = found["profile"]["comparison"]
        assert comparison["outcome"] in ("identical", "within tolerance")
        assert comparison["same_order"]
        assert comparison["same_initial_weights"]

    def test_the_settings_are_told(self, climbed):
        settings = json.loads(climbed[0].stdout)["settings"]
        assert settings["precision"] == "float32"
        assert int(settings["operator_threads"]) >= 1

    def test_no_traced_case_is_timed(self, climbed):
        from lenet.store.run import Store

        records = Store.open(climbed[1]).records()
        assert all(record.summary.throughput is None for record in records)
        assert {sum(window.steps for window in record.windows) for record in records if record.windows} == {12}

    def test_data_in_the_order_of_its_file_is_found_by_the_seed(self, digits, new_store):
        base = base_case(Matrix(modes=(Mode.GRAPH,), datasets=("digits",)), 3)
        other = base.model_copy(update={"hyperparameters": Hyperparameters(seed=2)})
        pair = Pair(rung=Rung.SEED, compared="seed 1 / 2", a=base, b=other)
        store = new_store(cases([pair]), digits)
        worker = (sys.executable, str(Path(__file__).parents[1] / "planted.py"), "file_order")
        LocalEngine(command=worker).run(cases([pair]), {"digits": digits}, store)
        (found,) = evaluate(store, [pair], 1e-3, ())
        assert (found.holds, found.comparison.same_order) == (False, True)
        assert found.comparison.outcome is Match.OTHER_START
