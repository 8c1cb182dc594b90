"""Which cases are alive together, and the order of their turns."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, pairwise

import pytest

from lenet.cases.case import Case, Hyperparameters, Plan
from lenet.engine.turns import Schedule, groups, start_order


def cases_of(repetitions, batch_sizes, **fields):
    return [
        Case(repetition=repetition, hyperparameters=Hyperparameters(batch_size=size), **fields)
        for repetition in range(repetitions)
        for size in batch_sizes
    ]


def run(wanted, seed="seed"):
    """All cycles of a group whose members want so many turns."""
    schedule, cycles, left = Schedule(seed), [], dict(wanted)
    while any(left.values()):
        for order in schedule.block({member: turns for member, turns in left.items() if turns}):
            taken = [member for member in order if left[member]]
            for member in taken:
                left[member] -= 1
            cycles.append(taken)
    return cycles


class TestGroups:
    def test_a_round_is_a_group(self):
        cases = cases_of(2, (32, 64, 128))
        assert groups(cases, "windows") == [cases[:3], cases[3:]]

    def test_in_rounds_every_case_is_alone(self):
        cases = cases_of(2, (32, 64))
        assert groups(cases, "rounds") == [[case] for case in cases]

    def test_no_more_are_alive_than_asked_for(self):
        cases = cases_of(1, (32, 64, 128))
        assert groups(cases, "windows", alive=2) == [cases[:2], cases[2:]]

    @pytest.mark.parametrize(
        "fields",
        [
            {"plan": Plan(epochs=1)},
            {"plan": Plan(trace=True)},
            {"world_size": 2},
            {"device_target": "GPU"},
        ],
        ids=lambda fields: next(iter(fields)),
    )
    def test_what_cannot_be_stopped_is_alone(self, fields):
        cases = cases_of(1, (32, 64), **fields)
        assert groups(cases, "windows") == [[case] for case in cases]

    def test_the_order_of_the_cases_stays(self):
        timed, whole = cases_of(1, (32, 64)), cases_of(1, (32,), plan=Plan(epochs=1))
        mixed = [timed[0], whole[0], timed[1]]
        assert groups(mixed, "windows") == [[each] for each in mixed]


class TestStartOrder:
    """A place among the starts changes a worker's speed: a fixed order would bias every ratio."""

    def test_it_is_another_in_each_run(self):
        cases = cases_of(1, (8, 16, 24, 40, 48, 64))
        orders = {tuple(start_order(cases, f"run {number}")) for number in range(20)}
        assert len(orders) > 15
        assert all(sorted(order, key=cases.index) == cases for order in orders)

    def test_each_case_is_at_each_place_equally_often(self):
        cases = cases_of(1, (8, 16, 24))
        places = Counter(
            (case, place) for number in range(600) for place, case in enumerate(start_order(cases, str(number)))
        )
        assert len(places) == 9
        assert all(150 <= count <= 250 for count in places.values())  # 4 standard deviations of 200 are 46

    def test_an_odd_repetition_has_the_reverse_of_the_one_before_even_if_each_is_run_on_its_own(self):
        sizes = (8, 16, 24, 40, 48, 64)
        orders = [
            [case.hyperparameters.batch_size for case in start_order(cases_of(4, sizes)[6 * number :][:6], "run")]
            for number in range(4)
        ]
        assert orders[1] == orders[0][::-1]
        assert orders[3] == orders[2][::-1]
        assert orders[2] not in (orders[0], orders[1])

    def test_it_does_not_depend_on_the_order_of_the_cases(self):
        cases = cases_of(1, (8, 16, 24, 40))
        assert start_order(cases[::-1], "run") == start_order(cases, "run")


class TestSchedule:
    def test_each_cycle_of_equal_members_has_every_member_once(self):
        cycles = run({"a": 40, "b": 40, "c": 40})
        assert len(cycles) == 40
        assert all(sorted(cycle) == ["a", "b", "c"] for cycle in cycles)

    def test_a_block_is_an_order_and_its_reverse(self):
        cycles = run({"a": 20, "b": 20, "c": 20})
        assert all(first == second[::-1] for first, second in zip(cycles[::2], cycles[1::2], strict=True))

    def test_both_orders_of_a_pair_come_equally_often(self):
        firsts = Counter(cycle[0] for cycle in run({"a": 400, "b": 400})[::2])
        assert firsts["a"] + firsts["b"] == 200
        assert 70 <= firsts["a"] <= 130  # 4 standard deviations of a fair coin are 28

    def test_a_seed_gives_one_order_and_another_seed_another(self):
        wanted = {"a": 30, "b": 30, "c": 30}
        assert run(wanted, "x") == run(wanted, "x") != run(wanted, "y")

    @pytest.mark.parametrize("wanted", [{"a": 50, "b": 5}, {"a": 50, "b": 9, "c": 1}, {"a": 3, "b": 3}, {"a": 1}])
    def test_every_turn_that_is_wanted_is_given(self, wanted):
        assert Counter(member for cycle in run(wanted) for member in cycle) == wanted

    def test_the_turns_of_a_slow_member_are_spread_over_the_whole_group(self):
        cycles = run({"fast": 100, "slow": 10})
        at = [index // 2 for index, cycle in enumerate(cycles) if "slow" in cycle]
        blocks = sorted(set(at))
        assert len(blocks) == 5
        assert all(8 <= later - earlier <= 12 for earlier, later in pairwise(blocks))
        assert blocks[0] < 10
        assert blocks[-1] >= 40

    def test_any_two_members_share_the_blocks_of_the_slower_one(self):
        cycles = run({"a": 60, "b": 30, "c": 6})
        blocks = {
            member: {index // 2 for index, cycle in enumerate(cycles) if member in cycle} for member in ("a", "b", "c")
        }
        assert blocks["b"] <= blocks["a"]
        assert blocks["c"] <= blocks["a"]
        assert all(blocks[x] & blocks[y] for x, y in combinations("abc", 2))

    def test_a_member_that_has_left_gets_no_turn(self):
        schedule = Schedule("seed")
        schedule.block({"a": 10, "b": 10})
        assert schedule.block({"a": 8}) == (["a"], ["a"])

    def test_nobody_wants_a_turn(self):
        assert Schedule("seed").block({"a": 0}) == ([], [])
