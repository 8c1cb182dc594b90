"""The progress of a run in a notebook: one cell output that is drawn again, without ipywidgets."""

from __future__ import annotations

import html
import time
from typing import Any

from lenet.cases.case import Case
from lenet.report.layout import clean
from lenet.store.events import Event, Steps
from lenet.store.record import Record

SECONDS = 0.5
"""Between two drawings: they take time from the training that is measured on the same cores."""


class NotebookObserver:
    """A bar of the finished cases, and below it the throughput of those in progress."""

    def __init__(self, total: int) -> None:
        from IPython.display import display

        self._done, self._total = 0, total
        self._running: dict[str, str] = {}
        """What is shown of each case in progress, by its id."""
        self._drawn = time.monotonic()
        self._handle: Any = display(self, display_id=True)

    def case_started(self, case: Case, done: int, total: int, node: str = "") -> None:
        """Show the case."""
        del done, total
        self._running[case.id] = f"{case.label}{f' on {node}' if node else ''}"
        self._draw()

    def event(self, case: Case, event: Event) -> None:
        """Show the throughput of its last window, now and then."""
        if isinstance(event, Steps):
            self._running[case.id] = f"{case.label}: {event.images_per_second:,.0f} images/s"
            if time.monotonic() - self._drawn > SECONDS:
                self._draw()

    def case_finished(self, case: Case, record: Record) -> None:
        """Count the case."""
        del record
        self._running.pop(case.id, None)
        self._done += 1
        self._total = max(self._total, self._done)
        self._draw()

    def close(self) -> None:
        """Leave nothing but the count."""
        self._running.clear()
        self._draw()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        if self._handle is not None:
            self._handle.update(self)

    def __repr__(self) -> str:
        """The count, for a notebook that shows no HTML."""
        return f"{self._done} of {self._total} cases"

    def _repr_html_(self) -> str:
        lines = "".join(f"<br>{html.escape(clean(text))}" for text in self._running.values())
        bar = f'<progress value="{self._done}" max="{max(self._total, 1)}"></progress>'
        return f"<div>{bar} {self._done} of {self._total} cases{lines}</div>"
