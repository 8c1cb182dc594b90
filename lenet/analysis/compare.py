"""Two sets of records, case by case: faster, slower, the same, or not to be told.

A difference is claimed only where three things agree: the Mann-Whitney test over the processes, corrected by Holm for
the number of cases, the 95% interval of the ratio, and a smallest effect that matters. "The same" is claimed only where
the whole interval lies within that effect. Everything else is "cannot tell", a test that fails too.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from lenet.analysis.stability import Sample, sample
from lenet.analysis.statistics import Interval, blocks, holm, ratio
from lenet.cases.case import Frozen
from lenet.errors import UsageError
from lenet.store.record import Record, Status

SIGNIFICANT = 0.05
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
    """The axes that both share."""
    mark: Mark
    note: str = ""
    """Why, where the mark alone does not say it."""
    a: float | None = None
    b: float | None = None
    ratio: float | None = None
    """B over A, so that below 1 is slower: the median over all pairs of a process of each, not that of the medians."""
    low: float | None = None
    high: float | None = None
    """95% interval of the ratio."""
    p: float | None = None
    """Of the Mann-Whitney test, after Holm's correction."""
    unit: str | None = None
    """What was compared: `processes`, or `windows` where a side has a single process (a weaker claim)."""
    samples_a: int = 0
    samples_b: int = 0
    accuracy_a: float | None = None
    accuracy_b: float | None = None


def axes(record: Record) -> dict[str, str]:
    """What tells the record's case from others, the repetition left out."""
    case = record.case
    version = record.software.framework_version if record.software else case.framework_version
    return {
        "framework": case.framework.value,
        "framework_version": version or "",
        "device_target": case.device_target.value,
        "mode": case.mode.value,
        "batch_size": str(case.hyperparameters.batch_size),
        "dataset": case.dataset,
        "profile": case.profile.name,
        "world_size": str(case.world_size),
        "seed": str(case.hyperparameters.seed),
        "epochs": str(case.plan.epochs or ""),
        "machine": record.machine_id,
    }


AXES = (
    *("framework", "framework_version", "device_target", "mode", "batch_size", "dataset", "profile"),
    *("world_size", "seed", "epochs", "machine"),
)

COMPARED = ("framework_version", "machine")
"""Axes in which A and B may differ unless others are asked for: the same matrix, run again or elsewhere."""


def parse_over(text: str | None) -> tuple[str | None, tuple[str, str] | None]:
    """`mode` or `mode=graph,jit` as an axis and its values in A and B.

    Raises:
        UsageError: not of that form, or an unknown axis.
    """
    if text is None:
        return None, None
    axis, separator, values = text.partition("=")
    axis = {"version": "framework_version", "device": "device_target"}.get(axis.strip(), axis.strip())
    parts = [part.strip() for part in values.split(",")]
    if axis not in AXES or (separator and len(parts) != 2):
        raise UsageError(f"--over {text!r}: write AXIS or AXIS=VALUE-IN-A,VALUE-IN-B with an axis of {', '.join(AXES)}")
    return axis, (parts[0], parts[1]) if separator else None


def choose(records: Sequence[Record], axis: str, value: str) -> list[Record]:
    """The records that have that value.

    Raises:
        UsageError: there is none.
    """
    found = [record for record in records if axes(record)[axis] == value]
    if not found:
        held = ", ".join(sorted({axes(record)[axis] for record in records})) or "none"
        raise UsageError(f"--over: no record has {axis}={value}; there are {held}")
    return found


def ignored_for(a: Sequence[Record], b: Sequence[Record], ignored: Sequence[str]) -> list[str]:
    """`ignored` without the version where a side has several: there it tells cases apart."""
    several = any(len({axes(record)["framework_version"] for record in side} - {""}) > 1 for side in (a, b))
    return [axis for axis in ignored if not (several and axis == "framework_version")]


@dataclass
class _Side:
    """One case's processes on one side."""

    good: list[tuple[Record, Sample]]
    bad: list[Record]

    @property
    def any(self) -> Record:
        return self.good[0][0] if self.good else self.bad[0]

    @property
    def medians(self) -> list[float]:
        return [found.median for _, found in self.good]

    @property
    def accuracy(self) -> float | None:
        known = [record.summary.accuracy for record, _ in self.good if record.summary.accuracy is not None]
        return statistics.median(known) if known else None


def _sides(records: Sequence[Record], ignored: Sequence[str]) -> dict[str, _Side]:
    sides: dict[str, _Side] = {}
    for record in records:
        key = json.dumps({name: value for name, value in axes(record).items() if name not in ignored})
        side = sides.setdefault(key, _Side([], []))
        found = sample(record.windows) if record.status is Status.OK else None
        if found is None:
            side.bad.append(record)
        else:
            side.good.append((record, found))
    return sides


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
    tested: list[tuple[int, float]] = []
    for a, b in pairs:
        ours, theirs = _sides(a, over), _sides(b, over)
        for key, side in ours.items():
            case = json.loads(key)
            if key not in theirs:
                found.append(Comparison(case=case, mark=Mark.ONLY_A, a=_median(side), samples_a=len(side.good)))
                continue
            entry, p = _compared(case, side, theirs[key])
            if p is not None:
                tested.append((len(found), p))
            found.append(entry)
        found += [_only_b(json.loads(key), side) for key, side in theirs.items() if key not in ours]
    for (index, _), p in zip(tested, holm([p for _, p in tested]), strict=True):
        found[index] = _marked(found[index], p, minimum_effect, len(tested))
    return found


