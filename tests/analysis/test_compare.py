"""The marks of a comparison, and what they claim on real samples."""

from __future__ import annotations

import json
import random
import statistics
from datetime import datetime, timezone
from pathlib import Path

import pytest

from lenet.analysis import difference as differences
from lenet.analysis.compare import compare
from lenet.analysis.difference import SIGNIFICANT
from lenet.analysis.selection import parse_over, select
from lenet.analysis.statistics import processes_needed
from lenet.analysis.verdict import Mark
from lenet.cases.case import Case, Hyperparameters, Mode, RuntimeProfile
from lenet.store.record import DatasetCard, Record, Software, Status
from tests.steady import steady

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)
DATA = Path(__file__).parent / "data"


def record(
    rates, repetition=0, status=Status.OK, sha="ab", version="2.10.0", details=None, mode=Mode.GRAPH, machine="m",
    case=None, **hyper,
):  # fmt: skip
    case = Case(mode=mode, repetition=repetition, hyperparameters=Hyperparameters(**hyper), **(case or {}))
    return Record(
        case_id=case.id, case=case, status=status, reason="" if status is Status.OK else "why", machine_id=machine,
        started_at=NOW, finished_at=NOW,
        dataset=DatasetCard(name=case.dataset, sha256=sha * 32, training_images=60000, test_images=10000),
        software=Software(framework_version=version, python_version="3", numpy_version="1", details=details or {}),
        windows=steady(rates),
    )  # fmt: skip


def processes(medians, **fields):
    return [record([median] * 3, repetition, **fields) for repetition, median in enumerate(medians)]


STEADY = (990, 995, 1000, 1005, 1010, 1002)


def only(a, b, **options):
    (found,) = compare(a, b, **options)
    return found


@pytest.mark.parametrize(
    ("factor", "mark"), [(1.1, Mark.FASTER), (0.9, Mark.SLOWER), (1.0, Mark.UNRESOLVED), (1.001, Mark.UNRESOLVED)]
)
def test_faster_slower_or_neither(factor, mark):
    found = only(processes(STEADY), processes([factor * each for each in STEADY]))
    assert found.mark is mark
    assert found.unit == "processes"
    assert found.ratio == pytest.approx(factor)
    assert found.low <= factor <= found.high


def test_the_same_is_claimed_only_where_the_interval_says_so():
    tight = [1000 + i / 10 for i in range(8)]
    assert only(processes(tight), processes(tight)).mark is Mark.SAME
    assert only(processes(tight), processes([1.004 * each for each in tight])).mark is Mark.SAME
    assert only(processes(tight), processes([1.004 * each for each in tight]), minimum_effect=0.003).mark is Mark.FASTER


def test_two_processes_cannot_tell_and_say_how_many_could():
    found = only(processes(STEADY[:2]), processes([0.5 * each for each in STEADY[:2]]))
    assert found.mark is Mark.UNRESOLVED
    assert "from 3 processes" in found.note
    assert found.low < 0.5 < found.high


def test_a_tenfold_drop_is_seen_in_three_processes_among_many_cases():
    """Graph mode at batch 32 on an AVX-512 CPU, MindSpore 2.7.0 and 2.10.0 (images/s, 2026-11-25), beside A/A pairs."""
    a = [
        *processes((4965.8, 4775.9, 5678.2)),
        *(each for size in range(2, 20) for each in processes(STEADY[:3], batch_size=size)),
    ]
    b = [
        *processes((474.7, 505.2, 487.8)),
        *(each for size in range(2, 20) for each in processes(STEADY[1:4], batch_size=size)),
    ]
    marks = [each.mark for each in compare(a, b)]
    assert marks[0] is Mark.SLOWER
    assert set(marks[1:]) == {Mark.UNRESOLVED}


def test_a_single_process_is_judged_by_its_windows_and_says_so():
    a = record([1000 + i for i in range(30)])
    found = only([a], [record([800 + i for i in range(30)])])
    assert (found.mark, found.unit) == (Mark.SLOWER, "windows")


def test_holms_correction_is_over_the_cases():
    a = [each for size in (16, 32, 64, 128) for each in processes(STEADY[:4], batch_size=size)]
    b = [each for size in (16, 32, 64, 128) for each in processes([0.9 * x for x in STEADY[:4]], batch_size=size)]
    alone = only(a[:4], b[:4])
    assert alone.p < SIGNIFICANT
    assert [each.p for each in compare(a, b)] == pytest.approx([min(1, 4 * alone.p)] * 4)


FAILED = record([], status=Status.CRASHED)


@pytest.mark.parametrize(
    ("a", "b", "mark"),
    [
        (processes(STEADY), [FAILED], Mark.BROKE),
        ([FAILED], processes(STEADY), Mark.FIXED),
        ([FAILED], [FAILED], Mark.UNRESOLVED),
        (processes(STEADY), [], Mark.ONLY_A),
        ([], processes(STEADY), Mark.ONLY_B),
        (processes(STEADY), processes(STEADY, sha="cd"), Mark.NOT_COMPARABLE),
        (processes(STEADY), processes(STEADY, learning_rate=0.5), Mark.NOT_COMPARABLE),
        (processes(STEADY), processes(STEADY, momentum=0.5), Mark.NOT_COMPARABLE),
        (processes(STEADY, details={"tf32": "on"}), processes(STEADY, details={"tf32": "off"}), Mark.NOT_COMPARABLE),
    ],
)
def test_what_is_no_matter_of_speed(a, b, mark):
    assert only(a, b).mark is mark


