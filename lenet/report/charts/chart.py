"""What a chart is, and its largest size."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lenet.report.charts.points import GROUPED_BY, Points

Spec = dict[str, Any]
"""A Vega-Lite specification, or a part of one."""
Data = Mapping[str, Points]
"""The lists of `lenet.report.charts.points.datasets`."""
MOST_BARS = 20
"""Bars in a chart at most; the rest is in the table."""
LINE_HEIGHT = 24
"""Pixels per line of a bar chart."""
MOST_PANELS = 6
DRAWN = (
    "i", "ok", *GROUPED_BY, "batch_size", "global_batch_size", "profile", "framework_version", "world_size",
    "images_per_second", "images_per_second_low", "images_per_second_high", "resident_images_per_second",
)  # fmt: skip
"""Fields of a row that charts may read."""
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

    @property
    def fields(self) -> list[str]:
        """The fields of a row that it reads: a point with all fields would be many times as large."""
        read = json.dumps([self.spec, self.panel, self.lines, self.contrast, self.needs])
        return [field for field in DRAWN if field in ALWAYS or field in read]
