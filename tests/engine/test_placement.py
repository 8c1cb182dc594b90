"""Cases onto devices: by examples, by any order of events, and by ten thousand cases on a hundred nodes."""

from __future__ import annotations

import heapq
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lenet.cases.case import Case, DeviceTarget, Hyperparameters
from lenet.engine.placement import ATTEMPTS, Placement
from lenet.engine.spread import BrokenOff, Done, spread

CPU, GPU = DeviceTarget.CPU, DeviceTarget.GPU


def cases(count, target=CPU, **fields):
    return [Case(device_target=target, repetition=index, **fields) for index in range(count)]


def test_one_case_at_a_time_a_device():
    placement = Placement([*cases(3), *cases(3, GPU)])
    placement.join("a", {CPU: 1, GPU: 2})
    placed = placement.place()
    assert [(each.case.device_target, each.case.repetition) for each in placed] == [(CPU, 0), (GPU, 0), (GPU, 1)]
    assert placement.place() == []
    placement.finish(placed[1])
    (next_one,) = placement.place()
    assert (next_one.case.device_target, next_one.case.repetition) == (GPU, 2)


def test_a_data_parallel_case_takes_its_devices_on_one_node():
    four = Case(device_target=GPU, world_size=4)
    placement = Placement([four])
    placement.join("small", {GPU: 2})
    placement.join("other", {GPU: 2})
    assert placement.place() == []
    assert placement.impossible() == [four]
    placement = Placement([*cases(1, GPU), four])
    placement.join("big", {GPU: 4})
    placement.join("small", {GPU: 1})
    assert {placed.case.world_size: placed.node for placed in placement.place()} == {1: "small", 4: "big"}


def test_a_lost_nodes_cases_come_first_and_at_most_three_times():
    placement = Placement(cases(2))
    given_up = []
    for attempt in range(1, ATTEMPTS + 1):
        placement.join(f"n{attempt}", {CPU: 1})
        (placed,) = placement.place()
        assert (placed.case.repetition, placed.attempt) == (0, attempt)
        given_up = placement.lose(f"n{attempt}")
    assert [placed.case.repetition for placed in given_up] == [0]
    placement.join("last", {CPU: 1})
    assert [placed.case.repetition for placed in placement.place()] == [1]


def test_what_does_not_run_cannot_finish():
    placement = Placement(cases(1))
    placement.join("a", {CPU: 1})
    (placed,) = placement.place()
    placement.finish(placed)
    with pytest.raises(ValueError, match="does not run"):
        placement.finish(placed)
    with pytest.raises(ValueError, match="there already"):
        placement.join("a", {CPU: 1})


class Simulation:
    """A cluster in virtual time: a case lasts as long as its repetition says; nodes come and go as told."""

    def __init__(self, nodes, losses=(), break_off=()):
        self._nodes = dict(nodes)
        self._losses = sorted(losses)
        self._break_off = set(break_off)
        self._ends = []
        self._now = 0.0
        self._started = 0
        self.busy = {}
        self.most = {}

    def nodes(self):
        return self._nodes

    def changed(self):
        return True

    def start(self, placed):
        self._started += 1
        heapq.heappush(self._ends, (self._now + 1 + placed.case.repetition % 7, self._started, placed))
        key = (placed.node, placed.case.device_target)
        self.busy[key] = self.busy.get(key, 0) + placed.case.world_size
        self.most[key] = max(self.most.get(key, 0), self.busy[key])
        assert placed.node in self._nodes, "a case was sent to a dead node"

    def wait(self):
        if self._losses and (not self._ends or self._losses[0][0] <= self._ends[0][0]):
            self._now, node = self._losses.pop(0)
            self._nodes.pop(node, None)
            self._ends = [each for each in self._ends if each[2].node != node]
            heapq.heapify(self._ends)
            return []
        if not self._ends:
            return []
        self._now, _, placed = heapq.heappop(self._ends)
        self.busy[placed.node, placed.case.device_target] -= placed.case.world_size
        if placed.case.repetition in self._break_off:
            self._break_off.discard(placed.case.repetition)
            return [BrokenOff(placed)]
        return [Done(placed, "result")]


