"""The search for the fixes, on machines whose speeds are known."""

from __future__ import annotations

from itertools import combinations

import pytest

from lenet.analysis.explain.observation import Speed
from lenet.analysis.explain.search import candidates, choose
from lenet.analysis.explain.suspicions import Change
from lenet.analysis.explain.trials import TriedChange

CAP, BLOCKING, THREADS = Change("onednn_isa=AVX2"), Change("launch_blocking"), Change("operator_threads=1")
EVERY = (CAP, BLOCKING, THREADS)
NOISE = 0.03


class Machine:
    """Gives the ratio of two sets of changes, and counts what was measured."""

    def __init__(self, speeds):
        self.speeds = {frozenset(changes): speed for changes, speed in speeds.items()}
        self.measured = set()

    def speed(self, changes):
        """That of the largest known set among the changes: the others gain nothing."""
        return max((len(known), speed) for known, speed in self.speeds.items() if known <= frozenset(changes))[1]

    def compare(self, before, after):
        if not {frozenset(before), frozenset(after)} <= self.measured:
            return None
        gain = self.speed(after) / self.speed(before)
        return TriedChange(
            change="",
            before=Speed(rates=(self.speed(before),)),
            after=Speed(rates=(self.speed(after),)),
            gain=gain,
            low=gain * (1 - NOISE),
            high=gain * (1 + NOISE),
            unit="groups",
            groups=3,
        )

    def search(self, suggested=EVERY):
        """As the command does: a group, what is kept, another group, until nothing gains. The sets kept, in order."""
        kept, attempted, way = (), set(), [()]
        while True:
            tried = candidates(kept, suggested, attempted)
            attempted |= {frozenset(each) for each in (kept, *tried)}
            self.measured |= attempted
            better = choose(kept, tried, self.compare)
            if better is None:
                return [frozenset(each) for each in way]
            kept = better
            way.append(kept)


def test_changes_that_help_each_other_are_found_together():
    """The speeds of a CPU with AVX-512: each alone gains little, both together much."""
    machine = Machine({(): 188, (CAP,): 500, (BLOCKING,): 414, (CAP, BLOCKING): 2800})
    assert machine.search()[-1] == {CAP, BLOCKING}


def test_changes_that_gain_nothing_alone_are_found_together():
    assert Machine({(): 100, (CAP, BLOCKING): 300}).search()[-1] == {CAP, BLOCKING}


def test_what_gains_nothing_beside_the_others_is_taken_away():
    way = Machine({(): 100, (CAP, BLOCKING): 300}).search()
    assert frozenset(EVERY) in way, "all together were the first that gained"
    assert THREADS not in way[-1]


def test_a_single_change_is_kept_alone():
    assert Machine({(): 100, (BLOCKING,): 300}).search() == [frozenset(), {BLOCKING}]


def test_nothing_gains():
    assert Machine({(): 100, (CAP,): 105, (BLOCKING,): 50}).search() == [frozenset()]


@pytest.mark.parametrize("best", [set(each) for size in range(4) for each in combinations(EVERY, size)])
def test_every_combination_is_found(best):
    """Whichever set is the fastest; each change of it adds to the others."""
    speeds = {each: 100 * 2 ** len(best & set(each)) for size in range(4) for each in combinations(EVERY, size)}
    assert Machine(speeds).search()[-1] == best


def test_a_change_that_hurts_the_others_is_not_kept():
    speeds = {(): 100, (CAP,): 200, (BLOCKING,): 180, (THREADS,): 50}
    speeds |= {(CAP, BLOCKING): 400, (CAP, THREADS): 100, (BLOCKING, THREADS): 90, EVERY: 150}
    assert Machine(speeds).search()[-1] == {CAP, BLOCKING}


def test_no_set_is_measured_twice():
    attempted = {frozenset(), frozenset({CAP})}
    assert candidates((), (CAP, BLOCKING), attempted) == [(CAP, BLOCKING), (BLOCKING,)]
    assert candidates((CAP, BLOCKING), EVERY, attempted) == [(*EVERY,), (BLOCKING,)]
    assert candidates((), (), set()) == []
