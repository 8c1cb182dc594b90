"""A report in the terminal, in the order of the page. Fits 80 columns and reads without colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lenet.report.charts.labels import row_labels
from lenet.report.charts.points import epochs
from lenet.report.content.answers import answers
from lenet.report.content.facts import facts, notes
from lenet.report.content.gather import Report
from lenet.report.content.grids import HISTORY, Grid, history, leaderboard, published
from lenet.report.content.headline import headline, ranked
from lenet.report.content.matrices import caption, matrices
from lenet.report.layout import grid, number, wrapped
from lenet.report.table.render import render

if TYPE_CHECKING:
    from rich.console import Console

BAR = 20
"""Characters of a bar, and of a curve at the most."""
MOST_LINES = 24
MOST_BARS = 12
"""Bars; the table of cases has all speeds."""
MOST_CASES = 60
"""Cases in the table; a longer one is left to `lenet-bench table`."""
EIGHTHS = " ▏▎▍▌▋▊▉"
LEVELS = "▁▂▃▄▅▆▇█"


def bar(share: float, width: int = BAR) -> str:
    """A bar of `width` characters, filled to `share` (0 to 1) in eighths of a character.

    >>> bar(0.5, 4), bar(1, 4), bar(0.03125, 4)
    ('██  ', '████', '▏   ')
    """
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (EIGHTHS[rest] if rest else "")).ljust(width)


def spark(values: Sequence[float], width: int = BAR) -> str:
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
    text.highlight_regex(r"\A.*", "bold")
    text.highlight_regex("[█▏▎▍▌▋▊▉]+", "cyan")
    console.print(text, soft_wrap=True)


def report_text(report: Report, baseline: str | None = None) -> str:
    """The report in 80 columns.

    Raises:
        UsageError: no row is the baseline.
    """
    table = wrapped(f"{len(report.groups):,} cases: `lenet-bench table RUN` shows all of them.")
    if len(report.groups) <= MOST_CASES:
        table = render(report.rows, "terminal", baseline).rstrip("\n")
    context = [
        *(f"{name}: {value}" for name, value in facts(report)),
        *(f"Machine: {report.machine(name)}" for name in report.machines),
        *(f"Note: {note}" for note in notes(report)),
    ]
    tables = [_grid(each.title, each.grid) for each in matrices(report)]
    parts = [
        wrapped(headline(report)),
        "\n".join(f"{wrapped(each.question)}\n{wrapped(each.words, '  ', '  ')}" for each in answers(report)),
        *([wrapped(caption(report)), *tables] if tables else []),
        _speeds(report),
        _epochs(report),
        _grid("Version by version", history(report), HISTORY),
        _grid("Published figures", published(report)),
        _grid("Leaderboard", leaderboard(report)),
        table,
        "\n".join(wrapped(each, rest="  ") for each in context),
    ]
    return "\n\n".join(filter(None, parts))


def _titled(title: str, titles: Sequence[str], lines: Sequence[Sequence[str]], kinds: str) -> str:
    table = grid(titles, lines, kinds) if lines else ""
    return f"{wrapped(title)}\n{table}" if title and table else table


def _grid(title: str, table: Grid, words: str = "") -> str:
    kinds = "w" * (len(table.titles) - table.figures) + "f" * table.figures
    below = f"\n{wrapped(words)}" if words and table.lines else ""
    return _titled(title, table.titles, table.lines[:MOST_LINES], kinds) + below


def _speeds(report: Report) -> str:
    groups = ranked(report.groups)
    shown = groups[:MOST_BARS]
    top = shown[0].row.images_per_second or 1 if shown else 1
    labels = row_labels(report, [each.row for each in shown])
    lines = [
        [label, bar((each.row.images_per_second or 0) / top), number(each.row.images_per_second)]
        for label, each in zip(labels, shown, strict=True)
    ]
    if len(groups) > MOST_BARS:
        lines.append([f"… and {len(groups) - MOST_BARS:,} slower", "", ""])
    return _titled("Throughput, images/s", ("", "", ""), lines, "wbf")


def _epochs(report: Report) -> str:
    rows = report.rows
    curves: dict[int, list[float]] = {}
    for point in epochs(report):
        curves.setdefault(point["i"], []).append(point["accuracy"])
    shown = list(curves.items())[:MOST_LINES]
    lines = [
        [label, spark(values), number(values[0], 4), number(values[-1], 4)]
        for label, (_, values) in zip(row_labels(report, [rows[i] for i, _ in shown]), shown, strict=True)
    ]
    return _titled("Test accuracy by epoch", ("case", "epochs", "first", "last"), lines, "wbff")
