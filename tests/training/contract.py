"""What any trainer must do, as a test class. A trainer's tests subclass it and say which trainer and which case,
and its module imports the fixtures `found` and `by_hand` too.

Everything that the class looks at was done in a child process: this process imports no framework.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lenet.analysis.traces import compare
from lenet.cases.case import Case
from lenet.workload.initial import initial_weights, weights_sha256

CHILD = Path(__file__).with_name("child.py")
ROOT = Path(__file__).parents[2]
STEPS = 40
TOLERANCE = 1e-4
"""Relative, over 80 steps on digits: some hundred times what float32 summed in another order gives."""


def child(job, *arguments, environment=None):
    """Run a job of `child.py`; what it wrote."""
    command = [sys.executable, str(CHILD), job, *map(str, arguments)]
    env = {**os.environ, **(environment or {}), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=env, cwd=Path(arguments[-1]).parent, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return json.loads(Path(arguments[-1]).read_text(encoding="utf-8"))


@pytest.fixture(scope="class")
def found(request, digits, tmp_path_factory):
    """What the trainer of the test class did."""
    case = request.cls.case.model_copy(update={"dataset": "digits"})
    return driven(request.cls.trainer, case, digits.folder, tmp_path_factory.mktemp("contract") / "found.json")


@pytest.fixture(scope="module")
def by_hand(digits, tmp_path_factory):
    """The reference: what the trainer in `hand.py` does, which shares nothing with any framework."""
    case = Case(dataset="digits")
    return driven("hand:HandTrainer", case, digits.folder, tmp_path_factory.mktemp("by-hand") / "found.json")


def driven(trainer, case, folder, out):
    """What the contract's job found of that trainer."""
    spoken = case.model_dump_json()
    return child("contract", trainer, spoken, folder, STEPS, out, environment=case.profile.environment)


class TrainerContract:
    """Subclass it as `Test...` with `case`, and `trainer` where it is not the case's framework's own."""

    case: Case
    trainer = "-"

    def test_it_says_what_it_runs_on(self, found):
        assert all(found["software"][name] for name in ("framework_version", "python_version", "numpy_version"))

    def test_it_begins_from_the_weights_of_the_seed(self, found):
        assert found["initial"] == weights_sha256(initial_weights(self.case.hyperparameters.seed).items())

    def test_a_step_is_a_batch_and_gives_its_loss(self, found):
        assert len(found["losses"]) == STEPS, "1,285 images make 40 whole batches of 32"
        assert all(math.isfinite(loss) for loss in found["losses"])
        assert found["losses"][0] == pytest.approx(math.log(10), abs=0.05), "an untrained network knows nothing"
        assert found["read_again"] == found["losses"][-1:], "reading a loss does not use it up"

    def test_training_changes_the_weights_and_evaluation_does_not(self, found):
        assert found["initial"] != found["trained"] == found["after_evaluation"]

    def test_evaluation_counts_whole_batches(self, found):
        assert found["few"]["images"] == 128
        assert found["whole"]["images"] == 512
        for judged in (found["few"], found["whole"]):
            assert 0 <= judged["correct"] <= judged["images"]
            assert 1 <= judged["distinct_answers"] <= 10

    def test_the_second_epoch_trains_on(self, found):
        assert len(found["second_epoch"]) == STEPS
        assert found["second_epoch"] != found["losses"]

    def test_training_on_one_batch_learns_it(self, found):
        assert len(found["resident"]) == 30
        assert found["resident"][-1] < found["resident"][0]

    def test_its_memory_is_measured(self, found):
        assert found["peak"] is None or found["peak"] > 10**6

    def test_its_losses_are_those_by_hand(self, found, by_hand):
        trace = [*found["losses"], *found["second_epoch"]]
        agreement = compare(trace, [*by_hand["losses"], *by_hand["second_epoch"]], TOLERANCE)
        assert agreement.steps == 2 * STEPS
        assert agreement.within, agreement

    def test_its_judgement_is_that_by_hand(self, found, by_hand):
        assert found["whole"] == by_hand["whole"]
