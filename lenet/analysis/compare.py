"""Two sets of records, case by case: each case of A beside that of B, with the verdict of `lenet.analysis.verdict`."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import Field

from lenet.analysis.difference import SpeedDifference, difference
from lenet.analysis.selection import COMPARED, Key, key
from lenet.analysis.stability import Sample, sample
from lenet.analysis.verdict import MARGIN, Mark, decide
from lenet.cases.axes import IDENTIFYING
from lenet.cases.axis import Axis
from lenet.cases.base import Frozen
from lenet.store.record import Record, Status

PRECISION_DETAILS = ("precision", "tf32", "hf32")
"""Entries of `Software.details` that set the precision of the arithmetic."""


class Comparison(Frozen):
    """One case in A and in B. Throughputs are images per second, medians over the processes of each side."""

    case: dict[str, str]
    """The values that both share, by axis."""
    values_a: dict[str, str] = Field(default_factory=dict)
    """A's values on the axes in which A and B may differ, such as machine and version; several joined by commas."""
    values_b: dict[str, str] = Field(default_factory=dict)
    """B's values on them."""
    mark: Mark
    """The verdict on B."""
    note: str = ""
    """The reason, if the mark alone does not give it."""
    a: float | None = None
    """Throughput of A."""
    b: float | None = None
    """Throughput of B."""
    ratio: float | None = None
    """B over A, below 1 if B is slower. Of independent processes it is the median over all pairs of a process of A and
    one of B."""
    low: float | None = None
    """Lower end of the 95% interval of the ratio."""
    high: float | None = None
    """Upper end of that interval."""
    p: float | None = None
    """Of the test that belongs to the interval, after Holm's correction."""
    unit: str | None = None
    """What was compared: `groups` if the workers of both took turns, `processes`, or `windows` if a side has a single
    process (a weaker result)."""
    groups: int = 0
    """Groups that both were members of, if these are the unit."""
    planned: bool = False
    """Whether the number of groups was decided at planned looks, which interval and p count."""
    needed: int | None = None
    """If unresolved: groups, or processes on each side, for an interval of ± the smallest difference that matters, if
    they scatter as those so far; null if unknown or over 1,000."""
    samples_a: int = 0
    """Successful processes of A."""
    samples_b: int = 0
    """Successful processes of B."""
    accuracy_a: float | None = None
    """Median accuracy of A's processes, 0 to 1."""
    accuracy_b: float | None = None
    """Median accuracy of B's processes, 0 to 1."""


def _shown(record: Record, axes: Iterable[Axis]) -> dict[str, str]:
    """The record's values as tables write them; None is empty."""
    plains = {axis.name: axis.as_plain(axis.of_record(record)) for axis in axes}
    return {name: "" if plain is None else str(plain) for name, plain in plains.items()}


@dataclass
class _Side:
    """One case's processes on one side."""

    good: list[tuple[Record, Sample]] = field(default_factory=list)
    bad: list[Record] = field(default_factory=list)

    @property
    def records(self) -> list[Record]:
        return [*(record for record, _ in self.good), *self.bad]

    @property
    def median(self) -> float | None:
        return statistics.median(measured.median for _, measured in self.good) if self.good else None

    @property
    def accuracy(self) -> float | None:
        known = [record.summary.accuracy for record, _ in self.good if record.summary.accuracy is not None]
        return statistics.median(known) if known else None

    def case(self, over: Sequence[str]) -> dict[str, str]:
        """Its values on the axes that both sides agree on."""
        return _shown(self.records[0], [axis for axis in IDENTIFYING if axis.name not in over])

    def values(self, over: Sequence[str]) -> dict[str, str]:
        """Its values on the axes `over`; several if its processes ran on several machines, for example."""
        each = [_shown(record, [axis for axis in IDENTIFYING if axis.name in over]) for record in self.records]
        return {name: ", ".join(dict.fromkeys(values[name] for values in each)) for name in (each[0] if each else ())}


def _sides(records: Sequence[Record], over: Sequence[str]) -> dict[Key, _Side]:
    sides: dict[Key, _Side] = {}
    for record in records:
        side = sides.setdefault(key(record, over), _Side())
        measured = sample(record.windows) if record.status is Status.OK else None
        if measured is None:
            side.bad.append(record)
        else:
            side.good.append((record, measured))
    return sides


def _counterparts(a: Mapping[Key, _Side], b: Mapping[Key, _Side], over: Sequence[str]) -> dict[Key, Key]:
    """The case of B for each case of A: the one with the same identity, else the one with the same name."""
    pairs = {each: each for each in a if each in b}
    names = {tuple(side.case(over).values()): each for each, side in b.items() if each not in pairs}
    for each, side in a.items():
        if each not in pairs and (other := names.get(tuple(side.case(over).values()))) is not None:
            pairs[each] = other
    return pairs


