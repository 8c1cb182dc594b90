"""Workers that are alive together and take turns: real processes, really trained in NumPy."""

from __future__ import annotations

import os
import signal
import sys
import time
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from lenet.cases.case import Case, Hyperparameters, Plan
from lenet.cases.matrix import Matrix
from lenet.engine import SilentObserver, TimeLimits
from lenet.engine.local import LocalEngine
from lenet.engine.process import MARK
from lenet.machine.card import describe
from lenet.store.events import Compiled, Started, Steps
from lenet.store.record import Status
from lenet.store.run import Store

PLAN = Plan(warmup_steps=6, window_steps=4, window_seconds=0.05, windows=10, resident_windows=2)


def case_of(batch_size, **fields):
    fields = {"dataset": "digits", "plan": PLAN, **fields}
    return Case(hyperparameters=Hyperparameters(batch_size=batch_size), **fields)


CASES = [case_of(size) for size in (16, 32, 64)]
FAKE = (sys.executable, "-I", "-S", str(Path(__file__).parents[1] / "fake_worker.py"))
"""A worker that takes turns and trains nothing, for what the engine does alone."""


def workers():
    """The worker processes of this test."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if MARK in process.environ():
                found.append(process)
        except psutil.Error:
            continue
    return found


def measured(folder, digits, command, cases=CASES, observer=None, limits=None, judge=None, **options):
    """The records of the cases, which are alive together."""
    store = Store.create(folder, Matrix(), cases, {"digits": digits.card}, describe())
    engine = LocalEngine(limits or TimeLimits(60, 30), observer, command, interleave="windows", **options)
    records = engine.run(cases, {"digits": digits}, store, judge)
    assert sorted(store.records(), key=lambda each: each.case_id) == sorted(records, key=lambda each: each.case_id)
    assert not workers(), "a worker was left behind"
    return records


@pytest.fixture
def run(tmp_path, digits, faulty_worker):
    """Run the cases as a group; `fault` is code that the worker of batch size 32 executes in its 20th step."""

    def go(fault="", command=(), **options):
        folder = tmp_path / f"run-{len(list(tmp_path.iterdir()))}"
        return measured(folder, digits, command or faulty_worker(fault), **options)

    return go


def turns_of(records):
    """Number, cycle and case of every turn with a window, in the order of the turns."""
    return sorted(
        (window.turn, window.cycle, record.case_id)
        for record in records
        for window in (*record.windows, *record.resident_windows)
        if window.turn is not None
    )


@pytest.fixture(scope="module")
def records(digits, numpy_worker, tmp_path_factory):
    records = measured(tmp_path_factory.mktemp("honest") / "run", digits, numpy_worker)
    assert [record.status for record in records] == [Status.OK] * 3, records
    return records


class TestAnHonestGroup:
    def test_the_members_share_a_group(self, records):
        assert len({record.group for record in records}) == 1
        assert records[0].group

    def test_every_steady_window_is_a_turn_and_no_warm_up_is(self, records):
        for record in records:
            assert all((window.turn is None) == window.warmup for window in record.windows)
            assert all(window.turn is not None for window in record.resident_windows)

    def test_turns_are_given_one_at_a_time_cycle_by_cycle(self, records):
        turns = turns_of(records)
        assert [number for number, _, _ in turns] == list(range(len(turns)))
        assert all(earlier[1] <= later[1] for earlier, later in pairwise(turns))
        assert len({(cycle, case) for _, cycle, case in turns}) == len(turns)

    def test_the_phases_add_up_and_waiting_is_in_none_of_them(self, records):
        for record in records:
            parts = record.phases.model_dump()
            assert sum(parts.values()) - parts["wall_seconds"] == pytest.approx(parts["wall_seconds"], abs=1e-6)
            in_windows = sum(window.seconds for window in record.windows)
            assert in_windows <= parts["compile_and_first_step_seconds"] + parts["training_seconds"]
            assert parts["waiting_seconds"] > parts["training_seconds"]  # two others trained meanwhile

    def test_losses_and_weights_are_those_of_a_worker_that_is_alone(self, run):
        plan = PLAN.model_copy(update={"window_seconds": 0.0})  # counts steps: the same on any machine
        together, _ = run(cases=[case_of(size, plan=plan) for size in (16, 32)])
        steps = sum(window.steps for window in together.windows)
        # Turns have as many steps as the machine is fast: the worker that is alone is given the same number.
        same = Plan(warmup_steps=6, window_steps=steps - 6, window_seconds=0.0, windows=1, resident_windows=0)
        (alone,) = run(cases=[case_of(16, plan=same)])
        assert sum(window.steps for window in alone.windows) == steps
        assert together.losses_sha256 == alone.losses_sha256
        assert together.weights_sha256 == alone.weights_sha256
        assert (bool(together.group), alone.group) == (True, "")


def test_whoever_is_not_on_turn_is_stopped(run):
    states = []

    class Looks(SilentObserver):
        def event(self, case, event):
            if isinstance(event, Steps) and event.turn is not None:
                states.append(sorted(each.status() for each in workers()))

    run(observer=Looks())
    assert states
    # The one on turn has just reported; it is stopped too as soon as its pause is read.
    assert all(found.count(psutil.STATUS_STOPPED) >= len(found) - 1 for found in states)
    assert any(len(found) == 3 for found in states)


def test_workers_set_themselves_up_together_and_warm_up_alone(run, monkeypatch):
    """But for the first one, which shows how much memory a worker takes."""
    monkeypatch.setattr("lenet.engine.local.usable_cores", lambda: {0, 1, 2})
    started, before_warm_up, beside_warm_up = [], [], []

    class Looks(SilentObserver):
        def case_started(self, case, done, total, node=""):
            started.append(case)

        def event(self, case, event):
            if isinstance(event, Compiled):
                before_warm_up.append(len(started))
                beside_warm_up.append([each.status() for each in workers()])

    run(cases=[case_of(size) for size in (8, 16, 24, 48, 64)], observer=Looks())
    assert before_warm_up == [1, 4, 4, 4, 5]
    assert [len(states) for states in beside_warm_up] == [1, 4, 4, 4, 5]
    for states in beside_warm_up:
        assert states.count(psutil.STATUS_STOPPED) >= len(states) - 1


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", Status.CRASHED),
        ("os._exit(3)", Status.CRASHED),
        ("time.sleep(60)", Status.TIMED_OUT),
        ("os.kill(os.getpid(), signal.SIGSTOP)", Status.TIMED_OUT),
        ("os.write(int(sys.argv[1]), b'no event\\n'); time.sleep(60)", Status.INVALID),
        ('os.write(int(sys.argv[1]), b\'{"turns_left":1,"event":"paused"}\\n\'); time.sleep(60)', Status.INVALID),
        ("return float('nan')", Status.DIVERGED),
        ("raise MemoryError('out of memory')", Status.OUT_OF_MEMORY),
    ],
)
def test_a_member_that_fails_is_a_record_and_the_others_go_on(run, fault, status):
    first, failed, last = run(fault, limits=TimeLimits(60, 2))
    assert failed.status is status, failed
    assert (first.status, last.status) == (Status.OK, Status.OK), (first, last)
    assert first.group == failed.group == last.group


def test_one_that_is_killed_while_it_waits_is_a_crash(run):
    class Kills(SilentObserver):
        done = False

        def event(self, case, event):
            if isinstance(event, Steps) and event.cycle == 3 and not self.done:
                stopped = [each for each in workers() if each.status() == psutil.STATUS_STOPPED]
                stopped[0].kill()
                self.done = True

    statuses = sorted(record.status.value for record in run(observer=Kills()))
    assert statuses == ["crashed", "ok", "ok"]


def test_the_silence_limit_counts_a_workers_own_turns_only(run):
    records = run(cases=[case_of(size) for size in (8, 16, 24, 32, 48, 64)], limits=TimeLimits(60, 1.5))
    assert [record.status for record in records] == [Status.OK] * 6, records
    assert max(record.phases.waiting_seconds for record in records) > 1.5


def test_ctrl_c_leaves_no_worker_and_keeps_the_finished(digits, new_store, numpy_worker):
    short = case_of(64, plan=PLAN.model_copy(update={"windows": 1, "resident_windows": 0}))
    cases = [case_of(16), short]

    class Impatient(SilentObserver):
        def case_finished(self, case, record):
            os.kill(os.getpid(), signal.SIGINT)

    store = new_store(cases, digits)
    with pytest.raises(KeyboardInterrupt):
        LocalEngine(TimeLimits(60, 30), Impatient(), numpy_worker, interleave="windows").run(
            cases, {"digits": digits}, store
        )
    assert not workers()
    assert [record.case for record in store.records()] == [short]
    assert store.missing() == cases[:1]


def test_no_more_workers_are_alive_than_asked_for(run):
    most = []

    class Counts(SilentObserver):
        def event(self, case, event):
            if isinstance(event, Started):
                most.append(len(workers()))

    records = run(command=FAKE, observer=Counts(), alive=2)
    assert max(most) == 2
    assert [bool(record.group) for record in records] == [True, True, False]
    assert records[0].group == records[1].group


def test_memory_bounds_how_many_are_alive(run, monkeypatch):
    """Where there is no room for a second worker, every case still gets its record, one after another."""
    monkeypatch.setattr("lenet.engine.local.MEMORY_MARGIN", 1e9)
    most = []

    class Counts(SilentObserver):
        def event(self, case, event):
            most.append(len(workers()))

    records = run(command=FAKE, observer=Counts())
    assert [record.status for record in records] == [Status.OK] * 3
    assert max(most) == 1


def test_an_observer_gets_the_number_of_finished_cases(run):
    """Three start before the first of them ends."""

    class Counts(SilentObserver):
        def __init__(self):
            self.finished, self.counts = 0, []

        def case_started(self, case, done, total, node=""):
            self.counts.append((done, total, self.finished))

        def case_finished(self, case, record):
            self.finished += 1

    observer = Counts()
    run(command=FAKE, observer=observer)
    assert observer.counts == [(0, 3, 0), (0, 3, 0), (0, 3, 0)]


def test_an_observer_sees_the_group_and_every_turn(run):
    """How many cycles there will be is known from the first turn on: the resident windows are among them."""

    class Watches(SilentObserver):
        def __init__(self):
            self.groups, self.turns, self.started = [], [], 0

        def group_started(self, cases, node=""):
            assert self.started == 0, "a group is announced before its first case"
            self.groups.append(list(cases))

        def case_started(self, case, done, total, node=""):
            self.started += 1

        def turn(self, case, cycle, cycles):
            deadline = time.monotonic() + 10  # the kernel stops a process some time after the signal
            while any(each.status() != psutil.STATUS_STOPPED for each in workers()):
                assert time.monotonic() < deadline, "a worker trains while none is on turn"
            self.turns.append((cycle, cycles, case.id))

    observer = Watches()
    records = run(observer=observer)
    assert [sorted(group, key=CASES.index) for group in observer.groups] == [CASES]
    assert [(cycle, case) for cycle, _, case in observer.turns] == [turn[1:] for turn in turns_of(records)]
    last, _, _ = observer.turns[-1]
    assert {cycles for _, cycles, _ in observer.turns} == {last + 1}


class Starts(SilentObserver):
    """The batch sizes of the workers in the order in which they start."""

    def __init__(self):
        self.order = []

    def case_started(self, case, done, total, node=""):
        self.order.append(case.hyperparameters.batch_size)


def test_workers_start_in_another_order_than_the_cases_and_their_records_have_that_of_the_cases(run):
    cases = [
        case.model_copy(update={"repetition": repetition})
        for repetition in range(4)
        for case in map(case_of, (8, 16, 24, 40))
    ]
    starts = Starts()
    records = run(command=FAKE, cases=cases, observer=starts)
    assert [record.case for record in records] == cases
    orders = [starts.order[first : first + 4] for first in range(0, 16, 4)]
    assert orders[1] == orders[0][::-1]
    assert orders[3] == orders[2][::-1]
    placed = {(each.case.repetition, each.place): each.case.hyperparameters.batch_size for each in records}
    assert placed == {
        (repetition, place): size for repetition, order in enumerate(orders) for place, size in enumerate(order)
    }


def test_a_judge_may_ask_for_the_order_of_the_cases(run):
    judge, starts = Rules(), Starts()
    judge.in_order = True
    run(command=FAKE, judge=judge, observer=starts)
    assert starts.order == [16, 32, 64]


def test_a_case_that_is_alone_is_no_group(run):
    class Watches(SilentObserver):
        def group_started(self, cases, node=""):
            raise AssertionError(cases)

        def turn(self, case, cycle, cycles):
            raise AssertionError(case)

    assert [record.status for record in run(command=FAKE, cases=CASES[:1], observer=Watches())] == [Status.OK]


class Rules:
    """Ends the case of batch size 32 once it has taken so many turns; with `seconds`, everything when they are over."""

    option = "--budget"
    in_order = False

    def __init__(self, turns=10**9, seconds=600.0):
        self.turns, self.deadline = turns, time.monotonic() + seconds
        self.seen = []

    def seconds_left(self):
        return self.deadline - time.monotonic()

    def losers(self, turns):
        self.seen.append({case.hyperparameters.batch_size: len(windows) for case, windows in turns.items()})
        if self.seconds_left() <= 0:
            return dict.fromkeys(turns, "the time was over")
        lost = {case for case, windows in turns.items() if len(windows) >= self.turns}
        return {case: "it was slow" for case in lost if case.hyperparameters.batch_size == 32}


class TestAJudge:
    def test_a_member_that_it_drops_is_a_record_with_what_it_trained_and_the_others_finish(self, run):
        judge = Rules(turns=4)
        first, dropped, last = run(judge=judge)
        assert (dropped.status, dropped.reason) == (Status.DROPPED, "it was slow")
        assert (first.status, last.status) == (Status.OK, Status.OK)
        assert first.group == dropped.group == last.group
        assert sum(not window.warmup for window in dropped.windows) == judge.seen[-1][32]
        assert 4 <= judge.seen[-1][32] < 7  # it is asked after each block of two turns
        assert dropped.summary.throughput is not None
        assert judge.seen[-1].keys() == {16, 32, 64}, "it sees those that have ended as well"

    def test_one_that_drops_nobody_changes_nothing(self, run):
        judge = Rules()
        records = run(command=FAKE, judge=judge)
        assert judge.seen[-1].keys() == {16, 32, 64}
        assert [record.status for record in records] == [Status.OK] * 3

    def test_no_worker_outlasts_the_time(self, run):
        began = time.monotonic()
        late = "time.sleep(300)"
        records = run(late, judge=Rules(seconds=10), limits=TimeLimits(600, 600))
        assert time.monotonic() - began < 100
        assert records[1].status is Status.DROPPED, "it has not failed"
        assert "time was over" in records[1].reason or "(--budget)" in records[1].reason

    def test_none_is_started_when_the_time_is_over(self, run):
        records = run(command=FAKE, judge=Rules(seconds=-1))
        assert {record.status for record in records} == {Status.DROPPED}
        assert all("not started" in record.reason and not record.windows for record in records)
