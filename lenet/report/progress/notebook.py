"""The progress of a run in a notebook: one cell output that is drawn again, without ipywidgets."""

from __future__ import annotations

import html
import time
from collections.abc import Sequence
from typing import Any

from lenet.cases.case import Case
from lenet.report.layout import clean
from lenet.report.progress.group import GroupState
from lenet.store.events import Event, Steps
from lenet.store.record import Record

SECONDS = 0.5
"""Between two drawings: they take time from the training that is measured on the same cores."""


class NotebookObserver:
    """A bar of the finished cases, and below it the groups, and the throughput of the cases in progress."""

    def __init__(self, total: int) -> None:
        from IPython.display import display

        self._done, self._total = 0, total
        self._running: dict[str, str] = {}
        """What is shown of each case in progress, by its id."""
        self._groups: dict[Case, GroupState] = {}
        """The group of each case that has one and is not finished."""
        self._drawn = time.monotonic()
        self._handle: Any = display(self, display_id=True)

    def group_started(self, cases: Sequence[Case], node: str = "") -> None:
        """Note the group, which is shown when its first worker starts."""
        self._groups.update(dict.fromkeys(cases, GroupState(len(cases), node)))

    def case_started(self, case: Case, done: int, total: int, node: str = "") -> None:
        """Show the case."""
        del done, total
        self._running[case.id] = f"{case.label}{f' on {node}' if node else ''}"
        if (group := self._groups.get(case)) is not None:
            group.begin(case)
        self._draw()

    def event(self, case: Case, event: Event) -> None:
        """Show the throughput of its last window, now and then."""
        if (group := self._groups.get(case)) is not None:
            group.event(case, event)
        if isinstance(event, Steps):
            self._running[case.id] = f"{case.label}: {event.images_per_second:,.0f} images/s"
            if group is None and time.monotonic() - self._drawn > SECONDS:
                self._draw()

    def turn(self, case: Case, cycle: int, cycles: int) -> None:
        """Show how far the group is, now and then: between two turns no worker trains."""
        if (group := self._groups.get(case)) is not None:
            group.turn(case, cycle, cycles)
            if time.monotonic() - self._drawn > SECONDS:
                self._draw()

    def case_finished(self, case: Case, record: Record) -> None:
        """Count the case."""
        del record
        self._running.pop(case.id, None)
        if (group := self._groups.pop(case, None)) is not None:
            group.finish(case)
        self._done += 1
        self._total = max(self._total, self._done)
        self._draw()

    def close(self) -> None:
        """Leave nothing but the count."""
        self._running.clear()
        self._groups.clear()
        self._draw()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        if self._handle is not None:
            self._handle.update(self)

    def __repr__(self) -> str:
        """The count, for a notebook that shows no HTML."""
        return f"{self._done} of {self._total} cases"

    def _repr_html_(self) -> str:
        groups = [str(group) for group in dict.fromkeys(self._groups.values()) if group.alive]
        lines = "".join(f"<br>{html.escape(clean(text))}" for text in (*groups, *self._running.values()))
        bar = f'<progress value="{self._done}" max="{max(self._total, 1)}"></progress>'
        return f"<div>{bar} {self._done} of {self._total} cases{lines}</div>"
