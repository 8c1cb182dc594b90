"""The progress of a run as lines."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from lenet.cases.case import Case
from lenet.report.progress.plain import LINE_SECONDS, PlainObserver
from lenet.store.events import Started, Steps
from lenet.store.record import Software, Status

STARTED = Started(
    initial_weights_sha256="0" * 64, software=Software(framework_version="1", python_version="3", numpy_version="2")
)
STEPS = Steps(epoch=1, first_step=60, steps=20, images=640, seconds=0.5, warmup=False, losses=())


def test_a_pipe_gets_one_line_per_case_without_control_characters(plain_record):
    console = Console(file=io.StringIO(), width=80)
    observer = PlainObserver(console)
    case = Case()
    observer.case_started(case, 2, 6)
    observer.event(case, STEPS)
    observer.case_finished(case, plain_record(case, Status.CRASHED, "the worker ended with SIGSEGV [bold]"))
    assert console.file.getvalue() == ("[3/6] CPU · graph · batch 32: crashed: the worker ended with SIGSEGV [bold]\n")


def test_lines_of_an_open_end_have_the_time(plain_record):
    """As of tune, which decides while it runs what it measures."""
    console = Console(file=io.StringIO(), width=80)
    observer = PlainObserver(console, time.monotonic() - 75)
    observer.case_started(Case(), 0, 1)
    observer.case_finished(Case(), plain_record(Case()))
    assert console.file.getvalue() == "[75 s] CPU · graph · batch 32: done\n"


class TestAGroup:
    """A line when it starts and one now and then: a log shows for minutes that a run goes on."""

    CASES = tuple(Case(hyperparameters={"batch_size": size}) for size in (32, 64, 128))

    @pytest.fixture
    def clock(self, monkeypatch):
        now = [1000.0]
        monkeypatch.setattr(time, "monotonic", lambda: now[0])
        return now

    @pytest.fixture
    def observer(self):
        return PlainObserver(Console(file=io.StringIO(), width=80))

    @staticmethod
    def lines(observer):
        return observer._console.file.getvalue().splitlines()

    def test_start_interval_and_time_left(self, observer, clock, plain_record):
        observer.group_started(self.CASES)
        for case in self.CASES:
            observer.case_started(case, 2, 5)
        assert self.lines(observer) == ["[2/5] 3 cases take turns: 0 of 3 workers started"]
        observer.event(self.CASES[0], STARTED)
        clock[0] += LINE_SECONDS + 1
        observer.turn(self.CASES[0], 0, 100)
        for cycle in range(100):  # 100 cycles in 75 seconds
            for case in self.CASES:
                observer.turn(case, cycle, 100)
                clock[0] += 0.25
        assert self.lines(observer)[1:] == [
            "[2/5] 3 cases take turns: cycle 0 of 100",
            "[2/5] 3 cases take turns: cycle 40 of 100, 0:45 left",
            "[2/5] 3 cases take turns: cycle 80 of 100, 0:15 left",
        ]
        observer.case_finished(self.CASES[1], plain_record(self.CASES[1]))
        assert self.lines(observer)[-1] == "[3/5] CPU · graph · batch 64: done"

    def test_a_node_has_its_name_and_its_turns_arrive_now_and_then(self, observer, clock):
        observer.group_started(self.CASES, "10.0.0.1")
        observer.case_started(self.CASES[0], 0, 3, "10.0.0.1")
        observer.turn(self.CASES[0], 10, 60)
        clock[0] += LINE_SECONDS
        observer.turn(self.CASES[0], 40, 60)
        assert self.lines(observer) == [
            "[0/3] 3 cases take turns on 10.0.0.1: 0 of 3 workers started",
            "[0/3] 3 cases take turns on 10.0.0.1: cycle 40 of 60, 0:20 left",
        ]

    def test_the_workers_that_have_started_are_counted(self, observer, clock):
        observer.group_started(self.CASES)
        for case in self.CASES:
            observer.case_started(case, 0, 3)
            observer.event(case, STARTED)
            clock[0] += LINE_SECONDS
        assert [line[-len("0 of 3 workers started") :][0] for line in self.lines(observer)] == ["0", "1", "2"]

    def test_groups_of_two_nodes_have_lines_of_their_own(self, observer, clock):
        others = [case.model_copy(update={"repetition": 1}) for case in self.CASES]
        for cases, node in ((self.CASES, "a"), (others, "b")):
            observer.group_started(cases, node)
            observer.case_started(cases[0], 0, 6, node)
        assert [line.split(" on ")[1][0] for line in self.lines(observer)] == ["a", "b"]

    def test_a_case_that_is_alone_prints_nothing_before_its_end(self, observer, clock):
        observer.case_started(self.CASES[0], 0, 1)
        clock[0] += 1000
        observer.event(self.CASES[0], STEPS)
        assert self.lines(observer) == []
