"""What a person sees while a run goes on."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from lenet.case import Case, Mode, Plan
from lenet.progress import LiveObserver, PlainObserver
from lenet.record import Status

STEPS = {"event": "steps", "epoch": 1, "first_step": 60, "steps": 20, "images": 640, "seconds": 0.5, "warmup": False,
         "losses": []}  # fmt: skip


@pytest.fixture
def terminal():
    return Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)


def test_a_pipe_gets_a_line_a_case_without_control_characters(plain_record):
    console = Console(file=io.StringIO(), width=80)
    observer = PlainObserver(console)
    case = Case()
    observer.case_started(case, 2, 6)
    observer.event(case, STEPS)
    observer.case_finished(case, plain_record(case, Status.CRASHED, "the worker ended with SIGSEGV [bold]"))
    assert console.file.getvalue() == (
        "[3/6] CPU · graph · batch 32 · seed 1: crashed: the worker ended with SIGSEGV [bold]\n"
    )


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
