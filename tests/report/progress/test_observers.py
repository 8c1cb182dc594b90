"""The progress of a run, as lines and as a live view."""

from __future__ import annotations

import io
import re
import time

import pytest
from rich.console import Console

from lenet.cases.case import Case, Mode, Plan
from lenet.report.progress.observers import MOST_BARS, LiveObserver, PlainObserver
from lenet.store.events import Steps
from lenet.store.record import Status

STEPS = Steps(epoch=1, first_step=60, steps=20, images=640, seconds=0.5, warmup=False, losses=())


@pytest.fixture
def terminal():
    return Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)


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


def test_a_terminal_shows_phase_epoch_step_rate_and_time_left(terminal, digits, plain_record):
    case = Case(dataset="digits", plan=Plan(windows=4, window_steps=20))
    with LiveObserver(terminal, {"digits": digits}) as live:
        live.case_started(case, 0, 1)
        live.event(case, STEPS)
        live._live.refresh()
        live.case_finished(case, plain_record(case))
    shown = terminal.file.getvalue()
    assert "epoch 1, step 80, 1,280 img/s, 0:02 left" in " ".join(shown.split())
    assert "[1/1] CPU" in shown


def words(terminal):
    return " ".join(terminal.file.getvalue().split())


def test_several_nodes_have_a_bar_each_and_lines_count_what_is_done(terminal, digits, plain_record):
    cases = [Case(dataset="digits", plan=Plan(windows=4, window_steps=20), repetition=index) for index in range(3)]
    with LiveObserver(terminal, {"digits": digits}, cases) as live:
        live.case_started(cases[0], 0, 3, "10.0.0.1")
        live.case_started(cases[1], 0, 3, "10.0.0.2")
        live.event(cases[0], STEPS)
        live.event(cases[1], STEPS.model_copy(update={"first_step": 40, "seconds": 1.0}))
        live._live.refresh()
        assert "10.0.0.1: CPU graph b32" in words(terminal)
        assert "step 80, 1,280 img/s" in words(terminal)
        assert "step 60, 640 img/s" in words(terminal)
        assert "▶▶ 960 0/3" in words(terminal)
        live.case_finished(cases[1], plain_record(cases[1]))
        live.case_started(cases[2], 1, 3, "10.0.0.2")
        live.case_finished(cases[0], plain_record(cases[0]))
        live.event(cases[0], STEPS)  # of a node that was given up: too late
        live.case_finished(cases[2], plain_record(cases[2]))
    lines = [line for line in terminal.file.getvalue().splitlines() if "· batch 32" in line]
    assert [re.search(r"\[./3\].* on (\S+):", line).group(0)[1:4] for line in lines] == ["1/3", "2/3", "3/3"]
    assert [re.search(r" on (\S+):", line)[1] for line in lines] == ["10.0.0.2", "10.0.0.1", "10.0.0.2"]


def test_a_case_that_begins_again_on_another_node_has_one_bar(terminal, digits, plain_record):
    case = Case(dataset="digits", plan=Plan(windows=4, window_steps=20))
    with LiveObserver(terminal, {"digits": digits}) as live:
        live.case_started(case, 0, 1, "lost")
        live.event(case, STEPS)
        live.case_started(case, 0, 1, "found")
        assert [task.description for task in live._progress.tasks] == ["run", "found: CPU graph b32"]
        assert live._progress.tasks[-1].completed == 0
        live.case_finished(case, plain_record(case))
        assert len(live._progress.tasks) == 1
    assert "batch 32 · digits on found:" in words(terminal)


def test_more_nodes_than_a_terminal_has_lines(terminal, digits, plain_record):
    cases = [Case(dataset="digits", repetition=index) for index in range(MOST_BARS + 2)]
    with LiveObserver(terminal, {"digits": digits}) as live:
        for index, case in enumerate(cases):
            live.case_started(case, 0, len(cases), f"n{index}")
        assert sum(task.visible for task in live._progress.tasks) == 1 + MOST_BARS
        live.case_finished(cases[0], plain_record(cases[0]))
        shown = [task.description[:2] for task in live._progress.tasks if task.visible]
        assert shown == ["ru", *(f"n{index}" for index in range(1, MOST_BARS + 1))]


def test_a_training_of_whole_epochs_knows_its_steps(terminal, digits):
    case = Case(dataset="digits", plan=Plan(epochs=3))
    with LiveObserver(terminal, {"digits": digits}) as live:
        live.case_started(case, 0, 1)
        assert live._progress.tasks[-1].total == 3 * (1285 // 32)


def test_windows_that_grew_are_counted_as_they_are(terminal, digits):
    case = Case(dataset="digits", plan=Plan(windows=4, window_steps=5))
    with LiveObserver(terminal, {"digits": digits}) as live:
        live.case_started(case, 0, 1)
        live.event(case, STEPS)
        assert live._progress.tasks[-1].total == 60 + 4 * 20


def test_the_matrix_fills_in(terminal, digits, plain_record):
    cases = [
        Case(dataset="digits", mode=mode, hyperparameters={"batch_size": size}) for size in (32, 64) for mode in Mode
    ]
    crashed = plain_record(cases[0], Status.CRASHED, "gone")
    with LiveObserver(terminal, {"digits": digits}, cases, [crashed]) as live:
        live.case_started(cases[1], 0, 5)
        live.event(cases[1], STEPS)
        live._live.refresh()
    shown = [" ".join(line.split()) for line in terminal.file.getvalue().splitlines()]
    assert shown[0].endswith("batch 32 batch 64")
    assert "pynative crashed ·" in shown
    assert "graph ▶ 1,280 ·" in shown
    assert "jit · ·" in shown
