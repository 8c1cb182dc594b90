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
from lenet.report.content.matrices import CAPTION, matrices
from lenet.report.layout import clean
from lenet.report.table.forms import markdown
from lenet.report.table.render import render

MOST_PICTURES = 6
TABLE_FILE = "table.md"
MOST_LINES = 200
"""Lines of a table; GitHub does not show a file of many thousand lines."""


def document(report: Report, baseline: str | None, pictures: str | None) -> tuple[str, dict[str, str]]:
    """The text, and the files that it links to by relative path.

    With a name for the folder of `pictures` these are SVG pictures in it, at most `MOST_PICTURES`, and the table of all
    cases as `TABLE_FILE`. Without one there is no picture, and the table is in the text.

    Raises:
        UsageError: no row is the baseline.
    """
    first, *others = headline(report)
    parts = [f"# {_text(first.rstrip('.'))}", *map(_text, others)]
    parts += [f"> {_text(note)}" for note in notes(report)]
    tables = matrices(report)
    parts += ["## Images per second", _text(CAPTION)] if tables else []
    for matrix in tables:
        parts += [f"**{_text(matrix.title)}**", _grid_table(matrix.grid)]
    files: dict[str, str] = {}
    if pictures is not None:
        parts += _pictures(report, pictures, files)
    parts += _grid("Version by version", history(report))
    parts += _grid("Published figures", published(report), PUBLISHED)
    parts += _grid("Leaderboard", leaderboard(report), "The fastest case of each machine and device.")
    cases = _cases(report, baseline)
    if pictures is None:
        parts += ["## All cases", *cases]
    else:
        file = f"{pictures}/{TABLE_FILE}"
        files[file] = "\n\n".join(["# All cases", *cases]).rstrip("\n") + "\n"
        parts.append(f"[All {len(report.groups):,} cases as a table]({file})")
    parts += ["## Records and machines", _table(["", ""], facts(report))]
    for name, card in report.machines.items():
        parts += [f"### {_text(name)}", _table(["", ""], machine_facts(card))]
    parts += _grid("Runs", runs(report))
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n", files


def _pictures(report: Report, folder: str, files: dict[str, str]) -> list[str]:
    """The first panel of each of the first charts, which goes into `files`."""
    data = datasets(report)
    parts = []
    for chart in charts(data)[:MOST_PICTURES]:
        panels = filled(chart, data)
        name, spec = panels[0]
        file = f"{folder}/{chart.id}.svg"
        files[file] = svg(spec)
        more = (
            f" {len(panels) - 1} more panels are on the page: `lenet-bench report -o report.html`."
            if panels[1:]
            else ""
        )
        title = f"{chart.title}: {name}" if name else chart.title
        parts += [f"## {chart.title}", _text(chart.caption + more), f"![{_text(title)}]({file})"]
    return parts


def _text(text: str) -> str:
    return markdown(clean(text))


def _table(headers: Sequence[str], lines: Iterable[Sequence[str]], right: Sequence[str] = ()) -> str:
    body = [[_text(cell) for cell in line] for line in lines]
    align = ["right" if header in right else "left" for header in headers]
    return tabulate(body, headers, tablefmt="github", colalign=align, disable_numparse=True)


def _grid(title: str, grid: Grid, caption: str = "") -> list[str]:
    return [f"## {title}", _text(caption), _grid_table(grid)] if grid.lines else []


def _grid_table(grid: Grid) -> str:
    return _table(grid.titles, grid.lines[:MOST_LINES], grid.titles[-grid.figures :])


def _cases(report: Report, baseline: str | None) -> list[str]:
    rows = report.rows
    if len(report.groups) <= MOST_LINES:
        return [render(rows, "github", baseline)]
    fastest = {id(group.row): group.row for group in ranked(report.groups)[:MOST_LINES]}
    words = f"The {MOST_LINES} fastest of {len(report.groups):,} cases; `lenet-bench table` and the page have all."
    return [words, render(list(fastest.values()), "github", baseline)]
