"""The summary is a function of the raw samples: compared with numpy and with values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenet.cases.case import Plan
from lenet.store.record import Evaluation, Phases, Window, summarise, throughput


def window(seconds, *, steps=10, images=320, warmup=False, first_step=0):
    return Window(epoch=1, first_step=first_step, steps=steps, images=images, seconds=seconds, warmup=warmup)


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=40))
def test_median_and_quartiles_are_numpys(seconds):
    found = throughput(tuple(window(each) for each in seconds))
    rates = 320 / np.array(seconds)
    low, median, high = np.quantile(rates, [0.25, 0.5, 0.75])
    assert (found.low, found.median, found.high) == pytest.approx((low, median, high))
    assert found.windows == len(seconds)


def test_by_hand():
    found = throughput((window(1), window(2), window(4)))
    assert (found.median, found.low, found.high) == (160, 120, 240)


def test_warm_up_and_the_rest_of_an_epoch_are_not_counted():
    found = throughput((window(1e-3, warmup=True), window(1), window(1e-3, steps=3, images=96), window(1)))
    assert (found.median, found.windows) == (320, 2)


def test_the_rest_of_an_epoch_counts_without_a_full_window():
    assert throughput((window(1, steps=3, images=96),)).median == 96


def test_turns_of_any_length_count():
    """Where steps become slower, turns become shorter: the throughput is not that of the fast ones."""
    turns = [window(1.0).model_copy(update={"cycle": each, "turn": each}) for each in range(3)]
    slow = [window(1.0, steps=1, images=32).model_copy(update={"cycle": each, "turn": each}) for each in range(3, 7)]
    lead_in = window(1e-3, steps=5, images=160, warmup=True, first_step=99)
    found = throughput((*turns, lead_in, *slow))
    assert (found.median, found.windows) == (32, 7)


def test_no_steady_window():
    assert throughput(()) is None
    assert throughput((window(1, warmup=True),)) is None


def judged(epoch, correct, training_seconds):
    return Evaluation(
        epoch=epoch, steps=epoch * 10, training_seconds=training_seconds, seconds=1, images=1000, correct=correct,
        distinct_answers=10,
    )  # fmt: skip


def test_time_to_accuracy_is_the_training_clock_of_the_first_epoch_that_reached_it():
    evaluations = (judged(1, 940, 5.0), judged(2, 971, 10.0), judged(3, 960, 15.0), judged(4, 979, 20.0))
    summary = summarise(None, (window(1),), (), evaluations, 0.1, None)
    assert summary.seconds_to_accuracy == {"0.95": 10.0, "0.97": 10.0, "0.98": None}
    assert summary.accuracy == 0.979
    assert summary.trained_images == 320


def test_nothing_measured_is_null_and_not_zero():
    summary = summarise(None, (), (), (), None, None)
    assert summary.throughput is summary.accuracy is summary.compile_seconds is summary.final_loss is None
    assert summary.seconds_to_accuracy == {"0.95": None, "0.97": None, "0.98": None}


def test_each_figure_of_the_summary_is_its_own_sample():
    """With a different number in each place, so that a swapped one is noticed."""
    names = ("import_and_setup", "compile_and_first_step", "training", "evaluation", "resident", "other", "wall")
    phases = Phases(**{f"{name}_seconds": float(number) for number, name in enumerate(names, 1)})
    windows, resident = (window(1.0), window(1.0, images=640)), (window(0.25),)
    evaluations = (judged(1, 100, 5.0), judged(2, 200, 9.0).model_copy(update={"images": 400}))
    found = summarise(phases, windows, resident, evaluations, 0.75, 12345)
    assert found.throughput == throughput(windows)
    assert found.resident_throughput == throughput(resident)
    assert found.throughput != found.resident_throughput
    assert found.accuracy == 0.5
    assert found.evaluated_images == 400
    assert found.trained_images == 960
    assert found.final_loss == 0.75
    assert found.compile_seconds == 2.0
    assert found.peak_memory_bytes == 12345
    assert found.seconds_to_accuracy == {"0.95": None, "0.97": None, "0.98": None}


def test_an_accuracy_that_is_the_target_to_the_last_bit_has_reached_it():
    assert summarise(None, (), (), (judged(1, 950, 5.0),), None, None).seconds_to_accuracy["0.95"] == 5.0


def test_a_lead_in_is_past_the_warm_up_and_counts_as_warm_up_in_a_training_that_is_timed():
    def window(first_step, warmup):
        return Window(epoch=1, first_step=first_step, steps=5, images=160, seconds=0.1, warmup=warmup)

    plan = Plan(warmup_steps=60)
    assert window(60, True).leads_in(plan)
    assert not window(59, True).leads_in(plan)
    assert not window(65, False).leads_in(plan)
    assert not window(65, True).leads_in(Plan(warmup_steps=60, trace=True, epochs=1)), "all windows of a trace are"
