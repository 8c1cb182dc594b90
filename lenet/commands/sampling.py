"""Sampling until the figures are sure: more processes of the cases whose interval is still too wide, round by round."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lenet.analysis.stability import sample, width
from lenet.analysis.statistics import MIN_PROCESSES, intervals
from lenet.cases.case import Case
from lenet.commands.run import Run
from lenet.engine import Engine
from lenet.store.record import Record, Status


@dataclass(frozen=True)
class Goal:
    """When to stop: every interval within ±`precision` (0.03 is 3%), or `budget_seconds` are over."""

    precision: float
    budget_seconds: float


@dataclass(frozen=True)
class CasePrecision:
    """How sure one case is."""

    case: Case
    """Its first repetition."""
    processes: int
    next_repetition: int
    width: float | None
    """How far its interval reaches from the figure; None with fewer than three processes."""
    seconds: float
    """What one more process will take, judged by the longest so far."""


def precisions(records: Sequence[Record]) -> list[CasePrecision]:
    """How sure each case is, in order. A case of which a process failed is left out: more of them settle nothing."""
    groups: dict[Case, list[Record]] = {}
    for record in records:
        groups.setdefault(record.case.model_copy(update={"repetition": 0}), []).append(record)
    found = []
    for case, members in groups.items():
        if any(record.status is not Status.OK for record in members):
            continue
        rates = [measured.median for record in members if (measured := sample(record.windows)) is not None]
        if not rates:
            continue
        (interval,) = intervals([rates])
        found.append(
            CasePrecision(
                case=case,
                processes=len(rates),
                next_repetition=max(record.case.repetition for record in members) + 1,
                width=width(interval, rates) if interval is not None else None,
                seconds=max((record.finished_at - record.started_at).total_seconds() for record in members),
            )
        )
    return found


def _wide(found: Sequence[CasePrecision], precision: float) -> list[CasePrecision]:
    return [each for each in found if each.width is None or each.width > precision]


def sample_until(run: Run, engine: Engine, goal: Goal, say: Callable[[str], None], began: float) -> None:
    """Add repetitions to the run, all cases that are still too wide in each round, and say how it ended.

    `began` is the reading of `time.monotonic` from which the budget counts. A round is added to the manifest before it
    is run, so that `--resume` finishes one that was interrupted; one that would outlast the budget is not begun.

    Raises:
        StoreError: the run can no longer be written.
    """
    while True:
        found = precisions(run.store.records())
        wide = _wide(found, goal.precision)
        if not wide:
            count = len(found)
            say(
                f"--until: all {count} cases are within ±{goal.precision:.2%}"
                if count
                else "--until: nothing to repeat"
            )
            return
        needed = sum(each.seconds for each in wide)
        left = goal.budget_seconds - (time.monotonic() - began)
        if needed > left:
            say(
                f"--until: the budget of {goal.budget_seconds:g} s is spent ({max(left, 0):.0f} s left, a round takes "
                f"about {needed:.0f} s); {len(wide)} of {len(found)} cases are wider than ±{goal.precision:.2%}: "
                + "; ".join(f"{each.case.label} {_words(each)}" for each in wide[:5])
                + (f"; and {len(wide) - 5} more" if len(wide) > 5 else "")
            )
            return
        say(f"--until: {len(wide)} of {len(found)} cases are wider than ±{goal.precision:.2%}: one more process each")
        more = [each.case.model_copy(update={"repetition": each.next_repetition}) for each in wide]
        run.store.extend(more)
        engine.run(more, run.datasets, run.store)


def _words(standing: CasePrecision) -> str:
    if standing.width is None:
        return f"(fewer than {MIN_PROCESSES} processes)"
    return f"(±{standing.width:.1%} of {standing.processes} processes)"
