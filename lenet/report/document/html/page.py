"""A report as one HTML file that contains style, script, drawing library and data, and makes no request.

The page's Content-Security-Policy allows its own scripts, by their digests, and nothing else: no text of a record can
become a script, and no script can make a request. The data is JSON in an element that no HTML parser interprets.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from lenet import __version__
from lenet.cases.frameworks import Framework
from lenet.report.charts import charts, first
from lenet.report.charts.chart import DIVIDED, LABEL_LINE, LABEL_WIDTH, LINE_HEIGHT, MOST_BARS, MOST_PANELS, Chart
from lenet.report.charts.labels import LABELS, PANELS, WORDS, Points
from lenet.report.charts.look import config, variables
from lenet.report.charts.picture import vega
from lenet.report.charts.points import NAMES, PHASES, datasets
from lenet.report.content.answers import answers
from lenet.report.content.facts import facts, machine_facts, notes
from lenet.report.content.gather import Report
from lenet.report.content.grids import runs, sections
from lenet.report.content.headline import headline
from lenet.report.content.matrices import caption, matrices, shares
from lenet.report.document.html.details import details
from lenet.report.table.columns import for_page
from lenet.report.table.speed_ups import with_speed_ups
from lenet.report.table.words import count

if TYPE_CHECKING:
    from jinja2 import Template

HOME = files("lenet.report.document.html")
SCRIPTS = ("data.js", "charts.js", "table.js", "record.js", "page.js")
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif'


@functools.cache
def drawing_library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, from the package vl-convert-python (BSD licence)."""
    return str(vega().javascript_bundle())


def embedded(data: object) -> str:
    """Data as JSON for the inside of a `<script>`: no character of it can end the element.

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
    """Six significant digits: more than any clock here resolves."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def page(report: Report, baseline: str | None = None) -> str:
    """The report as an HTML document.

    Raises:
        UsageError: no row is the baseline.
    """
    from markupsafe import Markup

    data = datasets(report)
    rows = data["rows"]
    for row, compared in zip(rows, with_speed_ups(report.rows, baseline), strict=True):
        row |= {name: value for name, value in compared.flat().items() if name.startswith("speed_up")}
    tables, drawn = matrices(report), charts(data)
    shown = [chart for chart, _ in first(drawn)]
    folded = [chart for chart, _ in drawn if chart not in shown]
    scripts = [drawing_library(), _program()]
    style = (HOME / "page.css").read_text(encoding="utf-8")
    content = _content(report, data, [*shown, *folded])
    return str(
        _template().render(
            policy=policy(scripts),
            scripts=[Markup(script) for script in scripts],  # noqa: S704 - our own files and a library's
            style=Markup(colours() + style),  # noqa: S704 - our own file
            data=Markup(embedded(content)),  # noqa: S704 - escaped by `embedded`
            headline=headline(report),
            answers=answers(report),
            matrices=list(zip(tables, shares(tables), strict=True)),
            matrix_caption=caption(report),
            facts=facts(report),
            charts=shown,
            folded=folded,
            sections=sections(report),
            machines={name: machine_facts(card) for name, card in report.machines.items()},
            runs=runs(report),
            notes=notes(report),
            made_at=datetime.now(timezone.utc),
            version=__version__,
            records=count(len(rows), "record"),
        )
    )


def _content(report: Report, data: Mapping[str, Points], drawn: Sequence[Chart]) -> dict[str, Any]:
    """The data of the page's script: points, charts, columns, each record's raw figures."""
    rows = data["rows"]
    return {
        "sets": {name: packed(_unlabelled(points)) for name, points in data.items()},
        "labels": LABELS,
        "panelLabels": sorted(PANELS),
        "words": WORDS,
        "charts": [{**asdict(chart), "fields": chart.fields(rows[0])} for chart in drawn],
        "config": config(FONT),
        "columns": [column.for_page() for column in for_page(rows, rows[0]["speed_up_over"])],
        "fields": [name for name in rows[0] if name not in NAMES],
        "phases": [words for _, words in PHASES],
        "own": Framework.MINDSPORE.value,
        "details": details(report),
        "panels": MOST_PANELS,
        "bars": MOST_BARS,
        "lineHeight": LINE_HEIGHT,
        "labelLine": LABEL_LINE,
        "labelWidth": LABEL_WIDTH,
        "divided": DIVIDED,
    }


def _unlabelled(points: Points) -> Points:
    """The points without labels: the page makes them of what its filters leave."""
    return [{name: value for name, value in point.items() if name not in LABELS} for point in points]


def _program() -> str:
    """The page's own scripts as one, in a scope of their own."""
    parts = [(HOME / name).read_text(encoding="utf-8") for name in SCRIPTS]
    return "(() => {\n'use strict';\n" + "\n".join(parts) + "})();"


def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("lenet.report.document", "html"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("template.html.jinja")


def policy(scripts: Sequence[str]) -> str:
    """The Content-Security-Policy that allows these scripts, inline styles, and nothing else."""
    digests = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts
    )
    return (
        f"default-src 'none'; script-src {digests}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def colours() -> str:
    """The report's colours as CSS variables, light unless the system's are dark."""
    dark = f"@media screen and (prefers-color-scheme:dark){{:root{{{variables('dark')}}}}}"
    return f":root{{{variables('light')}}}\n{dark}\n"
