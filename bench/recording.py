"""What `power.py` recorded, and how often the package's own analysis calls a difference in it.

Seeds stand for the cases: a seed changes no speed, but `planted/sitecustomize.py` gives some of them more work.
"""

from __future__ import annotations

import json
import math
import random
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lenet.analysis.difference import SIGNIFICANT, welch
from lenet.analysis.paired import (
    LEAST_GROUPS,
    GroupEstimate,
    MemberPair,
    TimedTurn,
    group_estimate,
    group_mean,
    places_apart,
)
from lenet.analysis.statistics import MIN_PROCESSES, intervals, ratio

EVERY = {3: 50, 4: 20, 5: 10}
"""After how many steps a seed trains one more."""
MORE_WORK = {1: 0.0, 2: 0.0, **{seed: 1 / every for seed, every in EVERY.items()}}
"""Extra work of each seed, as a share of a step. Seed 1 is what the others are compared with."""
IN_GROUPS = (1, 2, 3, 4)
UNCHANGED = (1, 2)
DRAWS = 1000
RESAMPLED, DRAWS_OF_EACH = 100, 20
"""How often the units are resampled for the interval, and how many comparisons are drawn from each."""


class Member(NamedTuple):
    """One process of a group."""

    turns: list[TimedTurn]
    seconds: float
    """From its start to its end, without the turns of the others."""
    place: int | None = None
    """Among the starts of the group's workers; None where that was not recorded."""


Group = dict[int, Member]
"""The members of a group by seed."""


class Process(NamedTuple):
    """An independent process."""

    median: float
    """Median images/s of its windows."""
    total: float
    """Images/s over all of its windows."""
    seconds: float


class Recorded(NamedTuple):
    """What was recorded."""

    machine: str
    case: str
    groups: list[Group]
    processes: dict[int, list[Process]]
    """By seed."""


class Estimate(NamedTuple):
    """A figure with its 95% interval."""

    value: float
    low: float
    high: float
    form: str = ".0%"
    """How it is written."""

    def __str__(self) -> str:
        value, low, high = (format(each, self.form) for each in self[:3])
        return f"{value} ({low} to {high})"


def read(path: Path) -> Recorded:
    """What `export` wrote."""
    content = json.loads(path.read_text(encoding="utf-8"))
    unknown = dict.fromkeys(IN_GROUPS)
    starts = [{seed: place for place, seed in enumerate(order)} for order in content.get("starts", ())]
    groups = [
        {
            int(seed): Member([TimedTurn(*turn) for turn in turns], seconds, places[int(seed)])
            for seed, (seconds, *turns) in group.items()
        }
        for group, places in zip(content["groups"], starts or [unknown] * len(content["groups"]), strict=True)
    ]
    processes = {int(seed): [Process(*each) for each in listed] for seed, listed in content["processes"].items()}
    return Recorded(content["machine"], content["case"], groups, processes)


def groups_in(recorded: Recorded, seed: int, wall_seconds: float) -> int:
    """How many groups of two members, the first seed and this one, fit the wall time."""
    pair = statistics.mean(group[1].seconds + group[seed].seconds for group in recorded.groups)
    return int(wall_seconds / pair)


def processes_in(recorded: Recorded, seed: int, wall_seconds: float) -> int:
    """How many independent processes of each of the two fit the wall time."""
    pair = sum(statistics.mean(each.seconds for each in recorded.processes[one]) for one in (1, seed))
    return int(wall_seconds / pair)


def estimates(groups: Sequence[Group], seed: int) -> list[GroupEstimate]:
    """The ratio of this seed to the first in each group."""
    pairs = ((group[1], group[seed]) for group in groups)
    found = (group_estimate(MemberPair(a.turns, b.turns, places_apart(a.place, b.place))) for a, b in pairs)
    return [each for each in found if each is not None]


def scatter_in_groups(groups: Sequence[Group], seed: int) -> float:
    """Standard deviation of the logarithm of the ratio over the groups, as the analysis has it."""
    return group_mean(estimates(groups, seed)).deviation


