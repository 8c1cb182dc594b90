"""A report as Markdown, with the same content, tables and charts as the page.

Beside a file of at most 150 lines that a forge shows, which answers the questions and has the first charts, go the
table of all cases and the details: whole tables, and the machines' cards.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from lenet.report.charts import charts, first
from lenet.report.charts.picture import filled, svg
from lenet.report.charts.points import datasets
from lenet.report.content.answers import answers
from lenet.report.content.facts import facts, machine_facts, notes
from lenet.report.content.gather import Report
from lenet.report.content.grids import Grid, Section, machines, runs, sections
from lenet.report.content.headline import headline
from lenet.report.content.matrices import caption, matrices
from lenet.report.content.places import ranked
from lenet.report.layout import clean
from lenet.report.table.forms import github_table, markdown
from lenet.report.table.render import render
from lenet.report.table.words import count

TITLE = "Speed and accuracy of LeNet"
TABLE_FILE, DETAILS_FILE = "table.md", "details.md"
MOST_LINES = 200
"""Lines of a table; GitHub does not show a file of many thousand lines."""
MOST_MATRIX_LINES = 34
"""Lines of all matrices, titles included, in a file with pictures."""
MOST_SHOWN = 8
"""Lines of another table there. With all of these the file has at most 150 lines."""
MOST_NOTES = 3
MOST_LINKS = 3
COMMAND = re.compile(r"(`lenet-bench [\w ,.=+/%-]*`)")


@dataclass(frozen=True)
class _Form:
    """What a text contains."""

    report: Report
    home: Path | None
    """The folder of the text, from which it links to runs below it."""
    brief: bool
    """Whether long tables end early, since another file has them whole."""

    def links(self, names: Sequence[str]) -> str:
        """The runs by the last part of their names, the first of them with links."""
        last = {name: name.rpartition("/")[2] for name in self.report.runs}
        shared = Counter(last.values())
        shown = [
            self.link(name, last[name] if shared[last[name]] == 1 else f"{last[name]} ({self._machine(name)})")
            for name in names[:MOST_LINKS]
        ]
        return ", ".join(shown) + (f" and {len(names) - MOST_LINKS} more" if len(names) > MOST_LINKS else "")

    def _machine(self, name: str) -> str:
        return self.report.short_machine(self.report.runs[name].machine.id)

    def link(self, name: str, text: str) -> str:
        """The run, with a link if it is below the folder of the report: a link never leads out of it."""
        folder, base = self.report.folders.get(name), self.home
        if base is not None and not self.brief:
            base = base.parent
        if folder is None or self.home is None or base not in folder.parents:
            return _text(text)
        return f"[{_text(text)}]({_address(os.path.relpath(folder, self.home))})"

    def section(self, section: Section, more: str = "") -> list[str]:
        """A table below its title; `more` is the address of the file that has it whole."""
        grid = section.grid
        most = MOST_SHOWN if self.brief else MOST_LINES
        words = _prose(section.words)
        if section.id != "runs" and grid.runs:
            words += f" From {self.links(grid.runs)}."
        if len(grid.lines) > most and more:
            words += f" [All {len(grid.lines):,} lines]({more})."
        lines = [[_text(cell) for cell in line] for line in grid.lines[:most]]
        if section.id == "runs":
            lines = [[self.link(name, name), *line[1:]] for name, line in zip(grid.runs, lines, strict=False)]
        return [f"## {section.title}", words, _table(grid, lines)]


def document(
    report: Report, baseline: str | None, pictures: str | None, home: Path | None = None
) -> tuple[str, dict[str, str]]:
    """The text, and the files that it links to by relative path.

    With a name for the folder of `pictures` the text is brief. In the folder are the pictures,
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
        files[details] = _joined(["# Details", *known, *_matrices(whole), *_sections(whole), *_machine_cards(report)])
        parts += [*_pictures(report, pictures, files), *_sections(form, _address(details))]
        cards = f"[whole tables and the machines' cards]({_address(details)})"
        parts.append(f"[All {len(report.groups):,} cases as a table]({_address(table)}); {cards}.")
    return _joined(parts), files


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(part.strip("\n") for part in parts if part).rstrip("\n") + "\n"


