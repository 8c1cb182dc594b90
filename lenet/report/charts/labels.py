"""Labels of rows: the axes in which what is shown differs, and no others.

A label of a chart depends on which rows the chart shows, and on the page on its filters. So a row has the words of its
axes, and `labelled` makes labels of them here, `labelled` of `charts.js` on the page. Two rows of one chart have the
same label if and only if their values mean the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lenet.cases.axes import IDENTIFYING, axis
from lenet.cases.frameworks import Framework
from lenet.report.content.gather import Report
from lenet.report.layout import clean
from lenet.report.table.profiles import called
from lenet.report.table.rows import Row, several
from lenet.report.table.words import SERIES_SEPARATOR, mode, unique

Points = list[dict[str, Any]]

FIRST = ("framework", "framework_version", "mode", "batch_size", "device_target", "machine")
ORDER = (*FIRST, *(each.name for each in IDENTIFYING if each.name not in (*FIRST, "profile")), "profile")
"""The axes in the order in which a label names them."""


def _all_but(*names: str) -> tuple[str, ...]:
    return tuple(name for name in ORDER if name not in names)


LABELS: Mapping[str, tuple[str, ...]] = {
    "place": _all_but("framework", "mode", "batch_size"),
    "release": _all_but("framework", "mode", "framework_version"),
    "parallel": _all_but("framework", "mode", "world_size"),
    "way": _all_but("profile"),
    "label": ORDER,
}
"""Labels by which charts group, and the axes that they may name."""
PANELS = frozenset({"place", "release", "parallel"})
"""Those that may be empty: a panel beside no other needs no title."""
WORDS = "words_"
"""Begins the field of a point with the words of one of its row's axes. An axis in which no rows differ has none."""


def axis_words(report: Report) -> Points:
    """For each row the words of the axes in which the rows differ, and of the mode."""
    table = report.rows
    names = {each: _names(report, table, each) for each in ORDER if each != "mode" and _differs(table, each)}
    return [
        {f"{WORDS}mode": row.mode, **{f"{WORDS}{name}": words[row.identities[name]] for name, words in names.items()}}
        for row in table
    ]


def _names(report: Report, table: Sequence[Row], name: str) -> dict[str, str]:
    """The words of an axis by the identity of its values, different ones for each."""
    profiles = called(table) if name == "profile" else {}
    found: dict[str, str] = {}
    for row in table:
        identity, plain = row.identities[name], getattr(row, name)
        words = report.short_machine(plain) if name == "machine" else axis(name).words(plain)
        if name == "epochs" and plain is None:
            words = ""  # a training that ends when its speed is known is not called one of no epochs
        found.setdefault(identity, clean(profiles.get(identity, words)))
    return dict(zip(found, unique(found.values()), strict=True))


def _differs(table: Sequence[Row], name: str) -> bool:
    return several((row.identities[name] or None for row in table), name)


def varying(points: Points, table: Points) -> list[str]:
    """The axes in which the rows of the points differ. A version counts only beside another of its framework."""
    rows = [table[each] for each in dict.fromkeys(point["i"] for point in points)]
    found = []
    for name in ORDER:
        field = f"{WORDS}{name}"
        if rows and field in rows[0]:
            apart = "framework" if name == "framework_version" else ""
            kinds = {(row[apart] if apart else None, row[field]) for row in rows}
            if len(kinds) > len({kind for kind, _ in kinds}):
                found.append(name)
    return found


def labelled(points: Points, table: Points, labels: Iterable[str] = LABELS) -> Points:
    """The points with these labels, which name the axes in which they differ, or the mode if they differ in none."""
    names = varying(points, table)
    axes = {label: [name for name in LABELS[label] if name in names] for label in labels}
    for label in axes.keys() - PANELS:
        axes[label] = axes[label] or ["mode"]
    return [
        {
            **point,
            **{
                label: SERIES_SEPARATOR.join(filter(None, (table[point["i"]][f"{WORDS}{name}"] for name in chosen)))
                for label, chosen in axes.items()
            },
        }
        for point in points
    ]


def series(report: Report) -> list[str]:
    """For each row the way of training, framework and mode. Its colour is the same in every chart."""
    several_there = _differs(report.rows, "framework")
    return [
        f"{row.framework} {mode(row)}" if several_there and row.framework != Framework.MINDSPORE.value else mode(row)
        for row in report.rows
    ]


def trainings(report: Report) -> list[str]:
    """For each row the panel in which accuracies and losses compare: images of a step, over all processes, and data."""
    batch, datasets = axis("batch_size"), _names(report, report.rows, "dataset")
    apart = len(datasets) > 1
    return [
        SERIES_SEPARATOR.join(
            [batch.words(row.global_batch_size), *([datasets[row.identities["dataset"]]] if apart else [])]
        )
        for row in report.rows
    ]


def row_labels(report: Report, indices: Sequence[int]) -> list[str]:
    """Labels of some of the rows beside each other, as of a list in a terminal."""
    table = [{"framework": row.framework, **words} for row, words in zip(report.rows, axis_words(report), strict=True)]
    return [point["label"] for point in labelled([{"i": i} for i in indices], table)]