def _resampled(
    units: Sequence[Any], count: int, chance: random.Random, differ: Callable[[Sequence[Any]], bool]
) -> Estimate:
    """How often there is a difference in `count` of the units, drawn with replacement, with a bootstrap interval."""

    def share(population: Sequence[Any], draws: int) -> float:
        return statistics.mean(differ(chance.choices(population, k=count)) for _ in range(draws))

    over = sorted(share(chance.choices(units, k=len(units)), DRAWS_OF_EACH) for _ in range(RESAMPLED))
    return Estimate(share(units, DRAWS), over[int(0.025 * RESAMPLED)], over[int(0.975 * RESAMPLED) - 1])


def interleaved(recorded: Recorded, seed: int, count: int, chance: random.Random) -> Estimate | None:
    """How often a comparison of `count` groups calls a difference; None where that is too few for a verdict.

    Which of two equal cases is the first is drawn anew for each group: the difference that they happened to have in the
    recording is no difference of the cases.
    """
    if count < LEAST_GROUPS:
        return None
    equal = MORE_WORK[seed] == 0

    def differ(drawn: Sequence[GroupEstimate]) -> bool:
        return group_mean([chance.choice((each, each.reverse)) for each in drawn] if equal else drawn).p < SIGNIFICANT

    # The estimate of a group is a function of the group alone: computed once, drawn often.
    return _resampled(estimates(recorded.groups, seed), count, chance, differ)


def independent(recorded: Recorded, seed: int, count: int, chance: random.Random) -> Estimate | None:
    """How often a comparison of `count` independent processes a side calls a difference; None where it cannot."""
    if count < MIN_PROCESSES:
        return None

    def differ(drawn: Sequence[tuple[Process, Process]]) -> bool:
        return welch([a.median for a, _ in drawn], [b.median for _, b in drawn]) < SIGNIFICANT

    # The sides are drawn together from parts of the recording: each pair is a neighbour in time.
    pairs = list(zip(recorded.processes[1], recorded.processes[seed], strict=False))
    return _resampled(pairs, count, chance, differ)


def processes_saved(recorded: Recorded, seed: int) -> Estimate:
    """How many times as many processes a ratio of independent ones takes for the interval of one in groups.

    The variance of the ratio of two independent processes over that of a group's ratio, both of the logarithms. The
    interval resamples groups and processes as a whole.
    """
    chance = random.Random(1)  # noqa: S311 # draws that repeat
    found = estimates(recorded.groups, seed)
    alone = [[math.log(each.median) for each in recorded.processes[one]] for one in (1, seed)]

    def factor(groups: Sequence[GroupEstimate], processes: Sequence[Sequence[float]]) -> float:
        return sum(statistics.variance(side) for side in processes) / group_mean(groups).deviation ** 2

    def again(values: Sequence[Any]) -> Sequence[Any]:
        return chance.choices(values, k=len(values))

    over = sorted(factor(again(found), [again(side) for side in alone]) for _ in range(DRAWS))
    return Estimate(factor(found, alone), over[int(0.025 * DRAWS)], over[int(0.975 * DRAWS) - 1], ".1f")


def total_rate(turns: Sequence[TimedTurn]) -> float:
    """Images/s over all turns."""
    return sum(turn.images for turn in turns) / sum(turn.seconds for turn in turns)


class TakingTurns(NamedTuple):
    """The images/s of one training alone and in groups, and their ratio, each with its 95% interval."""

    alone: Estimate
    in_groups: Estimate
    times: Estimate
    processes: int
    members: int


def taking_turns(recorded: Recorded) -> TakingTurns | None:
    """What taking turns does to the speed that is measured; None for too few groups or processes."""
    alone = [each.total for seed in UNCHANGED for each in recorded.processes[seed]]
    members = [total_rate(group[seed].turns) for group in recorded.groups for seed in UNCHANGED]
    around, inside = intervals([alone, members])
    if around is None or inside is None or (over := ratio(alone, members)).interval is None:
        return None
    return TakingTurns(
        Estimate(statistics.median(alone), around.low, around.high, ",.0f"),
        Estimate(statistics.median(members), inside.low, inside.high, ",.0f"),
        Estimate(over.value, over.interval.low, over.interval.high, ".3f"),
        len(alone),
        len(members),
    )