def _first_screen(form: _Form) -> list[str]:
    """Headline, answers, and the matrices."""
    report = form.report
    lines = [[_text(each.question), _prose(each.words), form.links(each.runs)] for each in answers(report)]
    table = github_table(["question", "answer", "runs"], lines, [False] * 3)
    found = notes(report)
    known = [f"> {_text(note)}" for note in (found[:MOST_NOTES] if form.brief else found)]
    return [f"# {TITLE}", f"**{_text(headline(report))}**", table, *known, *_matrices(form)]


def _matrices(form: _Form) -> list[str]:
    tables = matrices(form.report)
    while form.brief and len(tables) > 1 and sum(len(table.grid.lines) + 5 for table in tables) > MOST_MATRIX_LINES:
        tables = tables[:-1]
    parts = ["## Images per second", _text(caption(form.report))] if tables else []
    for table in tables:
        lines = [[_text(cell) for cell in line] for line in table.grid.lines]
        parts += [f"**{_text(table.title)}**" if table.title else "", _table(table.grid, lines)]
    return parts


def _sections(form: _Form, more: str = "") -> list[str]:
    """A table for each question that takes one, then machines and runs."""
    context = "; ".join(f"{name}: {value}" for name, value in facts(form.report))
    last = [
        Section("machines", "Machines", "", machines(form.report)),
        Section("runs", "Runs", context, runs(form.report)),
    ]
    return [part for each in (*sections(form.report), *last) for part in form.section(each, more)]


def _machine_cards(report: Report) -> list[str]:
    return [
        part
        for name, card in report.machines.items()
        for part in (f"### {_text(name)}", github_table(["", ""], [map(_text, fact) for fact in machine_facts(card)]))
    ]


def _pictures(report: Report, folder: str, files: dict[str, str]) -> list[str]:
    """The first panel of each of the first charts, as many as the page shows. Their files go into `files`."""
    data = datasets(report)
    parts = []
    for chart, points in first(charts(data)):
        panels = filled(chart, points, data["band"])
        name, spec = panels[0]
        file = f"{folder}/{chart.id}.svg"
        files[file] = svg(spec)
        more = f" On the page: {count(len(panels) - 1, 'more panel')}." if panels[1:] else ""
        title = f"{chart.title}: {name}" if name else chart.title
        parts += [f"**{_text(title)}.** {_text(chart.caption + more)}", f"![{_text(title)}]({_address(file)})"]
    return ["## Charts", *parts] if parts else []


def _text(text: str) -> str:
    return markdown(clean(text))


def _address(path: str) -> str:
    """A relative path as the target of a link."""
    return quote(os.fsencode(path))


def _prose(text: str) -> str:
    """Sentences whose commands are code, and whose other words are shown as they are."""
    return "".join(each if COMMAND.fullmatch(each) else markdown(each) for each in COMMAND.split(clean(text)))


def _table(grid: Grid, lines: Iterable[Iterable[str]]) -> str:
    """The lines, which are Markdown already, below the titles of the grid."""
    words = len(grid.titles) - grid.figures
    return github_table(grid.titles, lines, [index >= words for index in range(len(grid.titles))])


def _cases(report: Report, baseline: str | None) -> list[str]:
    rows = report.rows
    if len(report.groups) <= MOST_LINES:
        return [render(rows, "github", baseline)]
    fastest = {id(group.row): group.row for group in ranked(report.groups)[:MOST_LINES]}
    words = f"The {MOST_LINES} fastest of {len(report.groups):,} cases; `lenet-bench table` and the page have all."
    return [words, render(list(fastest.values()), "github", baseline)]
