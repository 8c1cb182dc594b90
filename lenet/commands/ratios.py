"""Sampling to the precision of ratios: more groups of the cases whose ratio to the baseline is too uncertain.

Sampling stops at planned numbers of groups only (`lenet.analysis.paired.LOOKS`), and the records say so: the interval
of a ratio is then wider by what stopping early costs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from lenet.analysis.difference import measured, shared_groups
from lenet.analysis.paired import LOOKS, PLANNED_LEVEL, PairedRatio, next_look, paired_ratio, precise
from lenet.cases.axes import IDENTIFYING
from lenet.cases.baseline import Held, baselines, parse, usual
from lenet.cases.case import Case
from lenet.commands.sampling import Goal, by_case, named, spent
from lenet.engine.turns import takes_turns
from lenet.errors import UsageError
from lenet.report.table.words import span
from lenet.store.record import Record, Status
from lenet.store.run import Store

OPTION = "--until ratio:"


@dataclass(frozen=True)
class RatioPrecision:
    """How precisely the ratio of one case to its baseline is known."""

    case: Case
    found: PairedRatio | None
    """None before the first group."""

    @property
    def groups(self) -> int:
        """Groups that the case and its baseline were members of."""
        return self.found.groups if self.found else 0

    @property
    def words(self) -> str:
        """The case with the interval of its ratio."""
        found = self.found
        if found is None or found.interval is None or found.these_processes_only:
            return f"{self.case.label} ({self.groups} groups)"
        return f"{self.case.label} (±{found.interval.high / found.value - 1:.1%} of {found.groups} groups)"


def selector_of(goal: Goal, cases: Iterable[Case]) -> str:
    """The selector of the baseline of a goal of ratios: the usual one of these cases, if the goal names none."""
    return goal.baseline or usual(_known(cases), _held)


def families(cases: Iterable[Case], selector: str) -> dict[Case, list[Case]]:
    """The baselines among the cases, as `--baseline` selects them, each with the cases that it is the baseline of.

    Each case is its first repetition.

    Raises:
        UsageError: no case is compared with another, a case cannot take turns, or the selector names what is not an
            axis of a case.
    """
    wanted = parse(selector)
    if outside := sorted(wanted.keys() & {"run", "machine"}):
        raise UsageError(f"--baseline {selector!r}: with {OPTION} it is a case of this run: omit {', '.join(outside)}")
    known = _known(cases)
    for case in known:
        if not takes_turns(case):
            raise UsageError(
                f"{OPTION} compares workers that take turns, and {case.label} cannot: choose timed cases of one "
                "process on CPU, or an absolute --until"
            )
    found: dict[Case, list[Case]] = {}
    bases = baselines(known, wanted, _held)
    for case, base in zip(known, bases, strict=True):
        if base is not None and base != case:
            found.setdefault(base, []).append(case)
    if not found:
        raise UsageError(
            f"{OPTION} no case has {selector} beside another that is equal in all else: name a baseline of this run "
            "with --baseline"
        )
    return found


def _known(cases: Iterable[Case]) -> list[Case]:
    return list(dict.fromkeys(case.first_repetition for case in cases))


def _held(case: Case) -> dict[str, Held]:
    values = {each: each.of_case(case) for each in IDENTIFYING}
    return {each.name: Held(each.as_plain(value), each.identity(value)) for each, value in values.items()}


def sample_ratios(
    store: Store,
    measure: Callable[[list[Case]], object],
    goal: Goal,
    log: Callable[[str], None],
    began: float,
    alive: int | None = None,
) -> None:
    """Add groups, of a baseline with its cases whose ratio is too wide, until the goal is reached; log how it ended.

    At most `alive` cases are members of a group. Groups are looked at only at `LOOKS`. The budget counts from `began`,
    a reading of `time.monotonic`. A group is in the manifest before it is measured, so that `--resume` finishes one
    that was interrupted; a round of groups that would exceed the budget is not started.

    Raises:
        UsageError: as `families`.
        StoreError: the run cannot be written.
    """
    selector = selector_of(goal, store.manifest.cases)
    planned = families(store.manifest.cases, selector)
    looks = ", ".join(map(str, LOOKS))
    log(f"--until: planned looks at {looks} groups, each at intervals of {PLANNED_LEVEL:.1%}: stopping early keeps 95%")
    while True:
        processes = by_case(store.records())
        known = [each for baseline, members in planned.items() for each in _precisions(baseline, members, processes)]
        wide = [each for each in known if not precise(each.found, goal.precision)]
        open_ = {each.case: each.groups for each in wide if next_look(each.groups) is not None}
        counts = f"{len(wide)} of {len(known)} ratios to {selector} are wider than ±{goal.precision:.2%}"
        if not known:
            log("--until: there is no ratio: a case or its baseline failed")
            return
        if not wide:
            log(f"--until: all {len(known)} ratios to {selector} are within ±{goal.precision:.2%}")
            return
        if not open_:
            log(f"--until: the last planned look is over; {counts}: {named([each.words for each in wide])}")
            return
        groups = list(_groups(planned, open_, alive, store.manifest.cases))
        needed = sum(_seconds(processes, group) for group in groups)
        if over := spent(goal, began, needed, counts, [each.words for each in wide]):
            log(over)
            return
        look = min(filter(None, map(next_look, open_.values())))
        log(f"--until: {counts}: one more group each (they have {span(open_.values())}; the next look is at {look})")
        cases = [case for group in groups for case in group]
        store.extend(cases)
        measure(cases)
        together = min(_together(store.records(), group) for group in groups)
        if together < 2:
            log(f"--until: memory does not hold two workers, which a ratio needs; {counts}")
            return
        if together < max(map(len, groups)):
            alive = together


def _groups(
    planned: Mapping[Case, Sequence[Case]], open_: Mapping[Case, int], alive: int | None, known: Sequence[Case]
) -> Iterator[list[Case]]:
    """The next groups: each baseline with its open cases, at most `alive` cases together.

    The engine holds cases of one repetition together, so each group has one that none of the `known` cases has: after
    an even one of the same members the odd one that follows, which starts in the reverse order, else an even one.
    """
    last: dict[Case, int] = {}
    for case in known:
        last[case.first_repetition] = max(case.repetition, last.get(case.first_repetition, 0))
    taken = {case.repetition for case in known}
    for baseline, members in planned.items():
        left = [case for case in members if case in open_]
        size = alive - 1 if alive is not None else max(1, len(left))
        for first in range(0, len(left), size):
            group = [baseline, *left[first : first + size]]
            repetition = last[group[-1]] + 1
            if repetition % 2 == 0 or repetition in taken:
                repetition = max(taken) + 2 - max(taken) % 2
            taken.add(repetition)
            yield [case.model_copy(update={"repetition": repetition}) for case in group]


def _together(records: Iterable[Record], group: Sequence[Case]) -> int:
    """How many of the cases were alive together with the first of them, the first included."""
    ids = {record.case: record.group for record in records if record.case in group}
    return sum(bool(each) and each == ids.get(group[0]) for each in ids.values())


def _precisions(
    baseline: Case, members: Sequence[Case], processes: Mapping[Case, Sequence[Record]]
) -> list[RatioPrecision]:
    """The precision of each ratio. A case with a failed process is omitted, as is everything with such a baseline."""
    found = {case: processes.get(case, ()) for case in (baseline, *members)}
    sound = {case: measured(each) for case, each in found.items() if all(one.status is Status.OK for one in each)}
    if baseline not in sound:
        return []
    return [
        RatioPrecision(case, paired_ratio(shared_groups(sound[baseline], sound[case]), planned=True))
        for case in members
        if case in sound
    ]


def _seconds(processes: Mapping[Case, Sequence[Record]], group: Sequence[Case]) -> float:
    """The longest time that a process of one of the cases took so far, with the turns of the others: the group's."""
    taken = [each.finished_at - each.started_at for case in group for each in processes.get(case.first_repetition, ())]
    return max(taken, default=timedelta()).total_seconds()
