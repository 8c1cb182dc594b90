"""A report as one HTML file: style, script, drawing library and data are inside it, and no request leaves it.

The page's policy (Content-Security-Policy) allows the scripts that it was made with, by their digests, and nothing
else: no text of a record can become a script, and no script a request. Data goes in as JSON that no HTML parser reads.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from importlib.resources import files
from typing import Any

from lenet import __version__
from lenet.report.baseline import DEFAULT, speed_ups
from lenet.report.cards import machine_facts
from lenet.report.charts import LINE_HEIGHT, MOST_BARS, MOST_PANELS, charts
from lenet.report.facts import facts, notes
from lenet.report.gather import Report
from lenet.report.headline import headline
from lenet.report.html.columns import columns, optional
from lenet.report.html.details import details
from lenet.report.layout import number
from lenet.report.leaders import history, leaderboard
from lenet.report.picture import COLOURS, config
from lenet.report.points import Points, datasets
from lenet.report.words import count, mode, times

SCRIPTS = ("data.js", "charts.js", "table.js", "record.js", "page.js")
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif'


@functools.cache
def drawing_library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, from the package vl-convert-python (BSD licence)."""
    import vl_convert

    package: Any = vl_convert  # its stub asks for an argument that it does not need
    return str(package.javascript_bundle())


def embedded(data: object) -> str:
    """Data as JSON that can stand inside a `<script>`: no character of it can end the element.

    >>> embedded({"a": "</script>"})
    '{"a":"\\\\u003c/script>"}'
    """
    text = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    for each in "<\u2028\u2029":
        text = text.replace(each, f"\\u{ord(each):04x}")
    return text


def packed(points: Points) -> dict[str, Any]:
    """Mappings as columns; a column of repeated texts as its distinct ones and their indices.

    >>> packed([{"a": "x", "b": 1}, {"a": "x", "b": 2}])
    {'a': {'texts': ['x'], 'at': [0, 0]}, 'b': [1, 2]}
    """
    columns: dict[str, Any] = {}
    for name in points[0] if points else ():
        values = [point[name] for point in points]
        if all(isinstance(value, str) for value in values):
            places = {text: place for place, text in enumerate(dict.fromkeys(values))}
            columns[name] = {"texts": list(places), "at": [places[value] for value in values]}
        else:
            columns[name] = [_rounded(value) for value in values]
    return columns


def _rounded(value: Any) -> Any:
    """Six significant digits: more than any clock here gives."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def ratios(report: Report, baseline: str | None) -> list[float | None]:
    """Each record's images/s over its baseline's: that of the group it belongs to, where its own case ended well.

    Raises:
        UsageError: no row is the baseline.
    """
    groups = report.groups
    base = {
        _case(group.row): (group.row.images_per_second / ratio if group.row.images_per_second and ratio else None)
        for group, ratio in zip(groups, speed_ups(groups, baseline), strict=True)
    }
    found = []
    for row in report.rows:
        of = base.get(_case(row))
        found.append(row.images_per_second / of if of and row.images_per_second and row.status == "ok" else None)
    return found


def _case(row: Any) -> tuple[object, ...]:
    from lenet.report.rows import AXES

    return tuple(getattr(row, axis) for axis in AXES if axis != "framework_version")


def page(report: Report, baseline: str | None = None) -> str:
    """The report as an HTML document.

    Raises:
        UsageError: no row is the baseline.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    data = datasets(report)
    rows = data["rows"]
    for row, ratio in zip(rows, ratios(report, baseline), strict=True):
        row["speed_up"] = ratio
        row |= {f"to_{target}": value for target, value in row.pop("seconds_to_accuracy").items()}
        for name in optional(row):
            row[name] = _words(row[name])
    drawn = charts(data)
    shown = columns(rows, baseline or DEFAULT)
    content = {
        "sets": {name: packed(points) for name, points in data.items()},
        "charts": [asdict(chart) for chart in drawn],
        "config": config(FONT),
        "columns": [asdict(column) for column in shown],
        "details": details(report),
        "panels": MOST_PANELS,
        "bars": MOST_BARS,
        "lineHeight": LINE_HEIGHT,
    }
    home = files("lenet.report.html")
    program = "\n".join((home / name).read_text(encoding="utf-8") for name in SCRIPTS)
    program = f"(() => {{\n'use strict';\n{program}}})();"
    scripts = [drawing_library(), program]
    environment = Environment(
        loader=PackageLoader("lenet.report", "html"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"number": number, "times": times, "mode": mode}
    style = (home / "page.css").read_text(encoding="utf-8")
    return environment.get_template("template.html.jinja").render(
        policy=policy(scripts),
        scripts=[Markup(script) for script in scripts],  # noqa: S704 - our own files and a library's
        style=Markup(colours() + style),  # noqa: S704 - our own file
        data=Markup(embedded(content)),  # noqa: S704 - escaped by `embedded`
        headline=headline(report),
        facts=facts(report),
        charts=drawn,
        leaders=leaderboard(report) if len({(row["machine"], row["device_target"]) for row in rows}) > 1 else [],
        history=history(report),
        machines={name: machine_facts(card) for name, card in report.machines.items()},
        runs=report.runs,
        notes=notes(report),
        made_at=datetime.now(timezone.utc),
        version=__version__,
        records=count(len(rows), "record"),
    )


def policy(scripts: Sequence[str]) -> str:
    """The Content-Security-Policy that allows these scripts, the page's own styles, and nothing else."""
    digests = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts
    )
    return (
        f"default-src 'none'; script-src {digests}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def colours() -> str:
    """The report's colours as CSS variables, light unless the reader's system or choice is dark."""
    light = "".join(f"--{name}:{pair[0]};" for name, pair in COLOURS.items())
    dark = "".join(f"--{name}:{pair[1]};" for name, pair in COLOURS.items())
    return (
        f":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}\n"
        f"@media screen{{:root[data-theme=dark]{{{dark}}}}}\n"
    )


def _words(value: Any) -> Any:
    """A field that is not a plain value, as text."""
    if isinstance(value, dict):
        return ", ".join(f"{name}: {each}" for name, each in value.items() if each is not None)
    if isinstance(value, (list, tuple)):
        return f"{len(value):,} values"
    return value
