"""The marks of a comparison, and what they claim on real samples."""

from __future__ import annotations

import json
import random
import statistics
from datetime import datetime, timezone
from pathlib import Path

import pytest

from lenet.analysis import comparison
from lenet.analysis.comparison import Mark, choose, compare, least_processes, parse_over
from lenet.case import Case, Hyperparameters, Mode
from lenet.errors import UsageError
from lenet.record import DatasetCard, Record, Software, Status, Window

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)
DATA = Path(__file__).parent / "data"


def record(rates, repetition=0, status=Status.OK, sha="ab", version="2.10.0", details=None, mode=Mode.GRAPH, **hyper):
    case = Case(mode=mode, repetition=repetition, hyperparameters=Hyperparameters(**hyper))
    return Record(
        case_id=case.id, case=case, status=status, reason="" if status is Status.OK else "why", machine_id="m",
        started_at=NOW, finished_at=NOW,
        dataset=DatasetCard(name="mnist", sha256=sha * 32, training_images=60000, test_images=10000),
        software=Software(framework_version=version, python_version="3", numpy_version="1", details=details or {}),
        windows=tuple(
            Window(epoch=1, first_step=60 + i, steps=1, images=100, seconds=100 / rate, warmup=False)
            for i, rate in enumerate(rates)
        ),
    )  # fmt: skip


def processes(medians, **fields):
    return [record([median] * 3, repetition, **fields) for repetition, median in enumerate(medians)]


STEADY = (990, 995, 1000, 1005, 1010, 1002)


def only(a, b, **options):
    (found,) = compare(a, b, **options)
    return found


@pytest.mark.parametrize(
    ("factor", "mark"), [(1.1, Mark.BETTER), (0.9, Mark.WORSE), (1.0, Mark.CANNOT_TELL), (1.001, Mark.CANNOT_TELL)]
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
    assert only(processes(tight), processes([1.004 * each for each in tight]), minimum_effect=0.003).mark is Mark.BETTER


def test_too_few_processes_cannot_tell_and_say_how_many_could():
    found = only(processes(STEADY[:3]), processes([0.5 * each for each in STEADY[:3]]))
    assert found.mark is Mark.CANNOT_TELL
    assert "from 4 processes" in found.note
    assert [least_processes(tests) for tests in (1, 2, 7)] == [4, 5, 6]


def test_a_single_process_is_judged_by_its_windows_and_says_so():
    a = record([1000 + i for i in range(30)])
    found = only([a], [record([800 + i for i in range(30)])])
    assert (found.mark, found.unit) == (Mark.WORSE, "windows")


def test_holms_correction_is_over_the_cases():
    a = [each for size in (16, 32, 64, 128) for each in processes(STEADY[:4], batch_size=size)]
    b = [each for size in (16, 32, 64, 128) for each in processes([0.9 * x for x in STEADY[:4]], batch_size=size)]
    assert {each.mark for each in compare(a, b)} == {Mark.CANNOT_TELL}, "2/70 is above 5% / 4"
    assert [each.p for each in compare(a, b)] == pytest.approx([4 * 2 / 70] * 4)
    assert only(a[:4], b[:4]).mark is Mark.WORSE


FAILED = record([], status=Status.CRASHED)


@pytest.mark.parametrize(
    ("a", "b", "mark"),
    [
        (processes(STEADY), [FAILED], Mark.BROKE),
        ([FAILED], processes(STEADY), Mark.FIXED),
        ([FAILED], [FAILED], Mark.CANNOT_TELL),
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


@pytest.mark.parametrize("answer", [ValueError("too odd"), float("nan"), None])
def test_a_test_that_fails_is_never_a_difference(monkeypatch, answer):
    def broken(a, b):
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(comparison, "mann_whitney", broken)
    found = only(processes(STEADY), processes([0.5 * each for each in STEADY]))
    assert found.mark is Mark.CANNOT_TELL
    assert "the test" in found.note


def test_another_version_is_compared_unless_a_side_has_several():
    a, b = processes(STEADY, version="2.7.0"), processes([2 * each for each in STEADY], version="2.10.0")
    assert only(a, b).mark is Mark.BETTER
    assert comparison.ignored_for([*a, *b], a, comparison.COMPARED) == ["machine"]


def test_one_axis_over_another():
    axis, values = parse_over("mode=graph,jit")
    both = [*processes(STEADY), *processes([2 * each for each in STEADY], mode=Mode.JIT)]
    found = only(choose(both, axis, values[0]), choose(both, axis, values[1]), over=(*comparison.COMPARED, axis))
    assert found.ratio == pytest.approx(2)
    with pytest.raises(UsageError, match="graph, jit"):
        choose(both, axis, "pynative")
    for text in ("speed", "mode=graph", "mode=a,b,c"):
        with pytest.raises(UsageError, match="--over"):
            parse_over(text)


def samples(name):
    """Processes that were really measured: their steady windows' rates, in the order of measurement."""
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))["processes"]


def draw(pool, size, seed):
    """Two disjoint samples of recorded processes."""
    chosen = random.Random(seed).sample(pool, 2 * size)
    return chosen[:size], chosen[size:]


def as_records(rates, factor=1.0):
    return [record([factor * rate for rate in each], repetition) for repetition, each in enumerate(rates)]


QUIET = 0.1
"""The recorded samples scatter by 32%, for many other processes ran; a tenth of it is a quiet machine's."""


def calmer(pool, share):
    """The recorded processes with that share of their scatter, on the logarithmic scale: its shape is left as it is."""
    centre = statistics.median(rate for each in pool for rate in each)
    return [[centre * (rate / centre) ** share for rate in each] for each in pool]


@pytest.mark.parametrize("share", [1, QUIET])
def test_100_comparisons_of_a_thing_with_itself_give_5_false_alarms_at_most(share):
    pool = calmer(samples("loaded"), share)
    alarms = 0
    for seed in range(100):
        a, b = draw(pool, 12, seed)
        alarms += only(as_records(a), as_records(b)).mark in (Mark.BETTER, Mark.WORSE)
    assert alarms <= 5


def test_a_planted_slow_down_of_5_percent_is_found_at_the_scatter_of_a_quiet_machine():
    pool = calmer(samples("loaded"), QUIET)
    marks = []
    for seed in range(30):
        a, b = draw(pool, len(pool) // 2, seed)
        marks.append(only(as_records(a), as_records(b, 0.95)).mark)
    assert marks.count(Mark.WORSE) >= 0.8 * len(marks), marks
    assert Mark.BETTER not in marks


def test_under_load_5_percent_cannot_be_told_and_half_can():
    pool = samples("loaded")
    a, b = draw(pool, len(pool) // 2, 0)
    assert only(as_records(a), as_records(b, 0.95)).mark is Mark.CANNOT_TELL
    assert only(as_records(a), as_records(b, 0.5)).mark is Mark.WORSE
