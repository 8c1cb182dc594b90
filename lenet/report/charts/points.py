"""What charts draw: flat mappings made of a report's rows, records and traces.

Every list is of mappings with `i`, the index of the row that a point belongs to, so that a filter of rows filters
everything.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lenet.analysis.convergence import expected
from lenet.cases.case import Hyperparameters
from lenet.report.content.gather import Report
from lenet.report.table.layout import clean
from lenet.report.table.rows import AXES, Row, several
from lenet.report.table.words import SERIES_SEPARATOR, mode
from lenet.store.record import Status

Points = list[dict[str, Any]]
LONGEST_PART = 44
"""Characters of a name in a label; the record's own page has the whole."""

GROUPED_BY = ("series", "home", "place", "setting", "way", "label", "training")
"""Names of a row by which charts group, methods of `Labels`."""
NAMES = frozenset({"i", "ok", "standing", "why", *GROUPED_BY})
"""What a point of `rows` has beyond the fields of its row."""

PHASES = (
    ("import_and_setup_seconds", "import and set-up"),
    ("compile_and_first_step_seconds", "compilation and first step"),
    ("training_seconds", "training"),
    ("evaluation_seconds", "evaluation"),
    ("resident_seconds", "resident measurement"),
    ("other_seconds", "reporting and closing"),
)


@functools.lru_cache(maxsize=4096)
def _short(text: str) -> str:
    text = clean(text)
    return text if len(text) <= LONGEST_PART else f"{text[: LONGEST_PART - 1]}…"


class Labels:
    """Names for rows, with only those parts in which the report's rows differ."""

    def __init__(self, report: Report) -> None:
        self._several = {axis for axis in AXES if several((getattr(row, axis) for row in report.rows), axis)}

    def _joined(self, row: Row, *parts: tuple[str, Callable[[Row], str]]) -> list[str]:
        return [_short(word(row)) for axis, word in parts if axis in self._several and word(row)]

    def series(self, row: Row) -> str:
        """The way of training: framework and mode. Its colour is the same in every chart."""
        return SERIES_SEPARATOR.join([*self._joined(row, ("framework", lambda r: r.framework)), mode(row)])

    def _settings(self, row: Row) -> list[str]:
        return self._joined(
            row,
            ("dataset", lambda r: r.dataset),
            ("framework_version", lambda r: r.framework_version or "unknown version"),
            ("world_size", lambda r: f"{r.world_size} process{'es' if r.world_size > 1 else ''}"),
        )

    def home(self, row: Row) -> str:
        """Device and machine."""
        return SERIES_SEPARATOR.join([row.device_target, *self._joined(row, ("machine", lambda r: r.machine))])

    def place(self, row: Row) -> str:
        """Everything that tells rows apart, except framework, mode, batch size and repetition."""
        profile = self._joined(row, ("profile", lambda r: r.profile))
        return SERIES_SEPARATOR.join([self.home(row), *self._settings(row), *profile])

    def setting(self, row: Row) -> str:
        """The panel in which versions and numbers of processes compare: device, machine, batch size and profile."""
        return SERIES_SEPARATOR.join([self.home(row), f"batch {row.batch_size:,}", row.profile])

    def way(self, row: Row) -> str:
        """Everything that tells rows apart, except profile and repetition."""
        batch = self._joined(row, ("batch_size", lambda r: f"batch {r.batch_size:,}"))
        device = [self.home(row)] if self._several & {"device_target", "machine"} else []
        framework = self._joined(row, ("framework", lambda r: r.framework))
        return SERIES_SEPARATOR.join([*framework, row.mode, *batch, *device, *self._settings(row)])

    def label(self, row: Row) -> str:
        """Everything that tells rows apart, except repetition."""
        return SERIES_SEPARATOR.join([self.way(row), *self._joined(row, ("profile", lambda r: r.profile))])

    def training(self, row: Row) -> str:
        """The panel in which accuracies and losses compare: batch size and data."""
        dataset = self._joined(row, ("dataset", lambda r: r.dataset))
        return SERIES_SEPARATOR.join([f"batch {row.batch_size:,}", *dataset])


def rows(report: Report) -> Points:
    """A mapping a record: the row's fields and the names that charts group by."""
    labels = Labels(report)
    found = []
    for i, row in enumerate(report.rows):
        data = row.flat()
        data["i"] = i
        data["ok"] = row.sound
        data["standing"], data["why"] = row.standing
        for name in GROUPED_BY:
            data[name] = getattr(labels, name)(row)
        found.append(data)
    return found


def epochs(report: Report) -> Points:
    """Test accuracy and mean training loss after every whole epoch."""
    return [
        {"i": i, "epoch": each.epoch, "accuracy": each.accuracy}
        for i, entry in enumerate(report.entries)
        if entry.row.epochs is not None
        for each in entry.record.evaluations
        if each.epoch > 0
    ]


def times(report: Report) -> Points:
    """Training clock at the epoch that reached an accuracy, in seconds."""
    return [
        {"i": i, "target": f"{float(target):.0%}", "seconds": seconds}
        for i, row in enumerate(report.rows)
        if row.epochs is not None and row.sound
        for target, seconds in row.seconds_to_accuracy.items()
        if seconds is not None
    ]


def phases(report: Report) -> Points:
    """Where each worker's wall time went, in seconds."""
    return [
        {"i": i, "order": order, "phase": words, "seconds": getattr(entry.record.phases, field)}
        for i, entry in enumerate(report.entries)
        if entry.record.phases is not None and entry.row.status == Status.OK.value
        for order, (field, words) in enumerate(PHASES)
    ]


def losses(report: Report) -> Points:
    """Thinned loss traces: a point is the mean of consecutive steps, with the lowest and the highest of them."""
    index = {(row.run, row.case_id): i for i, row in enumerate(report.rows)}
    return [
        {"i": index[trace.run, trace.case.id], "step": step, "mean": mean, "low": low, "high": high}
        for trace in report.traces
        if (trace.run, trace.case.id) in index
        for step, mean, low, high in trace.points
    ]


def band(report: Report) -> Points:
    """The reference band by epoch, test accuracy 0 to 1, for the panels of trainings that the references have.

    A panel that mixes data or learning rates has none: it would be the band of some of its lines.
    """
    labels = Labels(report)
    panels: dict[str, dict[tuple[str, float, float], Hyperparameters]] = {}
    for entry in report.entries:
        if entry.row.epochs is not None and entry.record.dataset is not None:
            hyper = entry.record.case.hyperparameters
            kind = (entry.record.dataset.sha256, hyper.learning_rate, hyper.momentum)
            panels.setdefault(labels.training(entry.row), {})[kind] = hyper
    longest = max((row.epochs or 0 for row in report.rows), default=0)
    return [
        {"training": panel, "epoch": each.epoch, "low": accuracy.low, "centre": accuracy.centre, "high": accuracy.high}
        for panel, kinds in panels.items()
        if len(kinds) == 1
        for (sha256, *_), hyper in kinds.items()
        for each in expected(sha256, hyper, report.references)[0]
        for accuracy in [each.accuracy]
        if each.epoch <= longest
    ]


def joined(points: Points, table: Points, fields: Sequence[str]) -> Points:
    """Points with these fields of their rows."""
    return [{**{field: table[point["i"]][field] for field in fields}, **point} for point in points]


def datasets(report: Report) -> Mapping[str, Points]:
    """Every list by the name under which charts ask for it; all but `rows` and `band` without their rows' fields."""
    return {
        "rows": rows(report),
        "epochs": epochs(report),
        "times": times(report),
        "phases": phases(report),
        "losses": losses(report),
        "band": band(report),
    }
