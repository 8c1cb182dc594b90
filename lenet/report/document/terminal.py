"""A report in the terminal: headline, bars, epochs, tables. Fits 80 columns and reads without colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lenet.report.charts.points import Labels, epochs
from lenet.report.content.facts import facts, notes
from lenet.report.content.gather import Report
from lenet.report.content.grids import Grid, history, leaderboard, published
from lenet.report.content.headline import headline, ranked
from lenet.report.content.matrices import CAPTION, matrices
from lenet.report.layout import grid, number, wrapped
from lenet.report.table.render import render

if TYPE_CHECKING:
    from rich.console import Console

BAR = 20
"""Characters of a bar, and of a curve at the most."""
MOST_LINES = 24
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
    table = f"{len(report.groups):,} cases: `lenet-bench table` shows all of them, `report -o report.html` a page."
    if len(report.groups) <= MOST_CASES:
        table = render(report.rows, "terminal", baseline).rstrip("\n")
    context = [
        *(f"{name}: {value}" for name, value in facts(report)),
        *(f"Machine: {report.machine(name)}" for name in report.machines),
        *(f"Note: {note}" for note in notes(report)),
    ]
    tables = [_grid(each.title, each.grid) for each in matrices(report)]
    parts = [
        "\n".join(map(wrapped, headline(report))),
        *([wrapped(CAPTION), *tables] if tables else []),
        "\n".join(wrapped(each, rest="  ") for each in context),
    ]
    parts += [_speeds(report), _epochs(report), _grid("Leaderboard", leaderboard(report))]
    parts += [_grid("Version by version", history(report)), _grid("Published figures", published(report)), table]
    return "\n\n".join(filter(None, parts))


def _titled(title: str, titles: Sequence[str], lines: Sequence[Sequence[str]], kinds: str) -> str:
    return f"{wrapped(title)}\n{grid(titles, lines, kinds)}" if lines else ""


def _grid(title: str, table: Grid) -> str:
    words = len(table.titles) - table.figures
    return _titled(title, table.titles, table.lines, "w" * words + "f" * table.figures)


def _speeds(report: Report) -> str:
    labels, groups = Labels(report), ranked(report.groups)
    top = groups[0].row.images_per_second or 1 if groups else 1
    lines = [
        [labels.label(each.row), bar((each.row.images_per_second or 0) / top), number(each.row.images_per_second)]
        for each in groups[:MOST_LINES]
    ]
    if len(groups) > MOST_LINES:
        lines.append([f"… and {len(groups) - MOST_LINES:,} slower", "", ""])
    return _titled("Throughput, images/s", ("", "", ""), lines, "wbf")


def _epochs(report: Report) -> str:
    labels, rows = Labels(report), report.rows
    curves: dict[int, list[float]] = {}
    for point in epochs(report):
        curves.setdefault(point["i"], []).append(point["accuracy"])
    lines = [
        [labels.label(rows[i]), spark(values), number(values[0], 4), number(values[-1], 4)]
        for i, values in list(curves.items())[:MOST_LINES]
    ]
    return _titled("Test accuracy by epoch", ("case", "epochs", "first", "last"), lines, "wbff")
