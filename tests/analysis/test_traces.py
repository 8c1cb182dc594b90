"""Loss traces: read back from a store as they were reported, and compared step by step."""

from __future__ import annotations

import math

import pytest

from lenet.analysis.traces import compare, losses
from lenet.cases.case import Case, Mode
from lenet.errors import StoreError
from lenet.store.events import Compiled, Steps


def steps(first, values):
    return Steps(epoch=1, first_step=first, steps=len(values), images=32, seconds=1.0, warmup=False, losses=values)


@pytest.fixture
def stored(new_store, digits):
    cases = [Case(dataset="digits", mode=mode) for mode in (Mode.GRAPH, Mode.JIT)]
    store = new_store(cases, digits)
    for case, event in (
        (cases[0], steps(0, (2.3,))),
        (cases[1], steps(0, (9.0,))),
        (cases[0], Compiled(seconds=1.0)),
        (cases[0], steps(1, (2.2, None))),
    ):
        store.append_event(case, event)
    return store, cases


def test_the_trace_of_one_case_in_the_order_of_its_steps(stored):
    store, (graph, jit) = stored
    first, second, third = losses(store, graph)
    assert (first, second) == (2.3, 2.2)
    assert math.isnan(third)
    assert losses(store, jit) == [9.0]


def test_a_line_that_is_no_event_is_named_by_its_number(stored):
    store, (graph, _) = stored
    with (store.path / "events.jsonl").open("a") as file:
        file.write(f'{{"case_id": "{graph.id}", "event": "steps", "seconds": "soon"}}\n')
    with pytest.raises(StoreError, match=r"events.jsonl, line 5"):
        losses(store, graph)


def test_a_run_that_has_measured_nothing_has_no_trace(new_store, digits):
    case = Case(dataset="digits")
    assert losses(new_store([case], digits), case) == []


def test_identical_traces():
    found = compare([2.0, 1.0, math.nan], [2.0, 1.0, math.nan], 0)
    assert (found.first_difference, found.first_beyond, found.steps, found.largest) == (None, None, 3, 0.0)


def test_where_traces_part_and_by_how_much():
    found = compare([2.0, 1.0, 0.5], [2.0, 1.01, 0.8], 0.02)
    assert (found.first_difference, found.first_beyond) == (1, 2)
    assert found.largest == pytest.approx(0.3 / 0.8)


def test_only_common_steps_are_compared():
    assert compare([1.0, 2.0], [1.0], 0).first_difference is None


def test_a_loss_that_is_not_finite_differs_from_one_that_is():
    assert compare([1.0], [math.nan], 0.5).largest == math.inf
    assert compare([math.inf], [1.0], 0.5).first_beyond == 0
    assert compare([math.inf], [math.inf], 0).first_difference is None


def test_nothing_to_compare():
    with pytest.raises(ValueError, match="empty trace"):
        compare([], [1.0], 0)
