"""A table's cells as Markdown, as a page, and for a terminal: how it looks, whatever it shows.

Every text may come from a record: it is made one line of visible characters, then escaped for where it goes.
"""

from __future__ import annotations

import html
import io
import json
import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from tabulate import tabulate

DASH = "–"
TERMINAL_WIDTH = 80

Format = Literal["terminal", "github", "csv", "json", "html"]
FORMATS: tuple[Format, ...] = get_args(Format)
"""What every table can be written as."""


@dataclass(frozen=True)
class Layout:
    """Titles, cells, what is said below. A cell that begins with `STRUCK` is a figure that must not be quoted."""

    titles: Sequence[str]
    cells: Sequence[Sequence[str]]
    right: Sequence[bool]
    """Per column: aligned to the right, as figures are."""
    notes: Sequence[str]
    """What the numbers in brackets stand for, from 1."""
    captions: Sequence[str]


STRUCK = "\0"
"""Marks a cell as struck out; it never comes from a record, since `clean` takes control characters away."""


def number(value: float | None, digits: int = 0) -> str:
    """A figure with thousands separated, or a dash."""
    return DASH if value is None else f"{value:,.{digits}f}"


def clean(text: str) -> str:
    """Text from a record as one line of visible characters: no control, no direction marks."""
    return "".join(" " if unicodedata.category(each) in ("Cc", "Cf", "Zl", "Zp") else each for each in text).strip()


def inert(text: str) -> str:
    """Text for a spreadsheet, which runs what begins like a formula."""
    text = clean(text)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text


def markdown(text: str) -> str:
    """Text that a forge shows as it is."""
    escaped = html.escape(text, quote=False)
    for mark in "\\|*_~`[]":
        escaped = escaped.replace(mark, f"\\{mark}")
    return escaped


def wrapped(text: str, first: str = "", rest: str = "") -> str:
    """A paragraph for a terminal's width; `first` and `rest` stand before its first line and the others."""
    return textwrap.fill(text, TERMINAL_WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)


def paragraphs(texts: Iterable[str]) -> str:
    """What is said below a table in a terminal: a paragraph each, its later lines indented."""
    return "\n".join(wrapped(text, rest=" " * 4) for text in texts) + "\n"


def as_json(content: object) -> str:
    """Plain values as strict JSON."""
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def as_csv(lines: Iterable[Mapping[str, object]]) -> str:
    """A line a mapping, under the names of the first."""
    import pandas as pd

    safe = [{name: inert(value) if isinstance(value, str) else value for name, value in line.items()} for line in lines]
    return str(pd.DataFrame(safe).to_csv(index=False, lineterminator="\n"))


def _escaped(layout: Layout, escape: Callable[[str], str], strike: str) -> list[list[str]]:
    return [
        [strike.format(escape(clean(cell))) if cell.startswith(STRUCK) else escape(clean(cell)) for cell in line]
        for line in layout.cells
    ]


def _align(layout: Layout) -> list[str]:
    return ["right" if right else "left" for right in layout.right]


def as_html(layout: Layout, title: str = "lenet-bench") -> str:
    """One page without scripts."""
    titles = [html.escape(each) for each in layout.titles]
    body = tabulate(_escaped(layout, html.escape, "<s>{}</s>"), titles, tablefmt="unsafehtml", colalign=_align(layout))
    items = "".join(f"<li>{html.escape(clean(note))}</li>\n" for note in layout.notes)
    paragraphs = "".join(f"<p>{html.escape(clean(caption))}</p>\n" for caption in layout.captions)
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n'
        "<style>body{font:1rem system-ui,sans-serif;margin:1rem}table{border-collapse:collapse}"
        "td,th{padding:.3rem .6rem;border-bottom:1px solid #8884}</style>\n"
        f"{body}\n<ol>\n{items}</ol>\n{paragraphs}</html>\n"
    )


def as_markdown(layout: Layout) -> str:
    """GitHub's Markdown."""
    cells = _escaped(layout, markdown, "~~{}~~")
    body = tabulate(cells, layout.titles, tablefmt="github", colalign=_align(layout), disable_numparse=True)
    listed = "".join(f"\n{index}. {markdown(clean(note))}" for index, note in enumerate(layout.notes, 1))
    shown = [f"{markdown(clean(caption))}\n" for caption in layout.captions]
    return "\n".join([body, *filter(None, [listed]), "", *shown]) + "\n"


def for_terminal(layout: Layout) -> str:
    """A table and its notes in 80 columns, readable without colour. Figures are never cut; words are folded."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
    for title, right in zip(layout.titles, layout.right, strict=True):
        justify: Literal["left", "right"] = "right" if right else "left"
        table.add_column(title, justify=justify, no_wrap=right, overflow="fold", min_width=len(title))
    for line in layout.cells:
        table.add_row(*(Text(f"[{clean(cell)}]" if cell.startswith(STRUCK) else clean(cell)) for cell in line))
    target = io.StringIO()
    Console(file=target, width=TERMINAL_WIDTH, color_system=None, legacy_windows=False).print(table)
    body = "\n".join(each.rstrip() for each in target.getvalue().splitlines())
    notes = [f"({index}) {clean(note)}" for index, note in enumerate(layout.notes, 1)]
    return f"{body}\n\n{paragraphs([*notes, *(clean(caption) for caption in layout.captions)])}"


def shown(layout: Layout, form: Literal["terminal", "github", "html"], title: str = "lenet-bench") -> str:
    """The layout in that form; `title` is the page's."""
    if form == "html":
        return as_html(layout, title)
    return as_markdown(layout) if form == "github" else for_terminal(layout)
