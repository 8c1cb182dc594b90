"""The tables beside the records: each is the one that the records give."""

from __future__ import annotations

import contextlib
import csv
import io
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from lenet.analysis.verify.document import load
from lenet.analysis.verify.evidence import Place, Violation

Render = Callable[[str, str | None], str]
"""The table's text, from the run's name in it and the baseline of its speed-ups (None: the usual one)."""

Row = Mapping[str, Any]

ROUNDING = 1e-12
"""Relative difference of two figures of a table that are the same: the last bits of an interval depend on the processor
that computes it."""

_PADDED = re.compile(r"(-?\d+)(?:\.0+|(\.\d*?[1-9])0+)")


def table_json(text: str, render: Render) -> Iterator[Violation]:
    """The rows of table.json are those that the records give; a field that an older version lacks may be absent."""
    try:
        rows = load(text)
        names = {row["run"] for row in rows}
        baseline = next((row.get("speed_up_over") for row in rows), None)
        if not isinstance(baseline, str | None):
            raise ValueError(f"speed_up_over is {baseline!r}")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        yield Violation("table", Place("table.json"), f"is no table of rows: {error}")
        return
    yield from _rows("table.json", rows, load(render(str(next(iter(names), "")), baseline)))


def table_csv(text: str, render: Render) -> Iterator[Violation]:
    """The rows of table.csv are those that the records give."""
    try:
        rows = list(csv.DictReader(io.StringIO(text), strict=True))
    except csv.Error as error:
        yield Violation("table", Place("table.csv"), f"is no CSV: {error}")
        return
    run = (rows[0].get("run") or "") if rows else ""
    baseline = (rows[0].get("speed_up_over") or None) if rows else None
    derived = csv.DictReader(io.StringIO(render(run.removeprefix("'"), baseline)))
    yield from _rows("table.csv", list(map(_figures, rows)), list(map(_figures, derived)))


def _rows(file: str, rows: Sequence[Row], derived: Sequence[Row]) -> Iterator[Violation]:
    if len(rows) != len(derived):
        yield Violation("table", Place(file), f"has {len(rows)} rows, and the records give {len(derived)}")
        return
    for number, (row, expected) in enumerate(zip(rows, derived, strict=True), 1):
        for name, value in row.items():
            if not _same(value, expected.get(name)):
                message = f"row {number}: {name} is {value}, and the records give {expected.get(name)}"
                yield Violation("table", Place(file), message)


def _same(shown: Any, derived: Any) -> bool:
    """Whether two values of a row are equal: figures but for their last bits, everything else exactly."""
    if type(shown) is not type(derived):
        return False
    return shown == derived or (isinstance(shown, float) and math.isclose(shown, derived, rel_tol=ROUNDING))


def _figures(row: Mapping[str, str]) -> Row:
    """A row of CSV, its figures as numbers, however they are written; a version such as 2.10 stays a text."""
    figures: dict[str, str | float] = {**row}
    for name, text in row.items():
        with contextlib.suppress(AttributeError, ValueError):
            if text.removesuffix(".0") == repr(float(text)).removesuffix(".0"):
                figures[name] = float(text)
    return figures


def table_text(file: str, text: str, derived: str) -> Iterator[Violation]:
    """A table for readers is, line for line, the one that the records give."""
    lines, expected = (list(map(_plain, each.splitlines())) for each in (text, derived))
    for number, line in enumerate(lines, 1):
        if number > len(expected) or line != expected[number - 1]:
            yield Violation("table", Place(file, number), "is not the line that the records give")
    if len(lines) < len(expected):
        yield Violation("table", Place(file), f"has {len(lines)} lines, and the records give {len(expected)}")


def _plain(line: str) -> str:
    """A line of HTML without its cells' padding and zeros at a figure's end, which versions of tabulate write or not.

    >>> _plain('<td style="text-align: right;">  0.60 </td>'), _plain("| 0.60 |")
    ('<td style="text-align: right;">0.6</td>', '| 0.60 |')
    """
    if not line.startswith("<"):
        return line
    parts = [each if each.startswith("<") else each.strip() for each in re.split("(<[^>]*>)", line)]
    return "".join((found[1] + (found[2] or "")) if (found := _PADDED.fullmatch(each)) else each for each in parts)
