"""What an engine reports while it runs."""

from __future__ import annotations

from typing import Protocol

from lenet.cases.case import Case
from lenet.store.events import Event
from lenet.store.record import Record


class Observer(Protocol):
    """Watches a run. Called in the parent process, one call at a time.

    The local engine runs one case at a time, the Ray engine one on each device of each node.
    """

    def case_started(self, case: Case, done: int, total: int, node: str = "") -> None:
        """The worker of a case starts, on `node` where there are several; `done` of `total` cases are finished.

        A case that was lost with its node starts again.
        """

    def event(self, case: Case, event: Event) -> None:
        """The worker reported an event."""

    def case_finished(self, case: Case, record: Record) -> None:
        """The record is on disk."""


class SilentObserver:
    """Ignores everything."""

    def case_started(self, case: Case, done: int, total: int, node: str = "") -> None:
        """Ignore it."""

    def event(self, case: Case, event: Event) -> None:
        """Ignore it."""

    def case_finished(self, case: Case, record: Record) -> None:
        """Ignore it."""
