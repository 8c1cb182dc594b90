"""Charts as SVG files, made without a browser."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lenet.report.charts import LINE_HEIGHT, MOST_BARS, MOST_PANELS, Chart
from lenet.report.charts.look import COLOURS, config, variables
from lenet.report.charts.points import Points, joined

WIDTH = 640
HEIGHT = 260
FONT = "Arial, Liberation Sans, sans-serif"


def filled(chart: Chart, data: Mapping[str, Points]) -> list[tuple[str, dict[str, Any]]]:
    """The chart's panels, each a name and a specification with its points in it; at most `MOST_PANELS`."""
    rows = data["rows"]
    fields = chart.fields(rows[0])
    if chart.data == "rows":
        valid = [row for row in rows if row["ok"] and row[chart.needs] is not None]
        points = [{field: row[field] for field in fields} for row in valid]
    else:
        points = joined(data[chart.data], rows, fields)
    ranks: dict[str, float] = {}
    for point in points:
        # Speeds: the fastest panel first. Trainings: the smallest batch first.
        rank = -(point["images_per_second"] or 0) if chart.data == "rows" else point["batch_size"]
        name = point[chart.panel] if chart.panel else ""
        ranks[name] = min(rank, ranks.get(name, rank))
    panels: list[tuple[str, dict[str, Any]]] = []
    params = [{**param, **_ends(points)[param["name"]]} for param in chart.spec.get("params", ())]
    for name in sorted(ranks, key=lambda each: (ranks[each], each))[:MOST_PANELS]:
        shown = [point for point in points if not chart.panel or point[chart.panel] == name]
        band = [each for each in data["band"] if each["training"] == name]
        spec = {**chart.spec, "description": f"{chart.title}, {name}" if name else chart.title}
        if "layer" in spec and not band:
            spec["layer"] = [layer for layer in spec["layer"] if layer.get("data", {}).get("name") != "band"]
        if chart.lines:
            lines = count_lines(chart, shown)
            if lines == 0:
                continue
            spec["height"] = LINE_HEIGHT * min(MOST_BARS, lines)
        if params:
            spec["params"] = params
        panels.append((name, {**spec, "data": {"name": "shown"}, "datasets": {"shown": shown, "band": band}}))
    return panels


def count_lines(chart: Chart, points: Points) -> int:
    """The number of lines that the chart has for these points."""
    held: dict[str, set[object]] = {}
    for point in points:
        held.setdefault(point[chart.lines or ""], set()).add(point[chart.contrast] if chart.contrast else None)
    return sum(not chart.contrast or len(values) > 1 for values in held.values())


def _ends(points: Points) -> dict[str, dict[str, float]]:
    """The ends of a speed axis that all panels share."""
    valid = [point for point in points if point["ok"] and point["images_per_second"] is not None]
    high = max((point["images_per_second_high"] or point["images_per_second"] for point in valid), default=1.0)
    low = min((point["images_per_second_low"] or point["images_per_second"] for point in valid), default=0.0)
    return {"top": {"value": high * 1.05}, "bottom": {"value": low / 1.05}}


def svg(spec: dict[str, Any]) -> str:
    """A specification with data as an SVG picture for light and dark pages.

    Source: Vega-Lite's compiler and Vega's SVG renderer, as the package vl-convert-python carries them.
    """
    import vl_convert

    whole = {"width": WIDTH, "height": HEIGHT, **spec, "config": {**config(FONT), "aria": False}, "padding": 8}
    if "layer" in whole:  # invisible marks carry tooltips: they are for the page
        whole["layer"] = [each for each in whole["layer"] if each["mark"].get("opacity") != 0]
    return adaptive(vl_convert.vegalite_to_svg(whole))


_VARIABLE = re.compile(r'\b(fill|stroke)="var\(--([a-z0-9-]+)\)"')
_TAG = re.compile(r"<[a-z][^>]*>")


def adaptive(picture: str) -> str:
    """The picture with colours that follow the page, and plain colours for a viewer without CSS variables.

    >>> adaptive('<svg><path fill="var(--ink)"/></svg>')[-60:]
    '</style><path fill="#24292f" style="fill:var(--ink)"/></svg>'
    """

    def tag(match: re.Match[str]) -> str:
        styles: list[str] = []

        def plain(found: re.Match[str]) -> str:
            styles.append(f"{found[1]}:var(--{found[2]})")
            return f'{found[1]}="{COLOURS[found[2]][0]}"'

        text = _VARIABLE.sub(plain, match[0])
        if not styles:
            return text
        if ' style="' in text:
            return text.replace(' style="', f' style="{";".join(styles)};', 1)
        end = "/>" if text.endswith("/>") else ">"
        return f'{text.removesuffix(end)} style="{";".join(styles)}"{end}'

    light, dark = variables("light"), variables("dark")
    style = f"<style>svg{{{light}}}@media(prefers-color-scheme:dark){{svg{{{dark}}}}}</style>"
    coloured = _TAG.sub(tag, picture)
    first = coloured.index(">") + 1
    return coloured[:first] + style + coloured[first:]
