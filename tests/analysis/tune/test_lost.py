"""Which members of a look have clearly lost."""

from __future__ import annotations

import random

import pytest

from lenet.analysis.paired import TimedTurn
from lenet.analysis.tune.lost import LEAST_BLOCKS, lost


def turns(rate, blocks, seed=0, scatter=0.05):
    generator = random.Random(f"{seed} {rate}")
    return [
        TimedTurn(block, round(rate * generator.lognormvariate(0, scatter) * 100), 100.0)
        for block in range(blocks)
        for _ in range(2)
    ]


def test_what_is_many_times_slower_has_lost_after_a_few_blocks():
    blocks = LEAST_BLOCKS + 2
    members = {"slow": turns(600, blocks), "fast": turns(3000, blocks), "near": turns(2700, blocks)}
    assert lost(members, set()) == {"slow": pytest.approx(5, rel=0.2)}


def test_nothing_is_lost_before_that():
    assert lost({"slow": turns(600, LEAST_BLOCKS - 1), "fast": turns(3000, 9)}, {"slow", "fast"}) == {}


def test_what_is_more_than_ten_times_slower_has_lost_after_its_first_block():
    assert lost({"slow": turns(200, 1), "fast": turns(3000, 1)}, set()).keys() == {"slow"}


def test_a_member_whose_kernels_are_being_tuned_may_still_become_faster():
    members = {"slow": turns(1000, 6), "fast": turns(2000, 6)}
    assert lost(members, {"slow", "fast"}).keys() == {"slow"}
    assert lost(members, {"fast"}) == {}


def test_a_small_difference_is_for_another_process_to_tell():
    members = {"a": turns(1000, 12, scatter=0.001), "b": turns(1150, 12, scatter=0.001)}
    assert lost(members, set(members)) == {}


def test_equal_members_are_hardly_ever_dropped():
    dropped = 0
    for seed in range(200):
        members = {name: turns(1000 + name, 8, seed, scatter=0.3) for name in range(6)}
        dropped += len(lost(members, set(members)))
    assert dropped <= 4


def test_a_race_of_one_has_no_loser():
    assert lost({"only": turns(100, 5)}, {"only"}) == {}
    assert lost({}, set()) == {}
