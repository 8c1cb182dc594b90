"""A report in the terminal, in the order of the page. Fits 80 columns and reads without colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lenet.report.charts.labels import row_labels
from lenet.report.charts.points import epochs
from lenet.report.content.answers import answers
from lenet.report.content.facts import facts, notes
from lenet.report.content.gather import Report
from lenet.report.content.grids import Grid, sections
from lenet.report.content.headline import headline
from lenet.report.content.matrices import caption, matrices
from lenet.report.layout import grid, number, wrapped
from lenet.report.table.render import render

if TYPE_CHECKING:
    from rich.console import Console

CURVE = 20
"""Characters of a curve at the most."""
MOST_LINES = 24
MOST_CASES = 60
"""Cases in the table; a longer one, and one of several runs, is left to `lenet-bench table`."""
LEVELS = "▁▂▃▄▅▆▇█"


def spark(values: Sequence[float], width: int = CURVE) -> str:
    """A curve of at most `width` characters, from the lowest value to the highest; of more values, some of them.

    >>> spark([0.1, 0.5, 0.9]), spark([0, 1, 2, 3, 4], width=3)
    ('▁▅█', '▁▅█')
    """
    low, high = min(values), max(values)
    count = min(len(values), width)
    chosen = [values[index * (len(values) - 1) // max(count - 1, 1)] for index in range(count)]
    return "".join(LEVELS[round((value - low) / (high - low) * 7) if high > low else 7] for value in chosen)


def show(report: Report, console: Console, baseline: str | None = None) -> None:
    """Print the report.

    Raises:
        UsageError: no row is the baseline.
    """
    from rich.text import Text

    text = Text(report_text(report, baseline))
    text.highlight_regex(r"(?m)\A.*|^\S.*\?$", "bold")
    console.print(text, soft_wrap=True)


def report_text(report: Report, baseline: str | None = None) -> str:
    """The report in 80 columns.

    Raises:
        UsageError: no row is the baseline.
    """
    table = wrapped(f"{len(report.groups):,} cases: `lenet-bench table RUN` shows all of them.")
    if len(report.groups) <= MOST_CASES and len(report.runs) < 2:
        table = render(report.rows, "terminal", baseline).rstrip("\n")
    context = [
        *(f"{name}: {value}" for name, value in facts(report)),
        *(f"Machine: {report.machine(name)}" for name in report.machines),
        *(f"Note: {note}" for note in notes(report)),
    ]
    speeds = [_titled(each.title, each.grid) for each in matrices(report)]
    parts = [
        wrapped(headline(report)),
        "\n".join(f"{wrapped(each.question)}\n{wrapped(each.words, '  ', '  ')}" for each in answers(report)),
        *([wrapped(caption(report)), *speeds] if speeds else []),
        _titled("Test accuracy by epoch", _epochs(report)),
        *(f"{_titled(each.title, each.grid)}\n{wrapped(each.words)}" for each in sections(report)),
        table,
        "\n".join(wrapped(each, rest="  ") for each in context),
    ]
    return "\n\n".join(filter(None, parts))


def _titled(title: str, table: Grid) -> str:
    if not table.lines:
        return ""
    kinds = "w" * (len(table.titles) - table.figures) + "f" * table.figures
    return "\n".join(filter(None, [wrapped(title), grid(table.titles, table.lines[:MOST_LINES], kinds)]))


def _epochs(report: Report) -> Grid:
    curves: dict[int, list[float]] = {}
    for point in epochs(report):
        curves.setdefault(point["i"], []).append(point["accuracy"])
    shown = list(curves.items())[:MOST_LINES]
    labels = row_labels(report, [i for i, _ in shown])
    lines = [
        [label, spark(values), number(values[0], 4), number(values[-1], 4)]
        for label, (_, values) in zip(labels, shown, strict=True)
    ]
    return Grid(("case", "epochs", "first", "last"), lines, 3)
