"""Text that fits a terminal of 80 columns, whatever a machine, a path or a record puts into it.

Names of processors, libraries, kernels, devices, files and hosts have any length and any content. Everything that is
printed for a person goes through `wrapped`, `shortened` or `grid`, which make the text one line of visible characters
and measure it in columns of a terminal: a Chinese character takes two, an accent none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from unicodedata import category

from rich.cells import cell_len, set_cell_size

from lenet.errors import runnable

DASH = "–"
WIDTH = 80
GAP = "  "
NARROWEST = 8
"""Columns that a column of words keeps at least, if its words are that long."""
LONGEST_WORD = 40
"""Columns of a word that is kept whole in a table."""
LARGEST = 1e12
"""Figures from here on are written with an exponent: a column of a table stays narrow."""
BREAKS = "+/,:="
"""A long word is divided after one of these: settings, paths, kernels."""
PIECE = re.compile(f"[^{BREAKS}]*[{BREAKS}]|[^{BREAKS}]+")
"""A part of a word that is not divided where there is room for it."""
_limit: ContextVar[float] = ContextVar("limit", default=WIDTH)


@contextmanager
def table_width(limit: float) -> Iterator[None]:
    """Tables that are made in the context have at most so many columns; where nobody reads them in a terminal, inf."""
    token = _limit.set(limit)
    try:
        yield
    finally:
        _limit.reset(token)


def number(value: float | None, digits: int = 0) -> str:
    """A figure with thousands separated and `digits` decimals, or a dash.

    >>> number(1234.5, 1), number(None), number(1e300)
    ('1,234.5', '–', '1e+300')
    """
    if value is None:
        return DASH
    return f"{value:,.{digits}f}" if abs(value) < LARGEST else f"{value:.3g}"


def clean(text: str) -> str:
    """The text as one line of visible characters: no control, no direction mark, no half of a character."""
    if text.isprintable():
        return text.strip()
    return "".join(_VISIBLE.get(category(each), each) for each in text).strip()


_VISIBLE = {"Cc": " ", "Cf": " ", "Zl": " ", "Zp": " ", "Cs": "\N{REPLACEMENT CHARACTER}"}


def shortened(text: str, width: int) -> str:
    """The text in at most `width` columns; what is cut off is marked.

    >>> shortened("operator_threads=1", 8)
    'operato…'
    """
    text = clean(text)
    return text if cell_len(text) <= width else f"{_head(text, width - 1)}…"


def told_apart(texts: Iterable[str], width: int) -> dict[str, str]:
    """Each text in at most `width` columns; those that would be cut where they begin to differ lose what is alike.

    >>> told_apart(["threads=1", "launch_blocking+workers=1", "launch_blocking+workers=2"], 12)
    {'threads=1': 'threads=1', 'launch_blocking+workers=1': '…workers=1', 'launch_blocking+workers=2': '…workers=2'}
    """
    found = {text: shortened(text, width) for text in texts}
    alike: dict[str, list[str]] = {}
    for text, short in found.items():
        alike.setdefault(short, []).append(clean(text))
    for text, short in found.items():
        if len(alike[short]) > 1:
            first, last = min(alike[short]), max(alike[short])
            same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), 0)
            begin = max(first.rfind(each, 0, same) for each in "+ /") + 1
            found[text] = shortened(f"…{clean(text)[begin:]}", width)
    return found


def wrapped(text: str, first: str = "", rest: str = "") -> str:
    """A paragraph of at most 80 columns; `first` and `rest`, at most 60 columns each, precede its lines.

    Its commands begin with the words that start this program in the user's shell.

    >>> print(wrapped("a path: /" + "x" * 76, "- ", "  "))
    - a path:
      /xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
    """
    lines = _folded(runnable(text), WIDTH - cell_len(rest), taken=cell_len(first) - cell_len(rest))
    return "\n".join((rest if index else first) + line for index, line in enumerate(lines)).rstrip()


def paragraphs(texts: Iterable[str]) -> str:
    """Texts below a table: a paragraph each, its later lines indented."""
    return "\n".join(wrapped(text, rest=" " * 4) for text in texts) + "\n"


def grid(titles: Sequence[str], lines: Iterable[Sequence[str]], kinds: str) -> str:
    """A table of at most 80 columns, or what `table_width` says; without a header if no column has a title.

    `kinds` has a letter a column: `f` a figure, on the right and never cut; `w` words, folded between words, or after
    the signs that divide a long one, if the table is too wide. If even that is too wide, the
    columns from the left on go into a line above the others. Only a word of more than `LONGEST_WORD` columns is broken.
    """
    limit = _limit.get()
    cells = [[clean(cell) for cell in line] for line in lines]
    columns = list(zip(titles, *cells, strict=True))
    whole = [max(map(cell_len, column)) for column in columns]
    least = [
        int(min(width, max(NARROWEST, *map(_longest_piece, column)), limit)) if kind == "w" else width
        for column, width, kind in zip(columns, whole, kinds, strict=True)
    ]
    last = len(titles) - 1
    above = next((index for index in range(last) if _total(least[index:]) <= limit), last)
    widths = _widths(whole[above:], least[above:], limit)
    rows = [_row(line[above:], widths, kinds[above:]) for line in cells]
    header = [_row(titles[above:], widths, kinds[above:]), "─" * _total(widths)] if any(titles) else []
    shown, before = [*header], [""] * above
    for line, row in zip(cells, rows, strict=True):
        if before != line[:above]:
            shown.append(wrapped(_heading(titles, before, line[:above]), rest=GAP))
        before = line[:above]
        shown.append(row)
    return "\n".join(shown)


def _heading(titles: Sequence[str], before: Sequence[str], cells: Sequence[str]) -> str:
    """The cells that stand above a line, from the first on that differs from those of the line before."""
    first = next(index for index, cell in enumerate(cells) if cell != before[index])
    parts = [f"{title} {cell}" for title, cell in zip(titles[first:], cells[first:], strict=False) if cell != DASH]
    return ", ".join(parts) or f"{titles[first]} {cells[first]}"


def _longest_piece(text: str) -> int:
    widths = [cell_len(piece) for word in text.split() for piece in PIECE.findall(word)]
    return max((width for width in widths if width <= LONGEST_WORD), default=0)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _widths(whole: Sequence[int], least: Sequence[int], limit: float) -> list[int]:
    """The columns' widths: those of their longest cells, the widest made narrower until the table fits."""
    widths = [int(min(width, limit)) for width in whole]
    while _total(widths) > limit:
        slack = [width - narrow for width, narrow in zip(widths, least, strict=True)]
        if max(slack) <= 0:
            break  # a single column that is wider than a terminal
        widest = max((index for index, each in enumerate(slack) if each > 0), key=widths.__getitem__)
        widths[widest] -= 1
    return widths


