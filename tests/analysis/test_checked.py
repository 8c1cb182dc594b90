"""A training that is not what its case names has a speed that is compared with nothing."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from lenet.analysis.checked import checked
from lenet.analysis.compare import compare
from lenet.analysis.verdict import Mark
from lenet.cases.case import Case, Plan
from lenet.store.proof import TrainingProof, TrainingStatus
from lenet.store.record import DatasetCard, Evaluation, Record, Status
from tests.steady import steady

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)


def record(repetition, rate=1000.0, status=Status.OK, training_loss=None):
    epochs = None if training_loss is None else 1
    case = Case(repetition=repetition, plan=Plan(epochs=epochs))
    evaluations = [
        Evaluation(
            epoch=1, steps=1875, training_seconds=60, seconds=1, images=10_000, correct=9_700, distinct_answers=10,
            training_loss=training_loss,
        )
    ]  # fmt: skip
    return Record(
        case_id=case.id, case=case, status=status, reason="", machine_id="m", started_at=NOW, finished_at=NOW,
        dataset=DatasetCard(name="mnist", sha256="ab" * 32, training_images=60_000, test_images=10_000),
        evaluations=tuple(evaluations) if epochs else (),
        windows=steady(rate + i for i in range(3)),
    )  # fmt: skip


ANOTHER = TrainingProof(status=TrainingStatus.ANOTHER, parted_at=3, reason="the loss of step 3 is 2.1, not 2.3")


def test_another_training_is_invalid_and_says_why():
    good, bad = checked([record(0), record(1)], {record(1).case_id: ANOTHER}, ())
    assert good == record(0)
    assert (bad.status, bad.reason) == (
        Status.INVALID,
        "another training (from step 3): the loss of step 3 is 2.1, not 2.3",
    )


def test_so_is_one_that_failed_the_convergence_check():
    (bad,) = checked([record(0, training_loss=50.0)], {}, ())
    assert bad.status is Status.INVALID
    assert bad.reason.startswith("failed the convergence check: training loss 50, more than twice")


@pytest.mark.parametrize("status", [TrainingStatus.PROVED, TrainingStatus.NOT_PROVED])
def test_other_results_change_nothing(status):
    records = [record(0), record(1, training_loss=0.3)]
    assert checked(records, {each.case_id: TrainingProof(status=status) for each in records}, ()) == records


def test_a_record_that_failed_keeps_its_own_reason():
    crashed = record(0, status=Status.CRASHED)
    assert checked([crashed], {crashed.case_id: ANOTHER}, ()) == [crashed]


def test_a_case_whose_trainings_are_others_broke_however_fast_they_are():
    before = [record(repetition) for repetition in range(4)]
    after = [record(repetition, rate=2000.0) for repetition in range(4)]
    (found,) = compare(before, checked(after, {each.case_id: ANOTHER for each in after}, ()))
    assert found.mark is Mark.BROKE
    assert "another training" in found.note
    (one,) = compare(before, checked(after, {after[0].case_id: ANOTHER}, ()))
    assert (one.mark, one.samples_b) == (Mark.FASTER, 3)
    assert "1 of B's processes failed" in one.note
