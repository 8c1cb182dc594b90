"""Charts as SVG files, made without a browser."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Set
from typing import Any

from lenet.cases.frameworks import Framework
from lenet.errors import UsageError
from lenet.report.charts.chart import MOST_PANELS, Chart
from lenet.report.charts.labels import Points
from lenet.report.charts.look import COLOURS, config

WIDTH = 640
HEIGHT = 260
FONT = "Arial, Liberation Sans, sans-serif"
ADDRESS_BYTES = 2**37
"""Address space that the JavaScript engine reserves at most; measured: 64 GiB are too few."""


def filled(chart: Chart, points: Points, bands: Points) -> list[tuple[str, dict[str, Any]]]:
    """The chart's panels, each a name and a specification with its points in it; at most `MOST_PANELS`.

    Speeds: those of MindSpore first, then the fastest. Trainings: the smallest batch first.
    """
    panels: dict[str, Points] = {}
    for point in points:
        panels.setdefault(point[chart.panel] if chart.panel else "", []).append(point)

    def rank(name: str) -> tuple[bool, float, str]:
        held = panels[name]
        if chart.data != "rows":
            return False, min(point["batch_size"] for point in held), name
        peer = all(point["framework"] != Framework.MINDSPORE.value for point in held)
        return peer, -max(point["images_per_second"] or 0 for point in held), name

    params = [{**param, **_ends(points)[param["name"]]} for param in chart.spec.get("params", ())]
    made: list[tuple[str, dict[str, Any]]] = []
    for name in sorted(panels, key=rank)[:MOST_PANELS]:
        shown = panels[name]
        band = [each for each in bands if each["training_panel"] == name]
        spec = {**chart.spec, "description": f"{chart.title}, {name}" if name else chart.title}
        if "layer" in spec and not band:
            spec["layer"] = [layer for layer in spec["layer"] if layer.get("data", {}).get("name") != "band"]
        spec = _among(spec, {point["series"] for point in shown if "series" in point})
        if chart.lines:
            spec["height"] = chart.height(shown)
        if params:
            spec["params"] = params
        made.append((name, {**spec, "data": {"name": "shown"}, "datasets": {"shown": shown, "band": band}}))
    return made


def _among(part: Any, there: Set[object]) -> Any:
    """The specification with only those series in scales and legends that are drawn; their colours stay."""
    if isinstance(part, list):
        return [_among(each, there) for each in part]
    if not isinstance(part, dict):
        return part
    scale = part.get("scale")
    if part.get("field") == "series" and isinstance(scale, dict) and "domain" in scale:
        kept = [index for index, name in enumerate(scale["domain"]) if name in there]
        lists = {name: [scale[name][index] for index in kept] for name in ("domain", "range") if name in scale}
        part = {**part, "scale": {**scale, **lists}}
    return {name: _among(each, there) for name, each in part.items()}


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
    whole = {"width": WIDTH, "height": HEIGHT, **spec, "config": {**config(FONT), "aria": False}, "padding": 8}
    if "layer" in whole:  # invisible marks carry tooltips: they are for the page
        whole["layer"] = [each for each in whole["layer"] if each["mark"].get("opacity") != 0]
    return adaptive(vega().vegalite_to_svg(whole))


def vega() -> Any:
    """The package vl-convert-python.

    Raises:
        UsageError: the address space is limited. Its JavaScript engine would end this process.
    """
    with contextlib.suppress(ImportError):  # Windows has no such limits
        import resource

        if 0 <= resource.getrlimit(resource.RLIMIT_AS)[0] < ADDRESS_BYTES:
            raise UsageError(
                f"charts need {ADDRESS_BYTES >> 30} GiB of address space (not memory): raise `ulimit -v`, or omit them "
                "with --format terminal, or --format markdown without --output"
            )
    import vl_convert

    return vl_convert


_VARIABLE = re.compile(r'\b(fill|stroke)="var\(--([a-z0-9-]+)\)"')


def adaptive(picture: str) -> str:
    """The picture in the colours of a light page, with rules that replace them on a dark one.

    >>> adaptive('<svg><path fill="var(--ink)"/></svg>')[-28:]
    '<path fill="#24292f"/></svg>'
    """
    plain = _VARIABLE.sub(lambda found: f'{found[1]}="{COLOURS[found[2]][0]}"', picture)
    rules = "".join(
        f'[{kind}="{light}"]{{{kind}:{dark}}}'
        for kind, light, dark in dict.fromkeys((found[0], *COLOURS[found[1]]) for found in _VARIABLE.findall(picture))
    )
    first = plain.index(">") + 1
    return f"{plain[:first]}<style>@media(prefers-color-scheme:dark){{{rules}}}</style>{plain[first:]}"