class Home:
    def __init__(self):
        self.kept, self.given_up, self.begun = [], {}, 0

    def started(self, placed):
        self.begun += 1

    def keep(self, placed, result):
        assert result == "result"
        self.kept.append(placed.case.id)

    def give_up(self, case, reason, *, unavailable):
        self.given_up[case.id] = (reason, unavailable)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_is_lost_every_case_ends_exactly_once(data):
    nodes = {f"n{index}": {CPU: 1, GPU: data.draw(st.integers(0, 4))} for index in range(data.draw(st.integers(1, 5)))}
    losses = data.draw(st.lists(st.tuples(st.integers(0, 30), st.sampled_from(sorted(nodes))), max_size=4))
    work = [*cases(data.draw(st.integers(0, 12))), *cases(data.draw(st.integers(0, 12)), GPU)]
    work += [Case(device_target=GPU, world_size=2, repetition=index) for index in range(data.draw(st.integers(0, 4)))]
    simulation, home = Simulation(nodes, losses, data.draw(st.sets(st.integers(0, 12)))), Home()
    left = spread(work, simulation, home)
    ended = [*home.kept, *home.given_up]
    assert len(ended) == len(set(ended))
    assert len(ended) + left == len(work)
    for case in work:
        if case.id not in ended:
            assert all(node[case.device_target] < case.world_size for node in simulation.nodes().values())
    for (node, target), most in simulation.most.items():
        assert most <= nodes[node][target], "more than the node has"


def test_no_node_for_a_target_is_unavailable_and_says_so():
    home = Home()
    assert spread([*cases(2), *cases(1, GPU)], Simulation({"a": {CPU: 1}}), home) == 0
    assert len(home.kept) == 2
    assert list(home.given_up.values()) == [("no node of the cluster has GPU", True)]


def test_cases_that_break_off_again_and_again_are_given_up():
    class Doomed(Simulation):
        def wait(self):
            return [BrokenOff(message.placed) for message in super().wait()]

    home = Home()
    assert spread(cases(2), Doomed({"a": {CPU: 1}}), home) == 0
    assert home.begun == 2 * ATTEMPTS
    assert [unavailable for _, unavailable in home.given_up.values()] == [False, False]


def test_what_a_lost_node_still_says_is_not_kept_twice():
    """A node was counted as lost, its case is on another, and then its answer arrives after all."""

    class Late(Simulation):
        late = None

        def wait(self):
            messages = super().wait()
            if self.late is None and len(self._nodes) == 2:
                lost = messages[0].placed
                self._nodes.pop(lost.node)
                self.late = messages
                return []
            return [*messages, *(self.late or [])]

    home = Home()
    assert spread(cases(3), Late({"a": {CPU: 1}, "b": {CPU: 1}}), home) == 0
    assert len(home.kept) == len(set(home.kept)) == 3
    assert home.given_up == {}


def calls(count, nodes):
    """How many Python functions the scheduler calls for `count` cases on that many nodes."""
    work = cases(count, hyperparameters=Hyperparameters(batch_size=32))
    for case in work:
        case.id  # noqa: B018  counted apart: what a case costs is not the scheduler's
    simulation, home = Simulation({f"n{index}": {CPU: 1} for index in range(nodes)}), Home()
    total = 0

    def profile(frame, event, argument):
        nonlocal total
        total += event == "call" and frame.f_globals.get("__name__", "").startswith("lenet.engine")

    sys.setprofile(profile)
    try:
        assert spread(work, simulation, home) == 0
    finally:
        sys.setprofile(None)
    assert len(home.kept) == count
    return total


def test_the_cost_a_case_does_not_grow_with_the_cases():
    few, many = calls(200, 20) / 200, calls(1600, 20) / 1600
    assert many < few * 1.1
