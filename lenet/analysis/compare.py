"""Two sets of records, case by case: faster, slower, the same, or undecided.

A difference is claimed only where three things agree: a test (`lenet.analysis.difference`), corrected by Holm for the
number of cases, the 95% interval of the ratio, and a smallest effect that matters. "The same" is claimed only where the
whole interval lies within that effect. Everything else is "cannot tell", a test that fails too.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from pydantic import Field

from lenet.analysis.difference import SIGNIFICANT, difference
from lenet.analysis.stability import Sample, sample
from lenet.analysis.statistics import Interval, holm
from lenet.cases.axes import IDENTIFYING, Axis, Kind
from lenet.cases.base import Frozen
from lenet.errors import UsageError
from lenet.store.record import Record, Status

PRECISION_DETAILS = ("precision", "tf32", "hf32")
"""Entries of `Software.details` that say how exactly was computed."""


class Mark(str, Enum):
    """What can be said of B against A."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "same"
    CANNOT_TELL = "cannot tell"
    NOT_COMPARABLE = "not comparable"
    BROKE = "broke"
    FIXED = "fixed"
    ONLY_A = "only in A"
    ONLY_B = "only in B"


class Comparison(Frozen):
    """One case in A and in B. Images a second, the medians over the processes of each side."""

    case: dict[str, str]
    """The values that both share, by axis."""
    values_a: dict[str, str] = Field(default_factory=dict)
    """A's values on the axes in which the two may differ, as its machine and version; several joined by commas."""
    values_b: dict[str, str] = Field(default_factory=dict)
    mark: Mark
    note: str = ""
    """Why, where the mark alone does not say it."""
    a: float | None = None
    b: float | None = None
    ratio: float | None = None
    """B over A, so that below 1 is slower. Of independent processes it is the median over all pairs of a process of
    each, not the quotient of the medians."""
    low: float | None = None
    high: float | None = None
    """95% interval of the ratio."""
    p: float | None = None
    """Of the test that belongs to the interval, after Holm's correction."""
    unit: str | None = None
    """What was compared: `groups` where the workers of both took turns, `processes`, or `windows` where a side has a
    single process (a weaker claim)."""
    groups: int = 0
    """Groups that both were members of, where these are the unit."""
    samples_a: int = 0
    samples_b: int = 0
    accuracy_a: float | None = None
    accuracy_b: float | None = None


COMPARED = tuple(axis.name for axis in IDENTIFYING if axis.kind is Kind.PLACE)
"""Axes in which A and B may differ unless others are asked for: the same matrix, run again or elsewhere."""


Key = tuple[str, ...]
"""What a record is on several axes, by meaning."""


def shown(record: Record, axes: Iterable[Axis]) -> dict[str, str]:
    """The record's values as tables write them, empty where there is none."""
    plains = {axis.name: axis.as_plain(axis.of_record(record)) for axis in axes}
    return {name: "" if plain is None else str(plain) for name, plain in plains.items()}


@dataclass(frozen=True)
class Over:
    """What `--over` asks for: an axis, and its values in A and in B where they are given."""

    axis: Axis
    values: tuple[str, str] | None


@dataclass(frozen=True)
class Selection:
    """The records that are compared."""

    a: list[Record]
    b: list[Record]
    over: list[str]
    """Names of the axes in which a case of A and its counterpart in B may differ."""


def parse_over(text: str) -> Over:
    """`mode` or `mode=graph,jit` as an axis and its values in A and B.

    Raises:
        UsageError: not of that form, or an unknown axis.
    """
    name, separator, values = text.partition("=")
    parts = [part.strip() for part in values.split(",")]
    known = {each: axis for axis in IDENTIFYING for each in (axis.name, *axis.aliases)}
    if name.strip() not in known or (separator and len(parts) != 2):
        raise UsageError(
            f"--over {text!r}: write AXIS or AXIS=VALUE-IN-A,VALUE-IN-B with an axis of "
            f"{', '.join(axis.name for axis in IDENTIFYING)}"
        )
    return Over(known[name.strip()], (parts[0], parts[1]) if separator else None)


