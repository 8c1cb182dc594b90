"""Which cases are alive together, and in which order their workers take turns. Nothing is run here."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Literal, Protocol, TypeVar

from lenet.cases.case import Case, DeviceTarget, TurnLength
from lenet.store.record import Window

Interleave = Literal["windows", "rounds"]

TURN = TurnLength(seconds=0.1, lead_in_seconds=0.05, pace_change=2.0)
"""Recorded groups of two identical cases scatter least at this length: shorter turns pay for switching, longer ones no
longer see the same machine. In recorded turns the first step takes 25% longer than those after a third of a second, the
next ones 6 to 3% longer: the caches hold what the others used (docs/statistics.md). Where slow and fast steps
alternate, turns that were planned from fast ones would hold up the others."""

Member = TypeVar("Member")


class Judge(Protocol):
    """Ends members of a group early. Without a judge, each trains as long as its plan says."""

    option: str
    """The option that says how much time there is."""
    in_order: bool
    """Whether the workers start in the order of the cases, because there may be no time for the last ones."""

    def seconds_left(self) -> float:
        """Time until the group has to have ended: no worker is started after that, and none runs longer."""

    def losers(self, turns: Mapping[Case, Sequence[Window]]) -> Mapping[Case, str]:
        """The members to end now, with the reasons for their records.

        Called after each block of turns with the windows of all turns so far, of the members that have taken any.
        """


def takes_turns(case: Case) -> bool:
    """Whether the case's worker can take turns.

    Whole epochs are trained without a pause, and so are traced steps, which nobody times. Several processes of one case
    hold sockets and timeouts of their own, and a GPU or NPU keeps the memory and the queue of a worker that is stopped.
    """
    timed = case.plan.epochs is None and not case.plan.trace
    return timed and case.world_size == 1 and case.device_target is DeviceTarget.CPU


def groups(cases: Sequence[Case], interleave: Interleave, alive: int | None = None) -> list[list[Case]]:
    """The cases in their order, those that are alive together in one list: at most `alive` cases of one repetition."""
    found: list[list[Case]] = []
    for (together, _), members in groupby(
        cases, lambda case: (interleave == "windows" and takes_turns(case), case.repetition)
    ):
        listed = list(members)
        size = (alive or len(listed)) if together else 1
        found += [listed[first : first + size] for first in range(0, len(listed), size)]
    return found


def start_order(group: Sequence[Case], seed: str, judge: Judge | None = None) -> list[Case]:
    """The cases of a group in the order in which their workers start; that of `group` where the judge says so.

    A worker's place among the starts changes its speed for good: where free memory is fragmented, the first ones get
    the pieces (docs/statistics.md). The order is therefore random, and the group of the same cases in each odd
    repetition starts in the reverse of the one before, so that the effect cancels between the two and
    `lenet.analysis.paired` can tell it from a ratio.

    Args:
        group: cases of one repetition.
        seed: differs from run to run.
        judge: who may want the order of the cases.
    """
    if judge is not None and judge.in_order:
        return list(group)
    cases = {case.first_repetition.id: case for case in group}
    names, repetition = sorted(cases), group[0].repetition
    chance = random.Random(f"{seed} {repetition // 2} {names}")  # noqa: S311 # an order, not a secret
    order = [cases[name] for name in chance.sample(names, len(names))]
    return order[::-1] if repetition % 2 else order


class Schedule:
    """The order of turns in a group.

    A block is two cycles: the members in a random order, then in the reverse. A linear drift of the machine therefore
    cancels between any two members of a block. A member that wants fewer turns than another takes part in fewer
    blocks, spread evenly, so that each of its turns has turns of the others around it.
    """

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)  # noqa: S311 # an order, not a secret
        self._credit: dict[object, float] = {}

    def block(self, wanted: Mapping[Member, int]) -> tuple[list[Member], list[Member]]:
        """The members of the next two cycles in their order; `wanted` is how many turns each still wants.

        Every call gives at least one member a turn, as long as one wants any.
        """
        blocks = {member: math.ceil(turns / 2) for member, turns in wanted.items() if turns > 0}
        most = max(blocks.values(), default=0)
        chosen: list[Member] = []
        for member, count in blocks.items():
            credit = self._credit.get(member, 0.5) + count / most
            if taken := credit >= 1 or count == most:
                chosen.append(member)
            self._credit[member] = credit - taken
        self._random.shuffle(chosen)
        return chosen, chosen[::-1]
