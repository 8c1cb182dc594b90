"""The parts of steps that were recorded from MindSpore, and of steps whose parts are known."""

from __future__ import annotations

import json
import time
from itertools import count, pairwise
from pathlib import Path

import numpy as np
import pytest

from lenet.worker.parts import StepMarks, TrainingSteps, divided
from lenet.worker.profilers import read_runs

RECORDED = Path(__file__).parent / "recorded"


@pytest.fixture(params=["graph", "pynative"])
def recorded(request):
    marks = [StepMarks(*each) for each in json.loads((RECORDED / f"{request.param}-marks.json").read_text())["marks"]]
    lines = (RECORDED / f"{request.param}-times.txt").read_text().splitlines()
    return marks, [(run.begin, run.end) for run in read_runs(lines)]


def total(parts):
    return parts.data_seconds + parts.host_seconds + (parts.kernel_seconds or 0.0) + parts.rest_seconds


class TestRecordedSteps:
    def test_the_parts_add_up_to_the_steps(self, recorded):
        marks, spans = recorded
        parts = divided(1.0, 1.0, marks, spans)
        assert total(parts) == pytest.approx(sum(each.ended - each.begun for each in marks) / 1e9, rel=1e-9)

    def test_every_operator_ran_in_a_step(self, recorded):
        """Else the clocks of the profiler and of the marks are not the same, and the kernels would be missed."""
        marks, spans = recorded
        assert len(spans) >= 6 * 30
        assert all(any(each.begun <= begin and end <= each.ended for each in marks) for begin, end in spans)

    def test_operators_at_the_same_time_count_once(self, recorded):
        marks, spans = recorded
        parts = divided(1.0, 1.0, marks, spans)
        assert 0 < parts.kernel_seconds <= sum(end - begin for begin, end in spans) / 1e9
        assert divided(1.0, 1.0, marks, spans * 2) == parts

    def test_without_a_profiler_the_kernels_are_the_hosts(self, recorded):
        marks, spans = recorded
        without, parts = divided(1.0, 1.0, marks, None), divided(1.0, 1.0, marks, spans)
        assert without.kernel_seconds is None
        assert without.host_seconds > parts.host_seconds
        assert total(without) == pytest.approx(total(parts), rel=1e-9)


MARKS = [StepMarks(0, 10, 50, 100), StepMarks(100, 120, 200, 200)]


@pytest.mark.parametrize(
    ("spans", "data", "host", "kernels", "rest"),
    [
        ([], 30, 120, 0, 50),
        ([(10, 20), (15, 30)], 30, 100, 20, 50),
        ([(40, 60)], 30, 110, 20, 40),
        ([(0, 10), (100, 120)], 0, 120, 30, 50),  # of another step, while this one waits for its batch
        ([(20, 40), (60, 80), (120, 200)], 30, 20, 120, 30),
        ([(-50, 5), (190, 900)], 25, 110, 15, 50),  # what runs outside of the steps is not theirs
    ],
)
def test_known_parts(spans, data, host, kernels, rest):
    parts = divided(0.5, 0.6, MARKS, spans)
    assert (parts.steps, parts.plain_seconds, parts.clocked_seconds) == (2, 0.5, 0.6)
    assert parts.data_seconds == pytest.approx(data * 1e-9)
    assert parts.host_seconds == pytest.approx(host * 1e-9)
    assert parts.kernel_seconds == pytest.approx(kernels * 1e-9)
    assert parts.rest_seconds == pytest.approx(rest * 1e-9)
    assert total(parts) == pytest.approx(200e-9)
    assert parts.instrumented_seconds == pytest.approx(200e-9)


class Slow:
    """A trainer whose passes have three steps, and whose parts are sleeps."""

    def __init__(self, data, call, wait):
        self.sleeps = data, call, wait
        self.passes = count()

    def train_epoch(self, observe):
        next(self.passes)
        for _ in range(3):
            time.sleep(self.sleeps[0])
            observe(np.zeros(1), np.zeros(1))
            time.sleep(self.sleeps[1])
            yield 1.0

    def synchronize(self, loss):
        time.sleep(self.sleeps[2])


@pytest.mark.parametrize("largest", range(3))
def test_the_readings_of_the_clock_are_those_of_the_parts(largest):
    trainer = Slow(*(0.05 if index == largest else 0.0 for index in range(3)))
    marks = TrainingSteps(trainer).marked(7)
    parts = divided(1.0, 1.0, marks, None)
    measured = (parts.data_seconds, parts.host_seconds, parts.rest_seconds)
    assert measured[largest] >= (0.05 if largest == 2 else 7 * 0.05), "only the end of a window waits for the device"
    assert measured[largest] == max(measured)
    assert all(before.ended == after.begun for before, after in pairwise(marks))
    assert next(trainer.passes) == 3, "seven steps are two passes of three, and a part of the next"


def test_plain_steps_wait_for_the_last_one_only():
    assert 0.05 <= TrainingSteps(Slow(0, 0, 0.05)).plain(4) < 4 * 0.05 + 60
