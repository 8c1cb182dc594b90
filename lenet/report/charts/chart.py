"""What a chart is, and its largest size."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lenet.report.charts.labels import LABELS, Points, labelled

Spec = dict[str, Any]
"""A Vega-Lite specification, or a part of one."""
Data = Mapping[str, Points]
"""The lists of `lenet.report.charts.points.datasets`."""
MOST_BARS = 20
"""Bars in a chart at most; the rest is in the table."""
LINE_HEIGHT = 24
"""Pixels per line of a bar chart whose labels have one line each."""
LABEL_WIDTH = 42
"""Characters of a line of a label: a longer label has several, and is never cut."""
LABEL_LINE = 14
DIVIDED = f"(.{{1,{LABEL_WIDTH}}}(?:[+]| · |$))"
"""A line of a label, which is divided between its parts: of Vega, of the page's script, and here."""
BREAK = re.compile(DIVIDED)
MOST_PANELS = 6
ALWAYS = ("i", "ok", "framework", "batch_size", "images_per_second")
"""Fields that every chart has: panels are sorted by them."""


@dataclass(frozen=True)
class Chart:
    """A chart: its specification and how the page lays it out."""

    id: str
    title: str
    caption: str
    data: str
    """The list of points that it draws."""
    spec: Spec
    panel: str | None = None
    """The field that has a panel for each of its values."""
    lines: str | None = None
    """The field that has a line for each of its values: the height depends on their number."""
    contrast: str | None = None
    """A line, or a series of a chart without lines, is drawn only if this field has several values in it."""
    base: str | None = None
    """A value of the contrast that a line or series must have."""
    detail: bool = False
    """Whether it answers none of the first questions."""
    needs: str = "images_per_second"
    """The figure that a row must have to be drawn, if rows are drawn."""

    def fields(self, row: Mapping[str, Any]) -> list[str]:
        """The fields of a row that it reads: a point with all fields would be many times as large."""
        read = re.findall(r"\w+", json.dumps([self.spec, self.panel, self.lines, self.contrast, self.needs]))
        return [field for field in row if field in ALWAYS or field in read]

    def points(self, data: Data) -> Points:
        """What it draws: points with the fields that it reads, and labels that name the axes in which they differ."""
        rows = data["rows"]
        fields = self.fields(rows[0])
        if self.data == "rows":
            found = [{name: row[name] for name in fields} for row in rows if row["ok"] and row[self.needs] is not None]
        else:
            found = joined(data[self.data], rows, fields)
        if self.contrast:
            names = [self.lines] if self.lines else [self.panel, "series"]
            groups = [tuple(point[name] for name in names if name) for point in found]
            held: dict[tuple[str, ...], set[object]] = {}
            for point, group in zip(found, groups, strict=True):
                held.setdefault(group, set()).add(point[self.contrast])
            compared = {group for group, values in held.items() if len(values) > 1 and self.base in (None, *values)}
            found = [point for point, group in zip(found, groups, strict=True) if group in compared]
        return labelled(found, rows, [name for name in fields if name in LABELS])

    def height(self, points: Points) -> int:
        """Pixels of a chart with a line for each value of `lines`: more where labels have several lines."""
        labels = {str(point[self.lines or ""]) for point in points}
        most = max(BREAK.sub("\\1\n", label).strip().count("\n") + 1 for label in labels)
        return min(MOST_BARS, len(labels)) * max(LINE_HEIGHT, LABEL_LINE * most + 6)


def joined(points: Points, table: Points, fields: Sequence[str]) -> Points:
    """Points with these fields of their rows."""
    return [{**{field: table[point["i"]][field] for field in fields}, **point} for point in points]
