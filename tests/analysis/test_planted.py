"""Faults that are planted in a real training, each found by the convergence check; and the same training without one.

Judged by tests/reference/, 20 seeds of the digits with the same hyper-parameters (tests/planted.toml made them). A
fault that shows early is trained no longer than it needs: a run is judged at the epochs that both have.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lenet.analysis.convergence import ConvergenceStatus, assess
from lenet.analysis.references import read_given
from lenet.cases.presets import load_file
from lenet.engine.local import LocalEngine

TESTS = Path(__file__).parents[1]
EPOCHS = 12


@pytest.fixture(scope="module")
def references():
    if not (TESTS / "reference").is_dir():
        pytest.skip("tests/reference has not been made; tests/planted.toml says how")
    return read_given(TESTS / "reference")


@pytest.fixture
def found(digits, new_store, references):
    """What the check says of a training with `fault`, after `epochs` epochs, with a seed that no reference has."""

    def train(fault, epochs):
        matrix = load_file(TESTS / "planted.toml")
        plan = matrix.plan.model_copy(update={"epochs": epochs})
        (case,) = matrix.model_copy(update={"seeds": (77,), "plan": plan}).cases()
        command = (sys.executable, str(TESTS / "planted.py"), fault)
        store = new_store([case], digits)
        (record,) = LocalEngine(command=command).run([case], {"digits": digits}, store)
        return record, assess(record, references)

    return train


def test_the_reference_is_of_these_digits_and_this_training(digits, references):
    (only,) = references
    assert only.dataset == digits.card
    assert (only.batch_size, only.learning_rate, only.momentum, only.epochs) == (32, 0.05, 0.9, EPOCHS)
    assert len(only.seeds) == 20


@pytest.mark.mindspore
def test_a_training_without_a_fault_converged(found):
    record, finding = found("none", EPOCHS)
    assert finding.status is ConvergenceStatus.CONVERGED, (finding, record.evaluations)


@pytest.mark.mindspore
@pytest.mark.parametrize(
    ("fault", "epochs", "verdicts"),
    [
        ("learning_rate", EPOCHS, {ConvergenceStatus.TOO_SLOW}),
        ("unshuffled", 1, {ConvergenceStatus.TOO_SLOW}),
        ("labels_off_by_one", EPOCHS, {ConvergenceStatus.TOO_SLOW}),
        ("missing_relu", 3, {ConvergenceStatus.TOO_GOOD, ConvergenceStatus.DIVERGED}),
        ("evaluation_on_the_training_set", 1, {ConvergenceStatus.OTHER_TEST_SET}),
    ],
)
def test_a_planted_fault_is_flagged(found, fault, epochs, verdicts):
    record, finding = found(fault, epochs)
    assert finding.status in verdicts, (finding, record.status, record.evaluations)
    assert finding.status.failed
    assert finding.reason