def select(a: Sequence[Record], b: Sequence[Record], over: Over | None = None) -> Selection:
    """The records of each side that `over` names, and the axes in which they may differ.

    These are `over` and `COMPARED`, but for an axis of which one case of a side has several values: it tells the cases
    of that side apart.

    Raises:
        UsageError: no record of a side has the value that `over` names, or it names none and a side has several.
    """
    sides = [list(a), list(b)]
    if over is not None and over.values is not None:
        sides = [_with_value(side, over.axis, value) for side, value in zip(sides, over.values, strict=True)]
    names = list(COMPARED) if over is None else [*COMPARED, *({over.axis.name} - set(COMPARED))]
    several = [
        axis for axis in IDENTIFYING if axis.name in names and any(_has_several(side, axis, names) for side in sides)
    ]
    if over is not None and over.axis in several:
        raise UsageError(
            f"--over {over.axis.name}: a side has several values of it; write "
            f"--over {over.axis.name}=VALUE-IN-A,VALUE-IN-B"
        )
    return Selection(sides[0], sides[1], [name for name in names if name not in {axis.name for axis in several}])


def _has_several(records: Sequence[Record], axis: Axis, over: Sequence[str]) -> bool:
    """Whether records that agree on all axes but `over` have several known values of `axis`."""
    known: dict[Key, str] = {}
    for record in records:
        value = axis.record_identity(record)
        if value and known.setdefault(_key(record, over), value) != value:
            return True
    return False


def _key(record: Record, over: Sequence[str]) -> Key:
    return tuple(axis.record_identity(record) for axis in IDENTIFYING if axis.name not in over)


def _with_value(records: Sequence[Record], axis: Axis, value: str) -> list[Record]:
    plains = [axis.as_plain(axis.of_record(record)) for record in records]
    found = [
        record
        for record, plain in zip(records, plains, strict=True)
        if axis.is_named(value, plain, axis.record_identity(record))
    ]
    if not found:
        held = ", ".join(sorted({axis.as_text(plain) for plain in plains})) or "none"
        raise UsageError(f"--over: no record has {axis.name}={value}; there are {held}")
    return found


@dataclass
class _Side:
    """One case's processes on one side."""

    good: list[tuple[Record, Sample]]
    bad: list[Record]

    @property
    def records(self) -> list[Record]:
        return [*(record for record, _ in self.good), *self.bad]

    @property
    def medians(self) -> list[float]:
        return [measured.median for _, measured in self.good]

    @property
    def accuracy(self) -> float | None:
        known = [record.summary.accuracy for record, _ in self.good if record.summary.accuracy is not None]
        return statistics.median(known) if known else None

    def case(self, over: Sequence[str]) -> dict[str, str]:
        """Its values on the axes that both sides agree on."""
        return shown(self.records[0], [axis for axis in IDENTIFYING if axis.name not in over])

    def values(self, over: Sequence[str]) -> dict[str, str]:
        """Its values on the other axes; several where its processes are of several machines, say."""
        axes = [axis for axis in IDENTIFYING if axis.name in over]
        each = [shown(record, axes) for record in self.records]
        return {axis.name: ", ".join(dict.fromkeys(values[axis.name] for values in each)) for axis in axes}


def _sides(records: Sequence[Record], over: Sequence[str]) -> dict[Key, _Side]:
    sides: dict[Key, _Side] = {}
    for record in records:
        side = sides.setdefault(_key(record, over), _Side([], []))
        measured = sample(record.windows) if record.status is Status.OK else None
        if measured is None:
            side.bad.append(record)
        else:
            side.good.append((record, measured))
    return sides


def _counterparts(a: Mapping[Key, _Side], b: Mapping[Key, _Side], over: Sequence[str]) -> dict[Key, Key]:
    """The case of B that is each case of A: the same by meaning, else the one that is called the same."""
    pairs = {key: key for key in a if key in b}
    names = {tuple(side.case(over).values()): key for key, side in b.items() if key not in pairs}
    for key, side in a.items():
        if key not in pairs and (other := names.get(tuple(side.case(over).values()))) is not None:
            pairs[key] = other
    return pairs


def compare(
    a: Sequence[Record], b: Sequence[Record], minimum_effect: float = 0.01, over: Sequence[str] = COMPARED
) -> list[Comparison]:
    """Each case of A beside that of B which agrees on all axes but `over`, in A's order, then those only in B.

    `minimum_effect` is the smallest relative difference that matters: 0.01 is 1%.
    """
    return compare_all([(a, b)], minimum_effect, over)


