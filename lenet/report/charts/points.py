"""The data of charts: flat mappings made of a report's rows, records and traces.

Each mapping has `i`, the index of its row, so that a filter of rows filters every chart.
"""

from __future__ import annotations

from collections.abc import Mapping

from lenet.analysis.convergence import expected
from lenet.cases.case import Case
from lenet.report.charts.labels import LABELS, ORDER, WORDS, Points, axis_words, labelled, series, trainings
from lenet.report.content.gather import Report
from lenet.store.record import Status

GROUPED_BY = (*LABELS, "series", "training_panel")
"""Labels of a row by which charts group."""
NAMES = frozenset({"i", "ok", "final_status", "final_reason", *GROUPED_BY, *(f"{WORDS}{name}" for name in ORDER)})
"""The fields of a point of `rows` that its row does not have."""

PHASES = (
    ("import_and_setup_seconds", "import and set-up"),
    ("compile_and_first_step_seconds", "compilation and first step"),
    ("training_seconds", "training"),
    ("evaluation_seconds", "evaluation"),
    ("resident_seconds", "resident measurement"),
    ("other_seconds", "reporting and closing"),
)


def rows(report: Report) -> Points:
    """One mapping per record: the fields of its row, the words of its axes, and its labels beside all others."""
    words, ways, panels = axis_words(report), series(report), trainings(report)
    found = []
    for i, row in enumerate(report.rows):
        status, reason = row.final_status
        data = {**row.flat(), "i": i, "ok": row.sound, "final_status": status, "final_reason": reason, **words[i]}
        found.append(data | {"series": ways[i], "training_panel": panels[i]})
    return labelled(found, found)


def epochs(report: Report) -> Points:
    """Test accuracy and mean training loss after every whole epoch."""
    return [
        {"i": i, "epoch": each.epoch, "accuracy": each.accuracy}
        for i, entry in enumerate(report.entries)
        if entry.row.epochs is not None
        for each in entry.record.evaluations
        if each.epoch > 0
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
    panels: dict[str, dict[tuple[str, float, float], Case]] = {}
    for entry, panel in zip(report.entries, trainings(report), strict=True):
        if entry.row.epochs is not None and entry.record.dataset is not None:
            case, hyper = entry.record.case, entry.record.case.hyperparameters
            kind = (entry.record.dataset.sha256, hyper.learning_rate, hyper.momentum)
            panels.setdefault(panel, {})[kind] = case
    longest = max((row.epochs or 0 for row in report.rows), default=0)
    return [
        {
            "training_panel": panel,
            "epoch": each.epoch,
            "low": accuracy.low,
            "centre": accuracy.centre,
            "high": accuracy.high,
        }
        for panel, kinds in panels.items()
        if len(kinds) == 1
        for (sha256, *_), case in kinds.items()
        for each in expected(sha256, case, report.references)[0]
        for accuracy in [each.accuracy]
        if each.epoch <= longest
    ]


def datasets(report: Report) -> Mapping[str, Points]:
    """Every list by the name under which charts ask for it; all but `rows` and `band` without their rows' fields."""
    return {
        "rows": rows(report),
        "epochs": epochs(report),
        "phases": phases(report),
        "losses": losses(report),
        "band": band(report),
    }
