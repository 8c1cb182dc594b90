"""Verdicts on claims: yes, no and cannot tell, each with the figures that decide."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from lenet.analysis.reproduce import Verdict, accuracy, claims, newcombe, throughput, trace, training
from lenet.cases.case import Case, Plan
from lenet.machine.load import CaseLoad, Load
from lenet.store.proof import TrainingProof, TrainingStatus
from lenet.store.record import Evaluation, Record, Status, Summary, Throughput

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)
IDLE = Load(foreign_cores=0.0)


def record(correct=9800, images=10_000, *, steps=600, median=1000.0, scatter=10.0, status=Status.OK, **fields):
    case = Case(plan=Plan(epochs=1))
    evaluation = Evaluation(
        epoch=1, steps=steps, training_seconds=1, seconds=1, images=images, correct=correct, distinct_answers=10
    )
    speed = Throughput(median=median, low=median - scatter, high=median + scatter, windows=10)
    return Record(
        case_id=case.id, case=case, status=status, started_at=NOW, finished_at=NOW,
        machine_id=fields.pop("machine", "a"),
        evaluations=(evaluation,), summary=Summary(throughput=speed), **fields,
    )  # fmt: skip


class TestAccuracy:
    @pytest.mark.parametrize(
        ("then", "now", "verdict"),
        [
            ((9800, 10_000), (9810, 10_000), Verdict.YES),
            ((9800, 10_000), (9500, 10_000), Verdict.NO),
            ((9800, 10_000), (9960, 10_000), Verdict.NO),
            ((9800, 10_000), (9700, 10_000), Verdict.CANNOT_TELL),
            ((480, 512), (480, 512), Verdict.CANNOT_TELL),
        ],
    )
    def test_equivalence(self, then, now, verdict):
        assert accuracy(record(*then), record(*now))[0] is verdict

    def test_newcombes_published_example(self):
        """Newcombe 1998, table II (a): 56/70 less 48/80, method 10, at 95%: 0.0524 to 0.3339."""
        from lenet.analysis import reproduce as reproduction

        a, b = record(56, 70).evaluations[0], record(48, 80).evaluations[0]
        old, reproduction.CONFIDENCE = reproduction.CONFIDENCE, 0.95
        try:
            assert newcombe(a, b) == pytest.approx((0.0524, 0.3339), abs=5e-5)
        finally:
            reproduction.CONFIDENCE = old

    def test_the_same_weights_need_no_test(self):
        same = {"weights_sha256": {"final": "ab"}}
        assert accuracy(record(480, 512, **same), record(480, 512, **same))[0] is Verdict.YES

    def test_trainings_of_different_length_are_not_compared(self):
        assert accuracy(record(steps=100), record(steps=200))[0] is Verdict.CANNOT_TELL

    @pytest.mark.parametrize("status", [Status.CRASHED, Status.UNAVAILABLE, Status.TIMED_OUT])
    def test_what_could_not_run_tells_nothing(self, status):
        proved = (Verdict.YES, "proved")
        tested = claims(record(), record(status=status, reason="why"), [1.0], [1.0], proved)
        assert {claim.verdict for claim in tested} == {Verdict.CANNOT_TELL}
        assert all("why" in claim.figures for claim in tested)

    def test_a_divergence_is_a_no(self):
        assert accuracy(record(), record(status=Status.DIVERGED))[0] is Verdict.NO


def proof(status, step=None, steps=24):
    return TrainingProof(status=status, steps=steps, parted_at=step, reason="because")


PROVED, ANOTHER = proof(TrainingStatus.PROVED), proof(TrainingStatus.ANOTHER, 3)
NOT_PROVED, SHORT = proof(TrainingStatus.NOT_PROVED), proof(TrainingStatus.PROVED, steps=9)


class TestTraining:
    @pytest.mark.parametrize(
        ("then", "now", "verdict", "words"),
        [
            (PROVED, SHORT, Verdict.YES, "proved here, proved then: the losses of the first 9"),
            (None, PROVED, Verdict.YES, "proved here: the losses of the first 24"),
            (PROVED, ANOTHER, Verdict.NO, "another training (from step 3) here, proved then: because"),
            (ANOTHER, NOT_PROVED, Verdict.NO, "not proved here, another training (from step 3) then: because"),
            (NOT_PROVED, PROVED, Verdict.CANNOT_TELL, "proved here, not proved then: because"),
            (None, None, Verdict.CANNOT_TELL, "not proved here: it has no losses"),
        ],
    )
    def test_both_must_be_proved(self, then, now, verdict, words):
        found, figures = training(then, now)
        assert found is verdict
        assert figures.startswith(words)


class TestTrace:
    def test_identical(self):
        assert trace(record(), record(), [2.3, 2.2], [2.3, 2.2])[0] is Verdict.YES
        digest = {"losses_sha256": "ab"}
        assert trace(record(**digest), record(**digest), [], []) == (Verdict.YES, "identical to the last bit (0 steps)")

    def test_rounding_that_grows_is_within_the_tolerance_at_the_start(self):
        old = [2.3] * 200
        new = [2.3 * (1 + 1e-7 * 1.1**step) for step in range(200)]
        verdict, figures = trace(record(), record(), old, new)
        assert verdict is Verdict.YES
        assert "differ from step 1 of 200" in figures

    def test_another_training_is_a_no(self):
        assert trace(record(), record(), [2.3, 2.2, 2.1], [2.3, 2.25, 2.2])[0] is Verdict.NO

    def test_a_record_alone_cannot_tell(self):
        assert trace(record(losses_sha256="ab"), record(losses_sha256="cd"), [], [2.0])[0] is Verdict.CANNOT_TELL


class TestThroughput:
    def test_in_proportion(self):
        assert throughput(record(), record(median=900.0))[0] is Verdict.YES

    def test_not_in_proportion(self):
        verdict, figures = throughput(record(), record(median=500.0))
        assert verdict is Verdict.NO
        assert "0.50×" in figures

    def test_windows_that_scatter_cannot_tell(self):
        assert throughput(record(scatter=400), record(median=700.0, scatter=300))[0] is Verdict.CANNOT_TELL

    @pytest.mark.parametrize("busy", ["then", "now"])
    def test_a_machine_that_others_used_cannot_tell(self, busy):
        load = CaseLoad(logical_cores=2, before=IDLE, after=IDLE, during_foreign_cores=0.5)
        then, now = record(), record(median=500.0)
        assert throughput(then, now)[0] is Verdict.NO
        if busy == "then":
            then = then.model_copy(update={"load": load})
        else:
            now = now.model_copy(update={"load": load})
        verdict, figures = throughput(then, now)
        assert verdict is Verdict.CANNOT_TELL
        assert "25% of the machine" in figures

    def test_another_machine_cannot_tell(self):
        assert throughput(record(), record(machine="b"))[0] is Verdict.CANNOT_TELL
