"""The progress of a run in a notebook: one cell output that is drawn again, without ipywidgets."""

from __future__ import annotations

import html
import time
from typing import Any

from rich.console import Console

from lenet.cases.case import Case
from lenet.report.layout import clean
from lenet.report.progress.group import GroupState
from lenet.report.progress.plain import PlainObserver
from lenet.store.events import Event, Steps
from lenet.store.record import Record

SECONDS = 0.5
"""Between two drawings: they take time from the training that is measured on the same cores."""


class NotebookObserver(PlainObserver):
    """A bar of the finished cases, and below it the groups, and the throughput of the cases in progress."""

    def __init__(self, total: int) -> None:
        from IPython.display import display

        super().__init__(Console(quiet=True))
        self._total = total
        self._running: dict[str, str] = {}
        """What is shown of each case in progress, by its id."""
        self._drawn = time.monotonic()
        self._handle: Any = display(self, display_id=True)

    def case_started(self, case: Case, done: int, total: int, node: str = "") -> None:
        """Show the case."""
        self._running[case.id] = f"{case.label}{f' on {node}' if node else ''}"
        super().case_started(case, done, total, node)
        self._draw()

    def event(self, case: Case, event: Event) -> None:
        """Show the throughput of its last window, now and then."""
        super().event(case, event)
        if isinstance(event, Steps):
            self._running[case.id] = f"{case.label}: {event.images_per_second:,.0f} images/s"
            if case not in self._groups:
                self._draw(SECONDS)

    def _show_group(self, group: GroupState) -> None:
        """Draw, now and then: between two turns no worker trains."""
        del group  # all groups are drawn
        self._draw(SECONDS)

    def case_finished(self, case: Case, record: Record) -> None:
        """Count the case."""
        super().case_finished(case, record)
        self._running.pop(case.id, None)
        self._total = max(self._total, self._done)
        self._draw()

    def close(self) -> None:
        """Leave nothing but the count."""
        self._running.clear()
        self._groups.clear()
        self._draw()

    def _draw(self, after: float = 0.0) -> None:
        """Draw, unless that was done less than `after` seconds ago."""
        if self._handle is not None and time.monotonic() - self._drawn >= after:
            self._drawn = time.monotonic()
            self._handle.update(self)

    def __repr__(self) -> str:
        """The count, for a notebook that shows no HTML."""
        return f"{self._done} of {self._total} cases"

    def _repr_html_(self) -> str:
        groups = [str(group) for group in dict.fromkeys(self._groups.values()) if group.alive]
        lines = "".join(f"<br>{html.escape(clean(text))}" for text in (*groups, *self._running.values()))
        bar = f'<progress value="{self._done}" max="{max(self._total, 1)}"></progress>'
        return f"<div>{bar} {self._done} of {self._total} cases{lines}</div>"