def _row(cells: Sequence[str], widths: Sequence[int], kinds: str) -> str:
    columns = [_folded(cell, width) for cell, width in zip(cells, widths, strict=True)]
    lines = []
    for index in range(max(map(len, columns))):
        parts = []
        for column, width, kind in zip(columns, widths, kinds, strict=True):
            part = column[index] if index < len(column) else ""
            filler = " " * (width - cell_len(part))
            parts.append(filler + part if kind == "f" else part + filler)
        lines.append(GAP.join(parts).rstrip())
    return "\n".join(lines)


def _folded(text: str, width: int, taken: int = 0) -> list[str]:
    """The text's words in lines of at most `width` columns, of which the first line has `taken` fewer."""
    lines, line = [], ""
    for word in clean(text).split():
        rest = word
        while rest:
            room = width - taken - (cell_len(line) + 1 if line else 0)
            if cell_len(rest) <= room:
                line, rest = f"{line} {rest}" if line else rest, ""
                continue
            if not line:
                line = _piece(rest, room)
                rest = rest[len(line) :]
            lines.append(line)
            line, taken = "", 0
    return [*lines, line] if line or not lines else lines


def _piece(word: str, width: int) -> str:
    """The beginning of a word that is too long: up to a sign that divides it, else all that fits.

    A sign in its first half counts if what follows fits into the next line.
    """
    head = _head(word, width) or word[:1]
    cut = max(head.rfind(each) for each in BREAKS) + 1
    if cut > len(head) // 2 or (cut and cell_len(PIECE.findall(word[cut:])[0]) <= width):
        return head[:cut]
    return head


def _head(text: str, width: int) -> str:
    """As much of the text as fits."""
    head = set_cell_size(text, width)
    return head if text.startswith(head) else head.rstrip(" ")
