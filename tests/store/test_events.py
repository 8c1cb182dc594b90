"""Lines from a worker: each is an event or a ValueError."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenet.store import events
from lenet.store.record import Evaluation, Window


@given(st.binary(max_size=300))
def test_no_bytes_crash_the_parent(line):
    with pytest.raises(ValueError, match="validation error"):
        events.parse(line)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    )
)
def test_no_json_that_is_not_an_event_is_one(value):
    with pytest.raises(ValueError, match="validation error"):
        events.parse(json.dumps(value).encode())


STEPS = {"event": "steps", "epoch": 1, "first_step": 0, "steps": 2, "images": 64, "seconds": 0.5, "warmup": True,
         "losses": [2.5, None]}  # fmt: skip


def test_a_window_is_the_event_without_its_losses():
    event = events.parse(json.dumps(STEPS).encode())
    assert event.window == Window(epoch=1, first_step=0, steps=2, images=64, seconds=0.5, warmup=True)
    assert event.losses == (2.5, None)
    assert events.parse(event.model_dump_json().encode()) == event


@pytest.mark.parametrize(
    "change",
    [{"seconds": 0}, {"seconds": -1}, {"seconds": "NaN"}, {"images": 0}, {"steps": -1}, {"extra": 1}, {"epoch": 0}],
    ids=str,
)
def test_impossible_figures_are_refused(change):
    with pytest.raises(ValueError, match="validation error"):
        events.parse(json.dumps({**STEPS, **change}).encode())


def test_an_evaluation_is_the_event_without_its_name():
    plain = Evaluation(
        epoch=1, steps=10, training_seconds=1, seconds=1, images=10, correct=5, distinct_answers=2, training_loss=0.1
    )
    event = events.parse(json.dumps({"event": "evaluated", **plain.model_dump()}).encode())
    assert event.evaluation == plain
    assert event.evaluation.accuracy == 0.5
