"""A report in the terminal: headline, bars, epochs, tables. Fits 80 columns and reads without colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from lenet.report.charts.points import Labels, epochs
from lenet.report.document.facts import facts, notes
from lenet.report.document.gather import Report
from lenet.report.document.headline import headline, ranked
from lenet.report.document.leaders import history, leaderboard
from lenet.report.table.layout import clean, number
from lenet.report.table.render import render
from lenet.report.table.words import mode, times

if TYPE_CHECKING:
    from rich.console import Console

BAR = 24
MOST_LINES = 24
MOST_TABLE = 60
EIGHTHS = " ▏▎▍▌▋▊▉"
LEVELS = "▁▂▃▄▅▆▇█"
STYLES = {"pynative": "yellow", "graph": "cyan", "jit": "magenta"}


def bar(share: float, width: int = BAR) -> str:
    """A bar of `width` characters, filled to `share` (0 to 1) in eighths of a character.

    >>> bar(0.5, 4), bar(1, 4), bar(0.03125, 4)
    ('██  ', '████', '▏   ')
    """
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (EIGHTHS[rest] if rest else "")).ljust(width)


def spark(values: list[float]) -> str:
    """Values as one character each, from the lowest to the highest.

    >>> spark([0.1, 0.5, 0.9])
    '▁▅█'
    """
    low, high = min(values), max(values)
    return "".join(LEVELS[round((value - low) / (high - low) * 7) if high > low else 7] for value in values)


def show(report: Report, console: Console, baseline: str | None = None) -> None:
    """Print the report.

    Raises:
        UsageError: no row is the baseline.
    """
    said = headline(report)
    tables = _grids(report)
    text = render(report.rows, "terminal", baseline) if len(report.groups) <= MOST_TABLE else ""
    console.print(Text(clean(said.fastest), style="bold"))
    for sentence in said.sentences[1:]:
        console.print(Text(clean(sentence)))
    console.print()
    for name, value in facts(report):
        console.print(Text(f"{name}: {clean(value)}", style="dim"))
    for name in report.machines:
        console.print(Text(f"Machine: {clean(report.machine(name))}", style="dim"))
    for note in notes(report):
        console.print(Text(f"Note: {clean(note)}"))
    for table in tables:
        console.print()
        console.print(table)
    if text:
        console.print()
        console.print(Text(text), soft_wrap=True)
    else:
        words = f"{len(report.groups):,} cases: `lenet-bench table` shows all of them, `report -o report.html` a page."
        console.print(Text(f"\n{words}"))


def _grid(title: str, *columns: tuple[str, bool]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, right in columns:
        table.add_column(name, justify="right" if right else "left", no_wrap=right, overflow="fold")
    return table


def _grids(report: Report) -> list[Table]:
    return [grid for grid in (_speeds(report), _epochs(report), _leaders(report), _versions(report)) if grid.row_count]


def _speeds(report: Report) -> Table:
    grid = _grid("Throughput, images/s", ("case", False), ("", False), ("", True))
    groups = ranked(report.groups)
    labels = Labels(report)
    for group in groups[:MOST_LINES]:
        row = group.row
        share = (row.images_per_second or 0) / (groups[0].row.images_per_second or 1)
        grid.add_row(
            Text(clean(labels.label(row))),
            Text(bar(share), style=STYLES.get(row.mode, "green")),
            Text(number(row.images_per_second)),
        )
    if len(groups) > MOST_LINES:
        grid.add_row(Text(f"… and {len(groups) - MOST_LINES:,} slower"), Text(""), Text(""))
    return grid


def _epochs(report: Report) -> Table:
    grid = _grid("Test accuracy by epoch", ("case", False), ("epochs", False), ("first", True), ("last", True))
    labels, rows = Labels(report), report.rows
    lines: dict[int, list[float]] = {}
    for point in epochs(report):
        lines.setdefault(point["i"], []).append(point["accuracy"])
    for i, values in list(lines.items())[:MOST_LINES]:
        label = Text(clean(labels.label(rows[i])))
        grid.add_row(label, Text(spark(values)), Text(f"{values[0]:.4f}"), Text(f"{values[-1]:.4f}"))
    return grid


def _leaders(report: Report) -> Table:
    grid = _grid("Leaderboard", ("machine", False), ("device", False), ("case", False), ("images/s", True), ("", True))
    leaders = leaderboard(report)
    for leader in leaders if len(leaders) > 1 else []:
        row = leader.group.row
        grid.add_row(
            Text(clean(leader.machine)),
            Text(row.device_target),
            Text(clean(f"{row.mode}, batch {row.batch_size}, {row.profile}, {row.framework_version or ''}")),
            Text(number(row.images_per_second)),
            Text(f"{leader.share:.0%}"),
        )
    return grid


def _versions(report: Report) -> Table:
    grid = _grid("Version by version", ("case", False), ("version", False), ("images/s", True), ("", True))
    for each in history(report):
        row = each.group.row
        grid.add_row(
            Text(clean(f"{row.device_target}, {mode(row)}")),
            Text(clean(row.framework_version or "")),
            Text(number(row.images_per_second)),
            Text(times(each.over_previous) if each.over_previous else ""),
        )
    return grid