def compare_all(
    pairs: Sequence[tuple[Sequence[Record], Sequence[Record]]],
    minimum_effect: float = 0.01,
    over: Sequence[str] = COMPARED,
) -> list[Comparison]:
    """`compare` of several pairs of A and B, one after another, with Holm's correction over all their tests."""
    found: list[Comparison] = []
    entered: list[tuple[int, _Side, _Side]] = []
    for a, b in pairs:
        ours, theirs = _sides(a, over), _sides(b, over)
        counterparts = _counterparts(ours, theirs, over)
        for key, side in ours.items():
            if key not in counterparts:
                found.append(_only(Mark.ONLY_A, side, over))
                continue
            other = theirs[counterparts[key]]
            entry = _entry(side, other, over)
            if entry.mark is Mark.CANNOT_TELL and side.good and other.good:
                entered.append((len(found), side, other))
            found.append(entry)
        paired = set(counterparts.values())
        found += [_only(Mark.ONLY_B, side, over) for key, side in theirs.items() if key not in paired]
    tested: list[tuple[int, float]] = []
    for index, a_side, b_side in entered:
        found[index], p = _compared(found[index], a_side, b_side, len(entered))
        if p is not None:
            tested.append((index, p))
    for (index, _), p in zip(tested, holm([p for _, p in tested]), strict=True):
        found[index] = _marked(found[index], p, minimum_effect)
    return found


def _only(mark: Mark, side: _Side, over: Sequence[str]) -> Comparison:
    here = "a" if mark is Mark.ONLY_A else "b"
    return Comparison.model_validate(
        {
            "case": side.case(over),
            "mark": mark,
            here: _median(side),
            f"values_{here}": side.values(over),
            f"samples_{here}": len(side.good),
            f"accuracy_{here}": side.accuracy,
        }
    )


def _median(side: _Side) -> float | None:
    return statistics.median(side.medians) if side.good else None


def _entry(a: _Side, b: _Side, over: Sequence[str]) -> Comparison:
    """The comparison before its test; `CANNOT_TELL` where it is to be tested."""
    entry = Comparison(
        case=a.case(over),
        values_a=a.values(over),
        values_b=b.values(over),
        mark=Mark.CANNOT_TELL,
        a=_median(a),
        b=_median(b),
        samples_a=len(a.good),
        samples_b=len(b.good),
        accuracy_a=a.accuracy,
        accuracy_b=b.accuracy,
    )
    if reason := _incomparable(a.records[0], b.records[0], over):
        return entry.model_copy(update={"mark": Mark.NOT_COMPARABLE, "note": reason})
    if not a.good and not b.good:
        note = f"it failed in both: {a.bad[0].status.value}, {b.bad[0].status.value}"
        return entry.model_copy(update={"note": note})
    if not a.good or not b.good:
        mark, failed = (Mark.BROKE, b.bad[0]) if a.good else (Mark.FIXED, a.bad[0])
        return entry.model_copy(update={"mark": mark, "note": f"{failed.status.value}: {failed.reason}"[:500]})
    if a.bad and not b.bad:
        return entry.model_copy(update={"note": f"{len(a.bad)} of A's processes failed"})
    if b.bad:
        return entry.model_copy(update={"note": f"{len(b.bad)} of B's processes failed"})
    return entry


def _compared(entry: Comparison, a: _Side, b: _Side, tests: int) -> tuple[Comparison, float | None]:
    """The comparison with its ratio, and the test's p; without p the mark is final."""
    try:
        found = difference(a.good, b.good, tests)
    except (ValueError, ArithmeticError) as error:
        return entry.model_copy(update={"note": f"the test failed: {error}"[:500]}), None
    update: dict[str, object] = {"unit": found.unit, "ratio": found.ratio, "groups": found.groups}
    if found.interval is not None and math.isfinite(found.interval.low) and math.isfinite(found.interval.high):
        update |= {"low": found.interval.low, "high": found.interval.high}
    if found.p is None or not math.isfinite(found.p):
        note = "; ".join(filter(None, (entry.note, found.note or "the test gave no answer")))
        return entry.model_copy(update=update | {"note": note}), None
    return entry.model_copy(update=update), found.p


def _marked(entry: Comparison, p: float, minimum_effect: float) -> Comparison:
    interval = Interval(entry.low, entry.high) if entry.low is not None and entry.high is not None else None
    if entry.ratio is None or interval is None:
        return entry.model_copy(update={"p": p, "note": entry.note or "too few samples for an interval"})
    mark = Mark.CANNOT_TELL
    beyond = abs(entry.ratio - 1) >= minimum_effect
    if p < SIGNIFICANT and beyond and interval.low > 1:
        mark = Mark.BETTER
    elif p < SIGNIFICANT and beyond and interval.high < 1:
        mark = Mark.WORSE
    elif interval.low >= 1 - minimum_effect and interval.high <= 1 + minimum_effect:
        mark = Mark.SAME
    return entry.model_copy(update={"p": p, "mark": mark})


def _incomparable(a: Record, b: Record, over: Sequence[str]) -> str:
    """What makes two records of one case two different measurements; empty when nothing does."""
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
