"""The matrix as a picture for Markdown, whose tables have no colour; the page colours its tables."""

from __future__ import annotations

from collections.abc import Sequence

from lenet.report.charts.chart import Spec
from lenet.report.content.matrices import INSTALLED, SpeedMatrix, shares

CELL = 30
"""Pixels of a line."""
WIDTH = 420
FAINT, STRONG = 0.05, 0.6
"""Opacity of the slowest and of the fastest cell: the figure in it must be read."""


def matrix_picture(tables: Sequence[SpeedMatrix]) -> Spec:
    """Modes down, batch sizes across, coloured by speed on one scale for all tables, the figure in the cell."""
    return {
        "vconcat": [_panel(table, share) for table, share in zip(tables, shares(tables), strict=True)],
        "resolve": {"scale": {"x": "independent", "y": "independent"}},
    }


def _panel(table: SpeedMatrix, share: Sequence[Sequence[float | None]]) -> Spec:
    words = len(table.grid.titles) - table.grid.figures
    sizes = table.grid.titles[words:]
    names = [f"{line[0]}, {line[1]}" if line[1] != INSTALLED else line[0] for line in table.grid.lines]
    values = [
        {"line": name, "batch": size, "text": text, "share": place}
        for name, line, places in zip(names, table.grid.lines, share, strict=True)
        for size, text, place in zip(sizes, line[words:], places, strict=True)
    ]
    axis = {"title": None, "ticks": False, "domain": False, "labelLimit": 0, "labelAngle": 0}
    opacity = {"scale": {"domain": [0, 1], "range": [FAINT, STRONG]}, "legend": None}
    return {
        "title": {"text": table.title, "anchor": "start", "frame": "group", "color": "var(--ink)", "fontSize": 13},
        "width": WIDTH,
        "height": CELL * len(names),
        "data": {"values": values},
        "encoding": {
            "x": {
                "field": "batch",
                "type": "nominal",
                "sort": None,
                "axis": {**axis, "orient": "top"},
            },
            "y": {"field": "line", "type": "nominal", "sort": None, "axis": axis},
        },
        "layer": [
            {
                "transform": [{"filter": "isValid(datum.share)"}],
                "mark": {"type": "rect", "color": "var(--piece-1)"},
                "encoding": {"opacity": {"field": "share", "type": "quantitative", **opacity}},
            },
            {"mark": {"type": "text", "color": "var(--ink)"}, "encoding": {"text": {"field": "text"}}},
        ],
    }
