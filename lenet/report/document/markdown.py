"""A report as Markdown, with the same content, tables and charts as the page.

Beside a file of at most 150 lines that a forge shows, which answers the questions and has the first charts, go the
table of all cases and the details: whole tables, and the machines' cards.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tabulate import tabulate

from lenet.report.charts import MOST_CHARTS, charts
from lenet.report.charts.matrix import matrix_picture
from lenet.report.charts.picture import filled, svg
from lenet.report.charts.points import datasets
from lenet.report.content.answers import answers
from lenet.report.content.cards import machine_facts
from lenet.report.content.facts import facts, notes
from lenet.report.content.gather import Report
from lenet.report.content.grids import HISTORY, PUBLISHED, Grid, history, leaderboard, machines, published, runs
from lenet.report.content.headline import headline, ranked
from lenet.report.content.matrices import SpeedMatrix, caption, matrices
from lenet.report.layout import clean
from lenet.report.table.forms import markdown
from lenet.report.table.render import render
from lenet.report.table.words import count

TABLE_FILE, DETAILS_FILE = "table.md", "details.md"
MOST_LINES = 200
"""Lines of a table; GitHub does not show a file of many thousand lines."""
MOST_MATRIX_LINES = 34
"""Lines of all matrices, titles included, in a file with pictures."""
MOST_SHOWN = 8
"""Lines of another table there. With all of these the file has at most 150 lines."""
MOST_NOTES = 3
MOST_LINKS = 3


@dataclass(frozen=True)
class _Form:
    """What a text contains."""

    report: Report
    home: Path | None
    """The folder of the text, from which it links to runs below it."""
    brief: bool
    """Whether long tables end early, since another file has them whole."""

    def links(self, names: Sequence[str]) -> str:
        """The runs, the first of them with links."""
        shown = [self._link(name) for name in names[:MOST_LINKS]]
        return ", ".join(shown) + (f" and {len(names) - MOST_LINKS} more" if len(names) > MOST_LINKS else "")

    def _link(self, name: str) -> str:
        folder = self.report.folders.get(name)
        if folder is None or self.home is None or self._base not in folder.parents:
            return _text(name)
        return f"[{_text(name)}]({_address(os.path.relpath(folder, self.home))})"

    @property
    def _base(self) -> Path | None:
        """A link never leads out of the folder of the report."""
        return self.home if self.brief or self.home is None else self.home.parent

    def section(self, title: str, grid: Grid, words: str = "", more: str = "") -> list[str]:
        """A table below its title; `more` is the address of the file that has it whole."""
        if not grid.lines:
            return []
        most = MOST_SHOWN if self.brief else MOST_LINES
        found = _text(words)
        if grid.runs and title != "Runs":
            found += f" From {self.links(grid.runs)}."
        if len(grid.lines) > most and more:
            found += f" [All {len(grid.lines):,} lines]({more})."
        lines: Sequence[Sequence[str]] = grid.lines[:most]
        if title == "Runs":
            links = [[self._link(line[0]), *map(_text, line[1:])] for line in lines]
            return [f"## {title}", found, _table(grid.titles, links, grid.titles[-grid.figures :], escape=False)]
        return [f"## {title}", found, _grid_table(grid, lines)]


def document(
    report: Report, baseline: str | None, pictures: str | None, home: Path | None = None
) -> tuple[str, dict[str, str]]:
    """The text, and the files that it links to by relative path.

    With a name for the folder of `pictures` the text is brief. In the folder are the pictures, at most `MOST_CHARTS`,
    the table of all cases and the details. Without one there is no picture, and the text has everything. Runs below
    `home`, the folder of the text, are linked.

    Raises:
        UsageError: no row is the baseline.
    """
    form = _Form(report, home, brief=pictures is not None)
    parts = _first_screen(form)
    cases = _cases(report, baseline)
    files: dict[str, str] = {}
    if pictures is None:
        parts += [*_sections(form), "## All cases", *cases, *_machine_cards(report)]
    else:
        table, details = f"{pictures}/{TABLE_FILE}", f"{pictures}/{DETAILS_FILE}"
        files[table] = _joined(["# All cases", *cases])
        whole = _Form(report, home / pictures if home else None, brief=False)
        known = [f"> {_text(note)}" for note in notes(report)]
        speeds = _matrices(report, matrices(report))
        files[details] = _joined(["# Details", *known, *speeds, *_sections(whole), *_machine_cards(report)])
        parts += _pictures(report, pictures, files)
        parts += _sections(form, _address(details))
        cards = f"[whole tables and the machines' cards]({_address(details)})"
        parts.append(f"[All {len(report.groups):,} cases as a table]({_address(table)}); {cards}.")
    return _joined(parts), files


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(part.strip("\n") for part in parts if part).rstrip("\n") + "\n"


def _first_screen(form: _Form) -> list[str]:
    """Headline, answers, and the matrices."""
    report = form.report
    lines = [[_text(each.question), _text(each.words), form.links(each.runs)] for each in answers(report)]
    parts = [f"# {_text(headline(report).rstrip('.'))}", _table(["question", "answer", "runs"], lines, escape=False)]
    found = notes(report)
    parts += [f"> {_text(note)}" for note in (found[:MOST_NOTES] if form.brief else found)]
    tables = matrices(report)
    if form.brief:
        while len(tables) > 1 and sum(len(table.grid.lines) + 5 for table in tables) > MOST_MATRIX_LINES:
            tables = tables[:-1]
    return [*parts, *_matrices(report, tables)]


def _matrices(report: Report, tables: Sequence[SpeedMatrix]) -> list[str]:
    parts = ["## Images per second", _text(caption(report))] if tables else []
    for table in tables:
        parts += [f"**{_text(table.title)}**" if table.title else "", _grid_table(table.grid, table.grid.lines)]
    return parts


def _sections(form: _Form, more: str = "") -> list[str]:
    """A table for each question that takes one."""
    report = form.report
    return [
        *form.section("Version by version", history(report), HISTORY, more),
        *form.section("Published figures", published(report), PUBLISHED, more),
        *form.section("Leaderboard", leaderboard(report), "The fastest case of each machine and device.", more),
        *form.section("Machines", machines(report), more=more),
        *form.section("Runs", runs(report), "; ".join(f"{name}: {value}" for name, value in facts(report)), more),
    ]


def _machine_cards(report: Report) -> list[str]:
    return [
        part
        for name, card in report.machines.items()
        for part in (f"### {_text(name)}", _table(["", ""], machine_facts(card)))
    ]


def _pictures(report: Report, folder: str, files: dict[str, str]) -> list[str]:
    """The matrix, then the first panel of each of the first charts. Their files go into `files`."""
    data = datasets(report)
    tables = matrices(report)
    parts = ["## Charts"]
    if tables:
        file = f"{folder}/matrix.svg"
        files[file] = svg(matrix_picture(tables))
        parts.append(f"![Images per second by mode and batch size]({_address(file)})")
    for chart in charts(data)[: MOST_CHARTS - bool(tables)]:
        panels = filled(chart, data)
        name, spec = panels[0]
        file = f"{folder}/{chart.id}.svg"
        files[file] = svg(spec)
        more = f" On the page: {count(len(panels) - 1, 'more panel')}." if panels[1:] else ""
        title = f"{chart.title}: {name}" if name else chart.title
        parts += [f"**{_text(title)}.** {_text(chart.caption + more)}", f"![{_text(title)}]({_address(file)})"]
    return parts if parts[1:] else []


def _text(text: str) -> str:
    return markdown(clean(text))


def _address(path: str) -> str:
    """A relative path as the target of a link."""
    return quote(os.fsencode(path))


def _table(
    headers: Sequence[str], lines: Iterable[Sequence[str]], right: Sequence[str] = (), escape: bool = True
) -> str:
    """A table; `escape` unless its cells are Markdown already."""
    body = [[_text(cell) if escape else cell for cell in line] for line in lines]
    align = ["right" if header in right else "left" for header in headers]
    return tabulate(body, headers, tablefmt="github", colalign=align, disable_numparse=True)


def _grid_table(grid: Grid, lines: Sequence[Sequence[str]]) -> str:
    return _table(grid.titles, lines, grid.titles[len(grid.titles) - grid.figures :])


def _cases(report: Report, baseline: str | None) -> list[str]:
    rows = report.rows
    if len(report.groups) <= MOST_LINES:
        return [render(rows, "github", baseline)]
    fastest = {id(group.row): group.row for group in ranked(report.groups)[:MOST_LINES]}
    words = f"The {MOST_LINES} fastest of {len(report.groups):,} cases; `lenet-bench table` and the page have all."
    return [words, render(list(fastest.values()), "github", baseline)]
