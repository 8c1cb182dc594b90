"""What an engine reports while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from lenet.cases.case import Case
from lenet.store.events import Event
from lenet.store.record import Record


class Observer(Protocol):
    """Watches a run. Called in the parent process, one call at a time.

    The local engine runs one case or group at a time, the Ray engine one on each device of each node.
    """

    def group_started(self, cases: Sequence[Case], node: str = "") -> None:
        """These cases, two at least, are started next to take turns: as many of them as memory holds."""

    def case_started(self, case: Case, done: int, total: int, node: str = "") -> None:
        """The worker of a case starts, on `node` where there are several; `done` of `total` cases are finished.

        A case that was lost with its node starts again.
        """

    def event(self, case: Case, event: Event) -> None:
        """The worker reported an event."""

    def turn(self, case: Case, cycle: int, cycles: int) -> None:
        """The case is on turn in cycle `cycle`, counted from 0, of about `cycles` of its group.

        The local engine calls this between two turns, when no worker trains.
        """

    def case_finished(self, case: Case, record: Record) -> None:
        """The record is on disk."""


class SilentObserver:
    """Ignores everything."""

    def group_started(self, cases: Sequence[Case], node: str = "") -> None:
        """Ignore it."""

    def case_started(self, case: Case, done: int, total: int, node: str = "") -> None:
        """Ignore it."""

    def event(self, case: Case, event: Event) -> None:
        """Ignore it."""

    def turn(self, case: Case, cycle: int, cycles: int) -> None:
        """Ignore it."""

    def case_finished(self, case: Case, record: Record) -> None:
        """Ignore it."""