def _only_b(case: dict[str, str], side: _Side) -> Comparison:
    return Comparison(case=case, mark=Mark.ONLY_B, b=_median(side), samples_b=len(side.good), accuracy_b=side.accuracy)


def _median(side: _Side) -> float | None:
    return statistics.median(side.medians) if side.good else None


def _compared(case: Mapping[str, str], a: _Side, b: _Side) -> tuple[Comparison, float | None]:
    """The comparison before its mark, and the test's p; without p the mark is final."""
    entry = Comparison(
        case=dict(case),
        mark=Mark.CANNOT_TELL,
        a=_median(a),
        b=_median(b),
        samples_a=len(a.good),
        samples_b=len(b.good),
        accuracy_a=a.accuracy,
        accuracy_b=b.accuracy,
    )
    if reason := _incomparable(a.any, b.any):
        return entry.model_copy(update={"mark": Mark.NOT_COMPARABLE, "note": reason}), None
    if not a.good or not b.good:
        if not a.good and not b.good:
            note = f"it failed in both: {a.bad[0].status.value}, {b.bad[0].status.value}"
            return entry.model_copy(update={"note": note}), None
        mark, failed = (Mark.BROKE, b.bad[0]) if a.good else (Mark.FIXED, a.bad[0])
        return entry.model_copy(update={"mark": mark, "note": f"{failed.status.value}: {failed.reason}"[:500]}), None
    if a.bad and not b.bad:
        entry = entry.model_copy(update={"note": f"{len(a.bad)} of A's processes failed"})
    elif b.bad:
        entry = entry.model_copy(update={"note": f"{len(b.bad)} of B's processes failed"})
    unit, x, y = "processes", a.medians, b.medians
    if min(len(x), len(y)) < 2:
        unit = "windows"
        x, y = ([each for _, one in side.good for each in blocks(one.rates)] for side in (a, b))
    try:
        found, p = ratio(x, y), mann_whitney(x, y)
    except (ValueError, ArithmeticError) as error:
        return entry.model_copy(update={"unit": unit, "note": f"the test failed: {error}"[:500]}), None
    update: dict[str, object] = {"unit": unit, "ratio": found.value}
    if found.interval is not None and math.isfinite(found.interval.low) and math.isfinite(found.interval.high):
        update |= {"low": found.interval.low, "high": found.interval.high}
    if p is None or not math.isfinite(p):
        return entry.model_copy(update=update | {"note": "the test gave no answer"}), None
    return entry.model_copy(update=update), p


def mann_whitney(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Two-sided p of the Mann-Whitney test (exact where the samples are small and without ties)."""
    from scipy import stats

    return float(stats.mannwhitneyu(a, b, alternative="two-sided").pvalue)


def _marked(entry: Comparison, p: float, minimum_effect: float, tests: int) -> Comparison:
    interval = Interval(entry.low, entry.high) if entry.low is not None and entry.high is not None else None
    if entry.ratio is None or interval is None:
        return entry.model_copy(update={"p": p, "note": entry.note or "too few samples for an interval"})
    mark, note = Mark.CANNOT_TELL, entry.note
    beyond = abs(entry.ratio - 1) >= minimum_effect
    if p < SIGNIFICANT and beyond and interval.low > 1:
        mark = Mark.BETTER
    elif p < SIGNIFICANT and beyond and interval.high < 1:
        mark = Mark.WORSE
    elif interval.low >= 1 - minimum_effect and interval.high <= 1 + minimum_effect:
        mark = Mark.SAME
    elif entry.unit == "processes" and (least := least_processes(tests)) > min(entry.samples_a, entry.samples_b):
        note = "; ".join(filter(None, (note, f"a difference can be found from {least} processes on each side")))
    return entry.model_copy(update={"p": p, "mark": mark, "note": note})


def least_processes(tests: int) -> int:
    """Processes on each side below which no Mann-Whitney test is significant among so many, however far apart."""
    return next(n for n in range(2, 1000) if 2 / math.comb(2 * n, n) * tests < SIGNIFICANT)


def _incomparable(a: Record, b: Record) -> str:
    """What makes two records of one case two different measurements; empty when nothing does."""
    if a.dataset and b.dataset and a.dataset.sha256 != b.dataset.sha256:
        return f"different data: {a.dataset.sha256[:12]} and {b.dataset.sha256[:12]}"
    readings: tuple[tuple[str, Callable[[Record], object]], ...] = (
        ("learning rate", lambda record: record.case.hyperparameters.learning_rate),
        ("momentum", lambda record: record.case.hyperparameters.momentum),
        ("batch size", lambda record: record.case.hyperparameters.batch_size),
    )
    for name, read in readings:
        if read(a) != read(b):
            return f"different {name}: {read(a)} and {read(b)}"
    for name in PRECISION_DETAILS:
        ours, theirs = ((each.software.details.get(name) if each.software else None) for each in (a, b))
        if ours is not None and theirs is not None and ours != theirs:
            return f"different precision: {name} {ours} and {theirs}"
    return ""
