"""The matrix as a table that is filled in during a run: finished figures, running cases, waiting cases."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, field
from typing import TypeVar

from rich.table import Table
from rich.text import Text

from lenet.cases.axes import IDENTIFYING
from lenet.cases.axes import axis as named
from lenet.cases.axis import Axis
from lenet.cases.case import Case
from lenet.report.layout import told_apart
from lenet.store.record import Record, Status

MOST_LINES = 14
"""Lines that are shown at once: more would push the run's own lines off a small terminal."""
MOST_COLUMNS = 6
WORD = 28
"""Width of a name."""
MOST_MARKS = 3
"""Marks of cases of one cell that run at once, on several nodes."""
WAITING = "·"
RUNS, WAITS = "▶", "‖"
"""Marks of a case that trains and of one that waits for its turn."""
T = TypeVar("T")


@dataclass
class Cell:
    """The repetitions of one case."""

    of: int = 0
    done: int = 0
    speeds: list[float] = field(default_factory=list)
    failed: Status | None = None

    def text(self, running: Sequence[float | None], waiting: Sequence[float | None]) -> Text:
        """A finished figure, a failed status, or the cases in progress.

        `running` and `waiting` have the images/s, if known, of those that train and those that wait for their turn.
        """
        count = f" {self.done}/{self.of}" if self.of > 1 else ""
        if running or waiting:
            known = [speed for speed in (*running, *waiting) if speed is not None]
            speed = f"{statistics.median(known):,.0f}" if known else "…"
            marks = RUNS * min(len(running), MOST_MARKS) or WAITS
            return Text(f"{marks} {speed}{count}", style="reverse" if running else "")
        if self.speeds:
            return Text(f"{statistics.median(self.speeds):,.0f}{count}")
        if self.failed is not None:
            return Text(self.failed.value, style="red")
        return Text(WAITING, style="dim")


class Scoreboard:
    """Cases by line (the axes in which they differ, except the batch size) and by batch size."""

    def __init__(self, cases: Sequence[Case], records: Iterable[Record] = ()) -> None:
        self._name = _names(cases)
        self._batches = sorted({case.hyperparameters.batch_size for case in cases})
        self._cells: dict[tuple[tuple[str, ...], int], Cell] = {}
        for case in cases:
            self._cell(case).of += 1
        self._running: dict[Case, float | None] = {}
        """The cases in progress, with their images/s as soon as they are known."""
        self.waiting: Set[Case] = frozenset()
        """Those of them that wait for their turn."""
        for record in records:
            self.finished(record.case, record)

    def _cell(self, case: Case) -> Cell:
        return self._cells.setdefault((self._name(case), case.hyperparameters.batch_size), Cell())

    def started(self, case: Case) -> None:
        """This case runs now."""
        self._running[case] = None

    def moving(self, case: Case, images_per_second: float) -> None:
        """The case trains this fast."""
        self._running[case] = images_per_second

    def finished(self, case: Case, record: Record) -> None:
        """The case is done."""
        self._running.pop(case, None)
        cell = self._cell(case)
        cell.done += 1
        if record.status is not Status.OK:
            cell.failed = record.status
        elif record.summary.throughput is not None:
            cell.speeds.append(record.summary.throughput.median)

    def __rich__(self) -> Table:
        """The table, as wide as it must be and no higher than `MOST_LINES`."""
        running: dict[tuple[tuple[str, ...], int], list[float | None]] = {}
        waiting: dict[tuple[tuple[str, ...], int], list[float | None]] = {}
        for case, speed in list(self._running.items()):
            cells = waiting if case in self.waiting else running
            cells.setdefault((self._name(case), case.hyperparameters.batch_size), []).append(speed)
        first = next(iter(self._running), None)
        lines = list(dict.fromkeys(name for name, _ in self._cells))
        shown = _around(lines, self._name(first) if first else None, MOST_LINES)
        batches = _around(self._batches, first.hyperparameters.batch_size if first else None, MOST_COLUMNS)
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title_justify="left")
        for _ in lines[0] if lines else ():
            table.add_column(max_width=WORD, no_wrap=True, overflow="ellipsis")
        for batch in batches:
            table.add_column(named("batch_size").words(batch), justify="right", no_wrap=True)
        words = told_apart(dict.fromkeys(word for line in lines for word in line), WORD)
        for line in shown:
            texts = []
            for batch in batches:
                place = (line, batch)
                cell = self._cells.get(place)
                texts.append(cell.text(running.get(place, ()), waiting.get(place, ())) if cell else Text(""))
            table.add_row(*(Text(words[word]) for word in line), *texts)
        hidden = len(lines) - len(shown)
        if hidden:
            table.add_row(Text(f"… {hidden} more lines", style="dim"))
        return table


def _around(items: list[T], one: T | None, most: int) -> list[T]:
    """At most `most` neighbours, with `one` among them.

    >>> _around([1, 2, 3, 4, 5], 4, 3)
    [3, 4, 5]
    """
    place = items.index(one) if one in items else 0
    first = max(0, min(place - most // 2, len(items) - most))
    return items[first : first + most]


def telling(cases: Sequence[Case]) -> list[Axis]:
    """The axes in which the cases differ; their repetitions do not."""
    axes = [axis for axis in IDENTIFYING if axis.path]
    return [axis for axis in axes if len({axis.identity(axis.of_case(case)) for case in cases}) > 1]


def words_of(case: Case, axes: Iterable[Axis]) -> tuple[str, ...]:
    """The case's values on these axes, in words."""
    return tuple(axis.words(axis.as_plain(axis.of_case(case))) for axis in axes)


def _names(cases: Sequence[Case]) -> Callable[[Case], tuple[str, ...]]:
    """How lines are named: the mode, and before it those other axes in which the cases differ."""
    axes = [axis for axis in telling(cases) if axis.name not in ("mode", "batch_size")]
    return lambda case: words_of(case, (*axes, named("mode")))
