"""What a worker does is what `verify` expects of it."""

from __future__ import annotations

import pytest

from lenet.analysis.verify import counts
from lenet.analysis.verify.evidence import Attempt, Evidence, LoggedEvent
from lenet.store.events import Resident, Steps
from lenet.store.record import Record, turn_fields
from tests.worker.sleeper import PLAN, TURN, case, train

LONG = PLAN.model_copy(update={"windows": 12, "resident_windows": 2})


def evidence(digits, events, turn):
    return Evidence(
        case=case(LONG),
        machine=None,
        card=digits.card,
        record=Record.model_construct(**turn_fields(turn)),
        document=None,
        file="",
        attempt=Attempt(tuple(LoggedEvent(line, event) for line, event in enumerate(events))),
    )


def training(digits, **options):
    return [event for event, _ in train(digits, plan=LONG, **options)]


def broken(digits, events, turn=TURN):
    return [message for _, message in counts.window_sizes(evidence(digits, events, turn))]


@pytest.mark.parametrize("slow_from", [30, 1000])
def test_the_sizes_of_a_workers_windows_are_those_of_its_plan(digits, slow_from):
    events = training(digits, slow_from=slow_from)
    sizes = {event.steps for event in events if isinstance(event, Steps) and not event.warmup}
    assert (len(sizes) > 1) is (slow_from == 30)
    assert any(isinstance(event, Resident) for event in events)
    assert broken(digits, events) == []


def test_a_turn_that_is_not_as_long_as_the_turns_before_it_ask_for(digits):
    events = training(digits, slow_from=30)
    last = max(number for number, event in enumerate(events) if isinstance(event, Steps))
    longer = events[last].model_copy(update={"steps": events[last].steps + 4})
    assert any("this plan ends it after" in each for each in broken(digits, [*events[:last], longer]))


def test_turns_of_an_older_version_keep_their_number_of_steps(digits):
    kept = TURN.model_copy(update={"pace_change": None})
    events = training(digits, slow_from=30, turn=kept)
    assert broken(digits, events, kept) == []
    assert broken(digits, events) != []
