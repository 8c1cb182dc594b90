"""The forms of every table: terminal, Markdown, HTML, CSV, JSON.

Every text may come from a record: it is made one line of visible characters, then escaped for where it goes. A cell is
text already, so all forms show a figure with the same digits.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from tabulate import tabulate

from lenet.report.layout import clean, grid, paragraphs

Format = Literal["terminal", "github", "csv", "json", "html"]
FORMATS: tuple[Format, ...] = get_args(Format)
"""The forms of every table."""

TABLES: Mapping[str, Format] = {
    "table.json": "json",
    "table.csv": "csv",
    "table.md": "github",
    "table.html": "html",
}
"""The tables that a run writes beside its records, each with its format."""


@dataclass(frozen=True)
class Layout:
    """A table with its notes. A cell that begins with `STRUCK` is a figure that must not be quoted."""

    titles: Sequence[str]
    cells: Sequence[Sequence[str]]
    right: Sequence[bool]
    """Per column: aligned to the right, as figures are."""
    notes: Sequence[str]
    """The numbered notes below the table, from 1."""
    captions: Sequence[str]

    def escaped(self, escape: Callable[[str], str], strike: str) -> list[list[str]]:
        """The cells for a form of markup; `strike` is a struck cell, with `{}` for its text."""
        return [
            [strike.format(escape(clean(cell))) if cell.startswith(STRUCK) else escape(clean(cell)) for cell in line]
            for line in self.cells
        ]

    @property
    def align(self) -> list[str]:
        """Per column, `left` or `right`."""
        return ["right" if right else "left" for right in self.right]


STRUCK = "\0"
"""Begins a cell that is struck out."""


def inert(text: str) -> str:
    """Text for a spreadsheet, which runs what begins like a formula."""
    text = clean(text)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def markdown(text: str) -> str:
    """Text that a forge shows as it is."""
    return re.sub(r"([\\|*_~`\[\]])", r"\\\1", html.escape(text, quote=False))


def as_json(content: object) -> str:
    """Plain values as strict JSON."""
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def as_csv(lines: Iterable[Mapping[str, object]]) -> str:
    """A line for each mapping below a line of names; what a mapping has not, or null, is empty."""
    import pandas as pd  # takes longer than the rest of a command that writes no CSV

    table = [{name: inert(each) if isinstance(each, str) else each for name, each in line.items()} for line in lines]
    # As objects: a column of whole numbers with a hole would become one of floating-point numbers.
    return pd.DataFrame(table, dtype=object).to_csv(index=False, lineterminator="\n")


def as_fragment(layout: Layout) -> str:
    """A table with its notes, as part of a page."""
    cells = layout.escaped(html.escape, "<s>{}</s>")
    titles = [html.escape(each) for each in layout.titles]
    body = tabulate(cells, titles, tablefmt="unsafehtml", colalign=layout.align, disable_numparse=True)
    items = "".join(f"<li>{html.escape(clean(note))}</li>\n" for note in layout.notes)
    captions = "".join(f"<p>{html.escape(clean(caption))}</p>\n" for caption in layout.captions)
    return f"{body}\n<ol>\n{items}</ol>\n{captions}"


def as_html(layout: Layout, title: str = "lenet-bench") -> str:
    """One page without scripts."""
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n'
        "<style>body{font:1rem system-ui,sans-serif;margin:1rem}table{border-collapse:collapse}"
        "td,th{padding:.3rem .6rem;border-bottom:1px solid #8884}</style>\n"
        f"{as_fragment(layout)}</html>\n"
    )


def github_table(titles: Sequence[str], lines: Iterable[Iterable[str]], right: Sequence[bool] = ()) -> str:
    """A table of GitHub's Markdown, whose cells are Markdown already; figures are aligned to the right."""
    align = ["right" if each else "left" for each in right]
    return tabulate([list(line) for line in lines], titles, tablefmt="github", colalign=align, disable_numparse=True)


def as_markdown(layout: Layout) -> str:
    """GitHub's Markdown."""
    body = github_table(layout.titles, layout.escaped(markdown, "~~{}~~"), layout.right)
    listed = "".join(f"\n{index}. {markdown(clean(note))}" for index, note in enumerate(layout.notes, 1))
    captions = [f"{markdown(clean(caption))}\n" for caption in layout.captions]
    return "\n".join([body, *filter(None, [listed]), "", *captions]) + "\n"


def for_terminal(layout: Layout) -> str:
    """A table and its notes in 80 columns, readable without colour. Figures are never cut; words are folded."""
    body = grid(layout.titles, layout.escaped(str, "[{}]"), "".join("f" if right else "w" for right in layout.right))
    notes = [f"({index}) {note}" for index, note in enumerate(layout.notes, 1)]
    return f"{body}\n\n{paragraphs([*notes, *layout.captions])}"


def shown(layout: Layout, form: Literal["terminal", "github", "html"], title: str = "lenet-bench") -> str:
    """The layout in that form; `title` is the page's."""
    if form == "html":
        return as_html(layout, title)
    return as_markdown(layout) if form == "github" else for_terminal(layout)
