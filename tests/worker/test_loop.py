"""The training loop of a worker that takes turns, in this process."""

from __future__ import annotations

import pytest

from lenet.store.events import Steps
from lenet.store.record import Status
from tests.worker.sleeper import PLAN, SimulatedClock, train


def test_a_lead_in_is_reported_after_its_turn_and_before_its_window(digits):
    windows = [(event, steps) for event, steps in train(digits) if isinstance(event, Steps)]
    lead_ins = [number for number, (event, _) in enumerate(windows) if event.leads_in(PLAN)]
    assert len(lead_ins) >= 2
    for number in lead_ins:
        (lead_in, steps), (window, end) = windows[number : number + 2]
        assert steps == end == window.first_step + window.steps
        assert window.first_step == lead_in.first_step + lead_in.steps
        assert not window.warmup


def test_a_turn_keeps_its_length_when_the_steps_become_slower(digits):
    """Twenty steps fill it at first; 20 times slower, they would hold up the others for 20 turns."""
    plan, slow_from = PLAN.model_copy(update={"windows": 12}), 34
    turns = [
        event
        for event, _ in train(digits, slow_from=slow_from, plan=plan)
        if isinstance(event, Steps) and not event.warmup
    ]
    assert turns[0].steps == 20
    first = next(number for number, event in enumerate(turns) if event.first_step >= slow_from)
    assert turns[first + 1].steps <= 3, "one turn shows it"
    assert turns[-1].steps <= 2
    assert sum(event.first_step >= slow_from for event in turns) >= 3


def test_each_step_is_in_one_window(digits):
    windows = [event for event, _ in train(digits) if isinstance(event, Steps)]
    first = 0
    for window in windows:
        assert window.first_step == first
        first += window.steps


@pytest.mark.parametrize("after", [1, 2])
def test_a_lead_in_that_diverges_is_reported(digits, after):
    regular = [event for event, _ in train(digits) if isinstance(event, Steps)]
    lead_in = next(event for event in regular if event.leads_in(PLAN))
    at = lead_in.first_step + after
    *_, (last, _), (failed, _) = train(digits, at)
    assert failed.status is Status.DIVERGED
    assert f"step {at} " in failed.reason
    assert last.losses[at - 1 - last.first_step] is None


def test_the_time_to_report_a_turn_is_no_training(digits):
    clock = SimulatedClock()
    windows = [event for event, _ in train(digits, clock=clock, reporting_seconds=0.02) if isinstance(event, Steps)]
    phases = clock.phases()
    assert len(windows) >= 5
    # The time to report the first step, before the warm-up that follows in the same turn, is part of that window.
    trained = phases.compile_and_first_step_seconds + phases.training_seconds
    assert trained == pytest.approx(sum(window.seconds for window in windows))
    assert phases.other_seconds > 0.02 * (len(windows) - 2)
