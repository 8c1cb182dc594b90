"""The contract of every trainer, as a test class. A trainer's tests subclass it with a trainer and a case, and import
the fixtures `found` and `reference` into their module.

The trainers run in child processes: this process imports no framework.
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
"""Relative, over 80 steps on digits: about a hundred times the effect of float32 sums in another order."""


def child(job, *arguments, environment=None):
    """Run a job of `child.py` and return what it wrote."""
    command = [sys.executable, str(CHILD), job, *map(str, arguments)]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    env = {**os.environ, **(environment or {}), "PYTHONPATH": path}
    done = subprocess.run(command, env=env, cwd=Path(arguments[-1]).parent, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return json.loads(Path(arguments[-1]).read_text(encoding="utf-8"))


@pytest.fixture(scope="class")
def found(request, digits, tmp_path_factory):
    """The results of the test class's trainer."""
    case = request.cls.case.model_copy(update={"dataset": "digits"})
    return run_trainer(request.cls.trainer, case, digits.folder, tmp_path_factory.mktemp("contract") / "found.json")


@pytest.fixture(scope="module")
def reference(digits, tmp_path_factory):
    """The results of the reference trainer, which shares nothing with any framework."""
    out = tmp_path_factory.mktemp("reference") / "found.json"
    return run_trainer("numpy_trainer:NumpyTrainer", Case(dataset="digits"), digits.folder, out)


def run_trainer(trainer, case, folder, out):
    arguments = (trainer, case.model_dump_json(), folder, STEPS, out)
    return child("contract", *arguments, environment=case.profile.environment)


class TrainerContract:
    """Subclass it as `Test...` with `case`, and `trainer` unless it is that of the case's framework."""

    case: Case
    trainer = "-"

    def test_it_reports_its_software(self, found):
        assert all(found["software"][name] for name in ("framework_version", "python_version", "numpy_version"))

    def test_it_starts_from_the_weights_of_the_seed(self, found):
        assert found["initial"] == weights_sha256(initial_weights(self.case.hyperparameters.seed).items())

    def test_a_step_is_a_batch_and_returns_its_loss(self, found):
        assert len(found["losses"]) == STEPS, "1,285 images make 40 whole batches of 32"
        assert all(math.isfinite(loss) for loss in found["losses"])
        assert found["losses"][0] == pytest.approx(math.log(10), abs=0.05), "the loss of a network that guesses"
        assert found["read_again"] == found["losses"][-1:], "a loss can be read again"

    def test_training_changes_the_weights_and_evaluation_does_not(self, found):
        assert found["initial"] != found["trained"] == found["after_evaluation"]

    def test_evaluation_counts_whole_batches(self, found):
        assert found["few"]["images"] == 128
        assert found["whole"]["images"] == 512
        for result in (found["few"], found["whole"]):
            assert 0 <= result["correct"] <= result["images"]
            assert 1 <= result["distinct_answers"] <= 10

    def test_the_second_epoch_continues_the_training(self, found):
        assert len(found["second_epoch"]) == STEPS
        assert found["second_epoch"] != found["losses"]

    def test_training_on_one_batch_learns_it(self, found):
        assert len(found["resident"]) == 30
        assert found["resident"][-1] < found["resident"][0]

    def test_its_memory_is_measured(self, found):
        assert found["peak"] > 10**6

    def test_its_losses_are_those_of_the_reference(self, found, reference):
        trace = [*found["losses"], *found["second_epoch"]]
        agreement = compare(trace, [*reference["losses"], *reference["second_epoch"]], TOLERANCE)
        assert agreement.steps == 2 * STEPS
        assert agreement.first_beyond is None, agreement

    def test_its_evaluation_is_that_of_the_reference(self, found, reference):
        assert found["whole"] == reference["whole"]
