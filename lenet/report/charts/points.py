"""The data of charts: flat mappings made of a report's rows, records and traces.

Each mapping has `i`, the index of its row, so that a filter of rows filters every chart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lenet.analysis.convergence import expected
from lenet.cases.axes import IDENTIFYING, axis
from lenet.cases.case import Case
from lenet.report.content.gather import Report
from lenet.report.layout import clean
from lenet.report.table.rows import Row, several
from lenet.report.table.words import SERIES_SEPARATOR, mode, unique
from lenet.store.record import Status

Points = list[dict[str, Any]]
LONGEST_PART = 44
"""Characters of a value in a line's label; the page of the record has all of it."""

GROUPED_BY = ("series", "home", "place", "release", "parallel", "way", "label", "training")
"""Labels of a row by which charts group: methods of `Labels`."""
FIRST = ("framework", "mode", "batch_size", "device_target", "machine", "profile")
OTHERS = [each.name for each in IDENTIFYING if each.name not in FIRST]
"""The other axes, which follow these in a label; the profile is last."""
NAMES = frozenset({"i", "ok", "final_status", "final_reason", *GROUPED_BY})
"""The fields of a point of `rows` that its row does not have."""

PHASES = (
    ("import_and_setup_seconds", "import and set-up"),
    ("compile_and_first_step_seconds", "compilation and first step"),
    ("training_seconds", "training"),
    ("evaluation_seconds", "evaluation"),
    ("resident_seconds", "resident measurement"),
    ("other_seconds", "reporting and closing"),
)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_PART else f"{text[: LONGEST_PART - 1]}…"


class Labels:
    """Labels for rows, made of the axes in which the report's rows differ.

    Two rows have the same label if and only if their values mean the same. Repetitions have, and two spellings of one
    profile.
    """

    def __init__(self, report: Report) -> None:
        self._names: dict[str, dict[str, str]] = {}
        self._short: dict[str, dict[str, str]] = {}
        self._differing: set[str] = set()
        for each in IDENTIFYING:
            names: dict[str, str] = {}
            for row in report.rows:
                names.setdefault(row.identities[each.name], clean(each.words(getattr(row, each.name))))
            self._names[each.name] = dict(zip(names, unique(names.values()), strict=True))
            self._short[each.name] = dict(zip(names, unique(map(_short, names.values())), strict=True))
            if several(((identity or None) for identity in names), each.name):
                self._differing.add(each.name)

    def _line(self, row: Row, *names: str, panel: bool = False) -> list[str]:
        """Parts of a line's label, cut to `LONGEST_PART`; of a panel's title they are whole."""
        held = self._names if panel else self._short
        return [part for name in names if name in self._differing and (part := held[name][row.identities[name]])]

    def series(self, row: Row) -> str:
        """The way of training: framework and mode. Its colour is the same in every chart."""
        return SERIES_SEPARATOR.join([*self._line(row, "framework"), mode(row)])

    def home(self, row: Row) -> str:
        """Device and machine."""
        return SERIES_SEPARATOR.join([row.device_target, *self._line(row, "machine")])

    def place(self, row: Row) -> str:
        """A panel by batch size: everything but framework, mode and batch size."""
        return SERIES_SEPARATOR.join([self.home(row), *self._line(row, *OTHERS, "profile", panel=True)])

    def release(self, row: Row) -> str:
        """A panel by version: everything but framework, mode and version."""
        return self._setting(row, "framework_version")

    def parallel(self, row: Row) -> str:
        """A panel by number of processes: everything but framework, mode and number of processes."""
        return self._setting(row, "world_size")

    def _setting(self, row: Row, along: str) -> str:
        batch = axis("batch_size").words(row.batch_size)
        others = self._line(row, *(name for name in OTHERS if name != along), panel=True)
        profile = self._names["profile"][row.identities["profile"]]
        return SERIES_SEPARATOR.join([self.home(row), batch, *others, profile])

    def way(self, row: Row) -> str:
        """A line by profile: everything but the profile."""
        home = [self.home(row)] if self._differing & {"device_target", "machine"} else []
        first = [*self._line(row, "framework"), row.mode, *self._line(row, "batch_size"), *home]
        return SERIES_SEPARATOR.join([*first, *self._line(row, *OTHERS)])

    def label(self, row: Row) -> str:
        """Everything in which rows differ."""
        return SERIES_SEPARATOR.join([self.way(row), *self._line(row, "profile")])

    def training(self, row: Row) -> str:
        """The panel in which accuracies and losses compare: the images of a step, over all processes, and the data."""
        batch = axis("batch_size").words(row.global_batch_size)
        return SERIES_SEPARATOR.join([batch, *self._line(row, "dataset", panel=True)])


def rows(report: Report) -> Points:
    """One mapping per record: the fields of its row, and the labels that charts group by."""
    labels = Labels(report)
    found = []
    for i, row in enumerate(report.rows):
        status, reason = row.final_status
        data = {**row.flat(), "i": i, "ok": row.sound, "final_status": status, "final_reason": reason}
        found.append(data | {name: getattr(labels, name)(row) for name in GROUPED_BY})
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
    panels: dict[str, dict[tuple[str, float, float], Case]] = {}
    for entry in report.entries:
        if entry.row.epochs is not None and entry.record.dataset is not None:
            case, hyper = entry.record.case, entry.record.case.hyperparameters
            kind = (entry.record.dataset.sha256, hyper.learning_rate, hyper.momentum)
            panels.setdefault(labels.training(entry.row), {})[kind] = case
    longest = max((row.epochs or 0 for row in report.rows), default=0)
    return [
        {"training": panel, "epoch": each.epoch, "low": accuracy.low, "centre": accuracy.centre, "high": accuracy.high}
        for panel, kinds in panels.items()
        if len(kinds) == 1
        for (sha256, *_), case in kinds.items()
        for each in expected(sha256, case, report.references)[0]
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
