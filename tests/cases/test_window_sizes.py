"""How long windows are, by hand."""

from __future__ import annotations

import pytest

from lenet.cases.case import Plan, TurnLength
from lenet.cases.window_sizes import WindowSizes

TURN = TurnLength(seconds=0.1, lead_in_seconds=0.05, pace_change=2.0)


def sizes(turn=TURN):
    return WindowSizes(Plan(), 1875, turn)


def test_before_the_warm_up_has_ended_windows_are_those_of_the_plan():
    found = sizes()
    assert (found.steps, found.lead_in, found.windows, found.resident_windows) == (20, 0, 10, 3)


@pytest.mark.parametrize(
    ("first_step", "steps", "last"), [(0, 1, False), (1, 59, True), (41, 19, True), (1, 20, False), (60, 20, False)]
)
def test_the_window_up_to_the_last_step_of_the_warm_up_ends_it(first_step, steps, last):
    assert Plan().warmup_steps == 60
    assert sizes().ends_warmup(first_step, steps) is last


def test_a_warm_up_of_the_first_step_alone_has_no_window_that_tells_its_pace():
    assert not WindowSizes(Plan(warmup_steps=1), 1875, TURN).ends_warmup(0, 1)


def test_the_warm_up_plans_turns():
    found = sizes()
    found.warmed_up(0.009)
    assert (found.steps, found.windows, found.resident_windows, found.lead_in) == Plan().steady_windows(0.009, TURN)


@pytest.mark.parametrize(("times_slower", "steps"), [(1.98, 10), (2.02, 5), (10, 1)])
def test_turns_become_shorter_where_the_steps_take_twice_as_long(times_slower, steps):
    found = sizes()
    found.warmed_up(0.0101)
    windows = found.windows
    found.turn_ended(10, 10 * 0.0101 * times_slower)
    assert (found.steps, found.windows) == (steps, windows)


def test_turns_become_longer_where_the_steps_take_half_as_long():
    found = sizes()
    found.warmed_up(0.05)
    found.turn_ended(2, 0.02)
    assert (found.steps, found.lead_in) == (10, 5)


def test_the_pace_is_that_of_all_turns_so_far():
    found = sizes()
    found.warmed_up(0.01)
    for _ in range(9):
        found.turn_ended(10, 0.1)
    found.turn_ended(10, 0.5)
    assert found.steps == 10, "one slow turn of ten"


def test_turns_of_older_versions_keep_their_steps():
    found = sizes(TURN.model_copy(update={"pace_change": None}))
    found.warmed_up(0.01)
    found.turn_ended(10, 10.0)
    assert found.steps == 10


def test_a_warm_up_of_one_step_has_no_pace():
    found = sizes()
    found.turn_ended(20, 100.0)
    assert (found.steps, found.lead_in) == (20, 0)


def test_a_window_of_whole_epochs_is_at_most_an_epoch():
    found = WindowSizes(Plan(epochs=1, window_steps=20), 12)
    assert found.steps == 12
    found.warmed_up(0.001)
    assert found.steps == 12
