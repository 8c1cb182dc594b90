"""What a chart is, and how much of it is drawn."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lenet.report.charts.points import Points

Spec = dict[str, Any]
"""A Vega-Lite specification, or a part of one."""
Data = Mapping[str, Points]
"""The lists of `lenet.report.charts.points.datasets`."""
MOST_BARS = 20
"""A chart with more lines of bars is not read; the rest is in the table."""
LINE_HEIGHT = 24
"""Pixels of a line of a bar chart."""
MOST_PANELS = 6
DRAWN = (
    *("i", "ok", "series", "home", "place", "way", "label", "training", "release", "parallel"),
    *(
        "batch_size",
        "global_batch_size",
        "profile",
        "framework_version",
        "world_size",
        "images_per_second",
        "images_per_second_low",
        "images_per_second_high",
    ),
    "resident_images_per_second",
)
"""Fields of a row that charts may read."""
ALWAYS = ("i", "ok", "batch_size", "images_per_second")
"""Those that every chart has: panels are put in order by them."""


@dataclass(frozen=True)
class Chart:
    """A drawing and what to know about it."""

    id: str
    title: str
    caption: str
    data: str
    """The list of points that it draws."""
    spec: Spec
    panel: str | None = None
    """The field whose values are drawn apart, a panel each."""
    lines: str | None = None
    """The field that has a line for each of its values: the drawing is as high as it has lines."""
    contrast: str | None = None
    """Lines are only drawn where this field has several values."""
    needs: str = "images_per_second"
    """The figure that a row must have to be drawn, where rows are drawn."""

    @property
    def fields(self) -> list[str]:
        """The fields of a row that it reads: a point with all of them would weigh many times as much."""
        read = json.dumps([self.spec, self.panel, self.lines, self.contrast, self.needs])
        return [field for field in DRAWN if field in ALWAYS or field in read]
