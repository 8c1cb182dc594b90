"""The progress of a run as a live view."""

from __future__ import annotations

import io
import re
import time

import pytest
from rich.console import Console

from lenet.cases.case import Case, Plan, RuntimeProfile
from lenet.cases.frameworks import ABILITIES, Framework
from lenet.report.progress.live import MOST_BARS, TURN_DRAW_SECONDS, LiveObserver
from lenet.store.events import Steps
from lenet.store.record import Status

STEPS = Steps(epoch=1, first_step=60, steps=20, images=640, seconds=0.5, warmup=False, losses=())


@pytest.fixture
def terminal():
    return Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)


def test_a_terminal_shows_phase_epoch_step_rate_and_time_left(terminal, digits, plain_record):
    case = Case(dataset="digits", plan=Plan(windows=4, window_steps=20))
    with LiveObserver(terminal, {"digits": digits}) as live:
        live.case_started(case, 0, 1)
        live.event(case, STEPS)
        live.draw()
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
        live.draw()
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


def test_bars_and_lines_name_in_what_cases_differ_and_cut_only_what_is_alike(terminal, digits):
    long = "onednn_isa=AVX2+launch_blocking+operator_threads=1+dispatch_threads=1+dataset_workers="
    cases = [Case(dataset="digits", profile=RuntimeProfile.parse(f"{long}{number}")) for number in (1, 2)]
    with LiveObserver(terminal, {"digits": digits}, cases) as live:
        for case in cases:
            live.case_started(case, 0, 2)
        live.draw()
        assert [task.description for task in live._progress.tasks][1:] == ["…dataset_workers=1", "…dataset_workers=2"]
    assert words(terminal).count("…dataset_workers=1") >= 2, "in the matrix too"


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
        Case(dataset="digits", mode=mode, hyperparameters={"batch_size": size})
        for size in (32, 64)
        for mode in ABILITIES[Framework.MINDSPORE].modes
    ]
    crashed = plain_record(cases[0], Status.CRASHED, "gone")
    with LiveObserver(terminal, {"digits": digits}, cases, [crashed]) as live:
        live.case_started(cases[1], 0, 5)
        live.event(cases[1], STEPS)
        live.draw()
    shown = [" ".join(line.split()) for line in terminal.file.getvalue().splitlines()]
    assert shown[0].endswith("batch 32 batch 64")
    assert "pynative crashed ·" in shown
    assert "graph ▶ 1,280 ·" in shown
    assert "jit · ·" in shown


class TestAGroup:
    CASES = tuple(
        Case(dataset="digits", plan=Plan(windows=4), hyperparameters={"batch_size": size}) for size in (32, 64)
    )
    TURN = STEPS.model_copy(update={"cycle": 3, "turn": 7})

    @pytest.fixture
    def live(self, terminal, digits):
        with LiveObserver(terminal, {"digits": digits}, self.CASES) as live:
            live.group_started(self.CASES)
            for case in self.CASES:
                live.case_started(case, 0, 2)
            yield live

    @staticmethod
    def bars(live):
        live.draw()
        return {task.description: (task.completed, task.total, task.fields["note"]) for task in live._progress.tasks}

    @staticmethod
    def last_drawn(terminal, live):
        terminal.file.seek(0)
        terminal.file.truncate()
        live.draw()
        return " ".join(terminal.file.getvalue().split())

    def test_the_worker_that_starts_is_marked(self, live):
        assert list(self.bars(live)) == ["run", "2 cases take turns", "‖ batch 32", "▶ batch 64"]
        assert self.bars(live)["2 cases take turns"] == (0, None, "0 of 2 workers started")

    def test_who_is_on_turn_and_how_many_cycles_are_done(self, live, terminal, monkeypatch):
        live.turn(self.CASES[0], 0, 20)
        began = time.monotonic()
        monkeypatch.setattr("lenet.report.progress.group.time.monotonic", lambda: began + 30)
        live.turn(self.CASES[0], 5, 20)
        live.event(self.CASES[0], self.TURN)
        bars = self.bars(live)
        assert bars["2 cases take turns"] == (5, 20, "cycle 5 of 20, 1:30 left")
        assert bars["▶ batch 32"] == (5, 20, "epoch 1, step 80, 1,280 img/s"), "its own pace says nothing"
        assert "‖ batch 64" in bars
        assert "▶ 1,280 ‖ …" in self.last_drawn(terminal, live), "in the matrix too"
        live.turn(self.CASES[1], 5, 20)
        assert {"▶ batch 64", "‖ batch 32"} < self.bars(live).keys()
        assert "‖ 1,280 ▶ …" in self.last_drawn(terminal, live)

    def test_its_bar_ends_with_its_last_case(self, live, plain_record):
        live.turn(self.CASES[0], 0, 20)
        live.case_finished(self.CASES[0], plain_record(self.CASES[0]))
        assert list(self.bars(live)) == ["run", "2 cases take turns", "‖ batch 64"]
        live.case_finished(self.CASES[1], plain_record(self.CASES[1]))
        assert list(self.bars(live)) == ["run"]

    def test_one_that_ends_before_the_next_starts(self, terminal, digits, plain_record):
        with LiveObserver(terminal, {"digits": digits}) as live:
            live.group_started(self.CASES)
            live.case_started(self.CASES[0], 0, 2)
            live.case_finished(self.CASES[0], plain_record(self.CASES[0], Status.CRASHED, "gone"))
            live.case_started(self.CASES[1], 1, 2)
            assert list(self.bars(live)) == ["run", "2 cases take turns", "▶ CPU graph b64"]

    def test_it_is_drawn_between_turns_and_a_few_times_per_second_only(self, live, monkeypatch):
        drawn = []
        monkeypatch.setattr(live._live, "refresh", lambda: drawn.append(time.monotonic()))
        first = time.monotonic()
        for cycle in range(2000):
            live.turn(self.CASES[cycle % 2], cycle, 2000)
            live.event(self.CASES[cycle % 2], self.TURN)
        assert len(drawn) <= 1 + (time.monotonic() - first) / TURN_DRAW_SECONDS
