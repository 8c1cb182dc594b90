"""The progress of a run as lines on standard error: results on standard output can be piped."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console

from lenet.cases.case import Case
from lenet.report.layout import wrapped
from lenet.report.progress.group import GroupState
from lenet.store.events import Event
from lenet.store.record import Record, Status

LINE_SECONDS = 30.0
"""Time between two lines about one group."""


class PlainObserver:
    """Prints a line for each case, and now and then one for a group: for logs and pipes, and above the live view.

    A line begins with the number of the case, or, with `began`, a reading of `time.monotonic`, with the seconds since
    then: for commands that decide while they run which cases they measure.
    """

    def __init__(self, console: Console, began: float | None = None) -> None:
        self._console = console
        self._began = began
        self._done = self._total = 0
        self._nodes: dict[str, str] = {}
        """The node of each case in progress."""
        self._groups: dict[Case, GroupState] = {}
        """The group of each case that has one and is not finished."""

    def group_started(self, cases: Sequence[Case], node: str = "") -> None:
        """Note the group, which is shown when its first worker starts."""
        self._groups.update(dict.fromkeys(cases, GroupState(len(cases), node)))

    def case_started(self, case: Case, done: int, total: int, node: str = "") -> None:
        """Note the counts and the node; show the group."""
        self._done, self._total = done, total
        self._nodes[case.id] = node
        if (group := self._groups.get(case)) is not None:
            group.begin(case)
            self._show_group(group)

    def turn(self, case: Case, cycle: int, cycles: int) -> None:
        """Show how far the group is."""
        if (group := self._groups.get(case)) is not None:
            group.turn(case, cycle, cycles)
            self._show_group(group)

    def _show_group(self, group: GroupState) -> None:
        """Print a line about the group, unless there was one a short time ago."""
        now = time.monotonic()
        if group.shown_at is not None and now - group.shown_at < LINE_SECONDS:
            return
        group.shown_at = now
        self._print(str(group))

    def _print(self, text: str) -> None:
        place = f"{self._done}/{self._total}" if self._began is None else f"{time.monotonic() - self._began:.0f} s"
        self._console.print(wrapped(f"[{place}] {text}", rest="    "), markup=False, highlight=False, soft_wrap=True)

    def event(self, case: Case, event: Event) -> None:
        """Note whether a worker of a group has started."""
        if (group := self._groups.get(case)) is not None:
            group.event(case, event)

    def case_finished(self, case: Case, record: Record) -> None:
        """Print how the case ended."""
        self._done += 1
        if (group := self._groups.pop(case, None)) is not None:
            group.finish(case)
        node = self._nodes.pop(case.id, "")
        where = f" on {node}" if node else ""
        speed = record.summary.throughput
        words = [f"{speed.median:,.0f} images/s"] if speed else []
        if record.summary.accuracy is not None and case.plan.epochs is not None:
            words.append(f"accuracy {record.summary.accuracy:.4f}")
        if record.status is not Status.OK:
            words.append(f"{record.status.value}: {record.reason}")
        self._print(f"{case.label}{where}: {', '.join(words) or 'done'}")
