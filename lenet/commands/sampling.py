"""Sampling to a precision: more processes of the cases whose confidence interval is too wide, round by round."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lenet.analysis.stability import sample, width
from lenet.analysis.statistics import MIN_PROCESSES, intervals
from lenet.cases.case import Case
from lenet.store.record import Record, Status
from lenet.store.run import Store

CASES_NAMED = 5
"""Cases that a message names."""


@dataclass(frozen=True)
class Goal:
    """When to stop: every interval is within ±`precision` (0.03 is 3%), or `budget_seconds` have passed."""

    precision: float
    budget_seconds: float
    baseline: str | None = None
    """The intervals are of the ratios to this baseline, as `--baseline` names it, or the usual one if it is
    empty; None: of each case's images/s."""


@dataclass(frozen=True)
class CasePrecision:
    """How precisely one case is known."""

    case: Case
    """Its first repetition."""
    processes: int
    next_repetition: int
    width: float | None
    """Half the width of its interval relative to the figure; None with fewer than three processes."""
    seconds: float
    """The longest time that a process of it took so far, without the turns of others."""

    @property
    def words(self) -> str:
        """The case with its interval."""
        if self.width is None:
            return f"{self.case.label} (fewer than {MIN_PROCESSES} processes)"
        return f"{self.case.label} (±{self.width:.1%} of {self.processes} processes)"


def by_case(records: Iterable[Record]) -> dict[Case, list[Record]]:
    """The records of each case, by its first repetition."""
    groups: dict[Case, list[Record]] = {}
    for record in records:
        groups.setdefault(record.case.first_repetition, []).append(record)
    return groups


def named(wide: Sequence[str]) -> str:
    """The first of the cases that are too wide, in words."""
    more = f"; and {len(wide) - CASES_NAMED} more" if len(wide) > CASES_NAMED else ""
    return "; ".join(wide[:CASES_NAMED]) + more


def spent(goal: Goal, began: float, seconds: float, counts: str, wide: Sequence[str]) -> str:
    """A message that the budget does not hold a round which takes so many seconds; empty if it does.

    `counts` says how many cases are too wide, and `wide` which ones.
    """
    left = goal.budget_seconds - (time.monotonic() - began)
    if seconds <= left:
        return ""
    return (
        f"--until: the budget of {goal.budget_seconds:g} s is spent ({max(left, 0):.0f} s left, a round takes about "
        f"{seconds:.0f} s); {counts}: {named(wide)}"
    )


def precisions(records: Sequence[Record]) -> list[CasePrecision]:
    """The precision of each case, in order. A case with a failed process is omitted: more of them settle nothing."""
    known = []
    for case, members in by_case(records).items():
        if any(record.status is not Status.OK for record in members):
            continue
        rates = [measured.median for record in members if (measured := sample(record.windows)) is not None]
        if not rates:
            continue
        (interval,) = intervals([rates])
        known.append(
            CasePrecision(
                case=case,
                processes=len(rates),
                next_repetition=max(record.case.repetition for record in members) + 1,
                width=width(interval, rates) if interval is not None else None,
                seconds=max(each.own_seconds for each in members),
            )
        )
    return known


def sample_until(
    store: Store, measure: Callable[[list[Case]], object], goal: Goal, log: Callable[[str], None], began: float
) -> None:
    """Add rounds of repetitions of all cases that are too wide, until the goal is reached; log how it ended.

    The budget counts from `began`, a reading of `time.monotonic`. A round is in the manifest before it is measured, so
    that `--resume` finishes one that was interrupted; a round that would exceed the budget is not started.

    Raises:
        StoreError: the run cannot be written.
    """
    while True:
        known = precisions(store.records())
        wide = [each for each in known if each.width is None or each.width > goal.precision]
        if not wide:
            log(f"--until: all {len(known)} cases are within ±{goal.precision:.2%}" if known else "--until: no case")
            return
        counts = f"{len(wide)} of {len(known)} cases are wider than ±{goal.precision:.2%}"
        if over := spent(goal, began, sum(each.seconds for each in wide), counts, [each.words for each in wide]):
            log(over)
            return
        log(f"--until: {counts}: one more process each")
        cases = [each.case.model_copy(update={"repetition": each.next_repetition}) for each in wide]
        store.extend(cases)
        measure(cases)
