"""Beginning a run: what the manifest says of the cases that it is begun with."""

from __future__ import annotations

import pytest

from lenet.cases.case import Case, Hyperparameters, Mode, Plan
from lenet.cases.matrix import Matrix
from lenet.commands.run import begin
from lenet.errors import UsageError

CASES = (
    Case(dataset="auto", mode=Mode.GRAPH, plan=Plan(windows=3)),
    Case(dataset="auto", mode=Mode.JIT, world_size=2, hyperparameters=Hyperparameters(batch_size=64, seed=5)),
)


def test_given_cases_are_described_by_the_smallest_matrix_around_them(digits, tmp_path):
    run = begin(CASES, lambda _: digits, tmp_path / "run")
    manifest = run.store.manifest
    assert [case.model_copy(update={"dataset": "auto"}) for case in manifest.cases] == list(CASES)
    assert manifest.matrix.modes == (Mode.GRAPH, Mode.JIT)
    assert manifest.matrix.batch_sizes == (32, 64)
    assert manifest.matrix.world_sizes == (1, 2)
    assert manifest.matrix.plan == CASES[0].plan


def test_cases_and_matrix_name_the_dataset_that_was_found(digits, tmp_path):
    run = begin(CASES, lambda _: digits, tmp_path / "run", matrix=Matrix(name="mine"))
    assert {case.dataset for case in run.store.manifest.cases} == {"digits"}
    assert run.store.manifest.matrix == Matrix(name="mine", datasets=("digits",))
    assert set(run.datasets) == {"digits"}


@pytest.mark.parametrize(
    ("cases", "words"),
    [
        ((), "no case"),
        ((CASES[0], CASES[0].model_copy(update={"dataset": "digits"})), "the same data"),
        ((Case(hyperparameters=Hyperparameters(batch_size=4000)),), "choose less"),
    ],
)
def test_cases_that_cannot_be_one_run_are_refused(cases, words, digits, tmp_path):
    with pytest.raises(UsageError, match=words):
        begin(cases, lambda _: digits, tmp_path / "run")
    assert not (tmp_path / "run").exists()
