"""How far a group of workers that take turns is."""

from __future__ import annotations

import time

from rich.progress import TaskID

from lenet.cases.case import Case
from lenet.store.events import Event, Started


class GroupState:
    """The state of a group of `size` cases, on `node` where there are several. Times are of `time.monotonic`."""

    def __init__(self, size: int, node: str = "") -> None:
        self.size = size
        self.node = node
        self.alive: dict[Case, None] = {}
        """The cases that have begun and not ended, in this order."""
        self.started = 0
        """How many workers have set up their training."""
        self.on_turn: Case | None = None
        """The case whose worker trains, or starts."""
        self.cycle = self.cycles = 0
        """The number of cycles that are done and, as soon as there are turns, of all cycles."""
        self.shown_at: float | None = None
        """When a line about it was printed."""
        self.bar: TaskID | None = None
        self._first: tuple[float, int] | None = None
        """Time and cycle of the first turn that was seen."""

    def begin(self, case: Case) -> None:
        """The case begins: its worker starts now, or on a node soon."""
        self.alive[case] = None
        self.on_turn = case

    def event(self, case: Case, event: Event) -> None:
        """The worker of this case reported an event."""
        if isinstance(event, Started):
            self.started += 1
            self.on_turn = case

    def turn(self, case: Case, cycle: int, cycles: int) -> None:
        """The case is on turn in this cycle."""
        self.on_turn, self.cycle, self.cycles = case, cycle, cycles
        if self._first is None:
            self._first = time.monotonic(), cycle

    def finish(self, case: Case) -> None:
        """The worker of this case has ended."""
        self.alive.pop(case, None)
        if self.on_turn == case:
            self.on_turn = None

    @property
    def name(self) -> str:
        """The group in few words."""
        return f"{self.size} cases take turns"

    @property
    def progress(self) -> str:
        """The cycles that are done and the time left at the pace so far; before the first turn, the workers' starts."""
        if self._first is None:
            return f"{self.started} of {self.size} workers started"
        words = f"cycle {self.cycle} of {self.cycles}"
        began, first = self._first
        if self.cycle > first:
            pace = (time.monotonic() - began) / (self.cycle - first)
            words += f", {clock(pace * (self.cycles - self.cycle))} left"
        return words

    def __str__(self) -> str:
        """The group, its node and its progress."""
        return f"{self.name}{f' on {self.node}' if self.node else ''}: {self.progress}"


def clock(seconds: float) -> str:
    """A duration as `M:SS` or `H:MM:SS`.

    >>> clock(75), clock(3700)
    ('1:15', '1:01:40')
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