def compare(
    a: Sequence[Record], b: Sequence[Record], minimum_effect: float = MARGIN, over: Sequence[str] = COMPARED
) -> list[Comparison]:
    """Each case of A beside that of B which agrees on all axes but `over`, in A's order, then those only in B.

    `minimum_effect` is the smallest relative difference that matters: 0.01 is 1%.
    """
    return compare_all([(a, b)], minimum_effect, over)


def compare_all(
    pairs: Sequence[tuple[Sequence[Record], Sequence[Record]]],
    minimum_effect: float = MARGIN,
    over: Sequence[str] = COMPARED,
) -> list[Comparison]:
    """`compare` of several pairs of A and B, one after another, with Holm's correction over all their tests."""
    found: list[Comparison] = []
    entered: list[tuple[int, _Side, _Side]] = []
    for a, b in pairs:
        ours, theirs = _sides(a, over), _sides(b, over)
        counterparts = _counterparts(ours, theirs, over)
        for case, side in ours.items():
            if case not in counterparts:
                found.append(_comparison(Mark.ONLY_A, side, _Side(), over))
                continue
            other = theirs[counterparts[case]]
            entry = _entry(side, other, over)
            if entry.mark is Mark.UNRESOLVED and side.good and other.good:
                entered.append((len(found), side, other))
            found.append(entry)
        paired = set(counterparts.values())
        found += [_comparison(Mark.ONLY_B, _Side(), side, over) for case, side in theirs.items() if case not in paired]
    differences = [difference(a_side.good, b_side.good, len(entered)) for _, a_side, b_side in entered]
    for (index, _, _), each, (mark, p) in zip(entered, differences, decide(differences, minimum_effect), strict=True):
        found[index] = _decided(found[index], each, mark, p, minimum_effect)
    return found


def _comparison(mark: Mark, a: _Side, b: _Side, over: Sequence[str]) -> Comparison:
    return Comparison(
        case=(a if a.records else b).case(over),
        values_a=a.values(over),
        values_b=b.values(over),
        mark=mark,
        a=a.median,
        b=b.median,
        samples_a=len(a.good),
        samples_b=len(b.good),
        accuracy_a=a.accuracy,
        accuracy_b=b.accuracy,
    )


def _entry(a: _Side, b: _Side, over: Sequence[str]) -> Comparison:
    """The comparison before its test; `UNRESOLVED` if it is to be tested."""
    entry = _comparison(Mark.UNRESOLVED, a, b, over)
    if reason := _incomparable(a.records[0], b.records[0], over):
        return entry.model_copy(update={"mark": Mark.NOT_COMPARABLE, "note": reason})
    if not a.good and not b.good:
        note = f"it failed in both: {a.bad[0].status.value}, {b.bad[0].status.value}"
        return entry.model_copy(update={"note": note})
    if not a.good or not b.good:
        mark, bad = (Mark.BROKE, b.bad[0]) if a.good else (Mark.FIXED, a.bad[0])
        return entry.model_copy(update={"mark": mark, "note": f"{bad.status.value}: {bad.reason}"[:500]})
    failed = [f"{len(side.bad)} of {name}'s processes failed" for name, side in (("A", a), ("B", b)) if side.bad]
    return entry.model_copy(update={"note": "; ".join(failed)})


def _decided(
    entry: Comparison, found: SpeedDifference, mark: Mark, p: float | None, minimum_effect: float
) -> Comparison:
    """The comparison with its difference and verdict."""
    note = found.note or ("" if found.interval else "too few samples for an interval")
    return entry.model_copy(
        update={
            "mark": mark,
            "p": p,
            "unit": found.unit,
            "ratio": found.ratio,
            "low": found.interval.low if found.interval else None,
            "high": found.interval.high if found.interval else None,
            "groups": found.groups,
            "planned": found.planned,
            "needed": found.needed(minimum_effect) if mark is Mark.UNRESOLVED else None,
            "note": "; ".join(filter(None, (entry.note, note))),
        }
    )


def _incomparable(a: Record, b: Record, over: Sequence[str]) -> str:
    """The reason why two records of one case are not comparable; empty if they are."""
    if "dataset" not in over and a.dataset and b.dataset and a.dataset.sha256 != b.dataset.sha256:
        return f"different data: {a.dataset.sha256[:12]} and {b.dataset.sha256[:12]}"
    for axis in IDENTIFYING:
        one, other = (axis.record_identity(each) for each in (a, b))
        if axis.name not in over and one != other:
            return f"different {axis.column_title} under one name: {one} and {other}; compare them with --over"
    for name in ("learning_rate", "momentum"):
        ours, theirs = (getattr(each.case.hyperparameters, name) for each in (a, b))
        if ours != theirs:
            return f"different {name.replace('_', ' ')}: {ours} and {theirs}"
    for name in PRECISION_DETAILS:
        ours, theirs = ((each.software.details.get(name) if each.software else None) for each in (a, b))
        if ours is not None and theirs is not None and ours != theirs:
            return f"different precision: {name} {ours} and {theirs}"
    return ""
