"""A report as Markdown, with the same content, tables and charts as the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tabulate import tabulate

from lenet.report.charts import charts
from lenet.report.charts.picture import filled, svg
from lenet.report.charts.points import datasets
from lenet.report.content.cards import machine_facts
from lenet.report.content.facts import facts, notes
from lenet.report.content.gather import Report
from lenet.report.content.grids import PUBLISHED, Grid, history, leaderboard, published, runs
from lenet.report.content.headline import headline, ranked
from lenet.report.layout import clean
from lenet.report.table.forms import markdown
from lenet.report.table.render import render

MOST_LINES = 200
"""Lines of a table; GitHub does not show a file of many thousand lines."""


def document(report: Report, baseline: str | None, pictures: str | None) -> tuple[str, dict[str, str]]:
    """The text, and its SVG pictures by relative path in the folder `pictures`; none without a folder.

    Raises:
        UsageError: no row is the baseline.
    """
    first, *others = headline(report)
    parts = [f"# {_text(first.rstrip('.'))}", *map(_text, others)]
    parts.append(_table(["", ""], facts(report)))
    parts += [f"> {_text(note)}" for note in notes(report)]
    parts += _grid("Leaderboard", leaderboard(report), "The fastest case of each machine and device.")
    drawn: dict[str, str] = {}
    if pictures is not None:
        data = datasets(report)
        for chart in charts(data):
            parts += [f"## {chart.title}", _text(chart.caption)]
            for index, (name, spec) in enumerate(filled(chart, data)):
                file = f"{pictures}/{chart.id}{f'-{index + 1}' if index else ''}.svg"
                drawn[file] = svg(spec)
                title = f"{chart.title}: {name}" if name else chart.title
                parts.append((f"**{_text(name)}**\n\n" if name else "") + f"![{_text(title)}]({file})")
    parts += ["## Table", *_cases(report, baseline)]
    parts += _grid("Version by version", history(report))
    parts += _grid("Published figures", published(report), PUBLISHED)
    parts.append("## Machines")
    for name, card in report.machines.items():
        parts += [f"### {_text(name)}", _table(["", ""], machine_facts(card))]
    parts += _grid("Runs", runs(report))
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n", drawn


def _text(text: str) -> str:
    return markdown(clean(text))


def _table(headers: Sequence[str], lines: Iterable[Sequence[str]], right: Sequence[str] = ()) -> str:
    body = [[_text(cell) for cell in line] for line in lines]
    align = ["right" if header in right else "left" for header in headers]
    return tabulate(body, headers, tablefmt="github", colalign=align, disable_numparse=True)


def _grid(title: str, grid: Grid, caption: str = "") -> list[str]:
    table = _table(grid.titles, grid.lines[:MOST_LINES], grid.titles[-grid.figures :])
    return [f"## {title}", caption, table] if grid.lines else []


def _cases(report: Report, baseline: str | None) -> list[str]:
    rows = report.rows
    if len(report.groups) <= MOST_LINES:
        return [render(rows, "github", baseline)]
    fastest = {id(group.row): group.row for group in ranked(report.groups)[:MOST_LINES]}
    words = f"The {MOST_LINES} fastest of {len(report.groups):,} cases; `lenet-bench table` and the page have all."
    return [words, render(list(fastest.values()), "github", baseline)]