def test_a_process_that_failed_is_said():
    found = only(processes(STEADY), [*processes(STEADY), record([], 9, Status.CRASHED)])
    assert "1 of B's processes failed" in found.note
    bad = record([], 9, Status.CRASHED)
    found = only([*processes(STEADY), bad], [*processes(STEADY), bad])
    assert found.note == "1 of A's processes failed; 1 of B's processes failed"


@pytest.mark.parametrize("answer", [ValueError("too odd"), float("nan"), None])
def test_a_test_that_fails_is_never_a_difference(monkeypatch, answer):
    def broken(a, b):
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(differences, "mann_whitney", broken)
    found = only(processes(STEADY), processes([0.5 * each for each in STEADY]))
    assert found.mark is Mark.UNRESOLVED
    assert "the test" in found.note


class TestCasesThatDiffer:
    """Each kind of difference and of likeness that was merged or separated wrongly."""

    def test_pipelines_are_two_cases(self):
        tutorial = record([1000.0] * 3, case={"pipeline": "tutorial"})
        cached = record([2000.0] * 3, case={"pipeline": "cached"})
        found = {each.mark: each for each in compare([tutorial, cached], [tutorial])}
        assert {mark: (each.a, each.samples_a) for mark, each in found.items()} == {
            Mark.SAME: (pytest.approx(1000), 1),
            Mark.ONLY_A: (pytest.approx(2000), 1),
        }

    def test_strong_and_weak_scaling_are_two_cases(self):
        strong, weak = (record([1000.0] * 3, case={"world_size": 2, "scaling": each}) for each in ("strong", "weak"))
        assert [each.samples_a for each in compare([strong, weak], [strong, weak])] == [1, 1]

    def test_settings_in_another_order_are_the_same_profile(self):
        ours, theirs = (
            record([1000.0] * 3, case={"profile": RuntimeProfile.parse(text)})
            for text in ("launch_blocking+operator_threads=1", "operator_threads=1+launch_blocking")
        )
        found = only([ours], [theirs])
        assert (found.samples_a, found.samples_b) == (1, 1)
        assert only([ours, theirs], [ours]).samples_a == 2

    def test_a_tuned_profile_is_its_settings(self):
        typed = RuntimeProfile.parse("operator_threads=1")
        tuned = RuntimeProfile(name="tuned", operator_threads=1, tuned_by="run-1")
        other = tuned.model_copy(update={"operator_threads": 2})
        ours, theirs, others = (record([1000.0] * 3, case={"profile": each}) for each in (typed, tuned, other))
        assert only([ours], [theirs]).samples_b == 1
        found = only([theirs], [others])
        assert found.mark is Mark.NOT_COMPARABLE
        assert "operator_threads=1 and operator_threads=2" in found.note
        pair = select([theirs], [others], parse_over("profile=tuned,tuned"))
        assert only(pair.a, pair.b, over=pair.over).ratio == pytest.approx(1)

    def test_one_data_set_in_two_folders_is_the_same(self):
        ours, theirs = (record([1000.0] * 3, case={"dataset": f"{each}@{'ab' * 6}"}) for each in ("here", "there"))
        found = only([ours], [theirs])
        assert (found.samples_a, found.samples_b, found.case["dataset"]) == (1, 1, f"here@{'ab' * 6}")

    def test_other_data_under_one_name_is_not_comparable(self):
        assert only([record([1000.0] * 3)], [record([1000.0] * 3, sha="cd")]).mark is Mark.NOT_COMPARABLE


def samples(name):
    """Processes that were really measured: their steady windows' rates, in the order of measurement."""
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))["processes"]


def as_records(rates, factor=1.0):
    return [record([factor * rate for rate in each], repetition) for repetition, each in enumerate(rates)]


MEASURED = {name: samples(name) for name in ("loaded", "idle")}


@pytest.mark.parametrize("name", MEASURED)
def test_100_comparisons_of_a_thing_with_itself_give_5_false_alarms_at_most(name):
    pool = as_records(MEASURED[name])
    alarms = 0
    for seed in range(100):
        chosen = random.Random(seed).sample(pool, 24)
        alarms += only(chosen[:12], chosen[12:]).mark in (Mark.FASTER, Mark.SLOWER)
    assert alarms <= 5


ASKED_FOR = processes_needed([statistics.median(each) for each in MEASURED["idle"]], 0.03)
"""As many processes as `--until 3%` takes when they scatter like those."""


def test_a_planted_slow_down_of_5_percent_is_found_with_the_processes_that_were_asked_for():
    pool = MEASURED["idle"]
    as_it_was, slower = as_records(pool), as_records(pool, 0.95)
    marks = []
    for seed in range(30):
        chance = random.Random(seed)
        marks.append(only(*(chance.choices(side, k=ASKED_FOR) for side in (as_it_was, slower))).mark)
    assert marks.count(Mark.SLOWER) >= 0.8 * len(marks), marks
    assert Mark.FASTER not in marks


def test_as_many_without_a_slow_down_give_5_false_alarms_of_100_at_most():
    pool = as_records(MEASURED["idle"])
    alarms = 0
    for seed in range(100):
        chance = random.Random(seed)
        sides = (chance.choices(pool, k=ASKED_FOR) for _ in "ab")
        alarms += only(*sides).mark in (Mark.FASTER, Mark.SLOWER)
    assert alarms <= 5


def test_under_load_5_percent_cannot_be_told_and_half_can():
    pool = MEASURED["loaded"]
    chosen = random.Random(0).sample(pool, len(pool) // 2 * 2)
    a, b = chosen[: len(pool) // 2], chosen[len(pool) // 2 :]
    assert only(as_records(a), as_records(b, 0.95)).mark is Mark.UNRESOLVED
    assert only(as_records(a), as_records(b, 0.5)).mark is Mark.SLOWER
