"""What a chart is, and its largest size."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lenet.report.charts.points import Points

Spec = dict[str, Any]
"""A Vega-Lite specification, or a part of one."""
Data = Mapping[str, Points]
"""The lists of `lenet.report.charts.points.datasets`."""
MOST_BARS = 20
"""Bars in a chart at most; the rest is in the table."""
LINE_HEIGHT = 24
"""Pixels per line of a bar chart."""
MOST_PANELS = 6
ALWAYS = ("i", "ok", "batch_size", "images_per_second")
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
    """A line is drawn only if this field has several values in it."""
    needs: str = "images_per_second"
    """The figure that a row must have to be drawn, if rows are drawn."""

    def fields(self, row: Mapping[str, Any]) -> list[str]:
        """The fields of a row that it reads: a point with all fields would be many times as large."""
        read = re.findall(r"\w+", json.dumps([self.spec, self.panel, self.lines, self.contrast, self.needs]))
        return [field for field in row if field in ALWAYS or field in read]
