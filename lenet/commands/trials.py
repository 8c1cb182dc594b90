"""Trials of several cases at once: groups whose workers take turns, within a time budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lenet.analysis.explain.trials import TriedChange, tried
from lenet.cases.case import Case
from lenet.commands.measurement import Run
from lenet.engine import Engine
from lenet.store.record import Record


@dataclass(frozen=True)
class Budget:
    """The time that a command may take."""

    seconds: float
    clock: Callable[[], float] = time.monotonic
    began: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        """Seconds that are left, never below 0."""
        return max(0.0, self.began + self.seconds - self.clock())


class Trials:
    """Measures cases together, once or several times, and compares them.

    Every call of `measure` is one group: its cases get a repetition that no other group has. Where a device cannot be
    shared they run one after the other, and are compared as independent processes.
    """

    def __init__(self, run: Run, engine: Engine) -> None:
        self._run = run
        self._engine = engine
        self._records: dict[Case, list[Record]] = {}
        self._groups = 0

    def measure(self, cases: Sequence[Case]) -> list[Record]:
        """Measure the cases, each in a new process, or take the records that the run has of that group.

        Raises: as `lenet.commands.measurement.Run.measure`.
        """
        together = [case.model_copy(update={"repetition": self._groups}) for case in cases]
        self._groups += 1
        records = self._run.measure_added(together, self._engine)
        for case, record in zip(cases, records, strict=True):
            self._records.setdefault(case, []).append(record)
        return records

    def records(self, case: Case) -> list[Record]:
        """All records of the case so far."""
        return self._records.get(case, [])

    def compare(self, change: str, before: Case, after: Case) -> TriedChange | None:
        """The effect of a change; None if one of the two has no process that ended well."""
        return tried(change, self.records(before), self.records(after))

    def seconds(self, case: Case) -> float | None:
        """How long the case took the last time, without waiting for the others; None if it is new."""
        return records[-1].own_seconds if (records := self.records(case)) else None

    @property
    def most_seconds(self) -> float:
        """The longest that a case took."""
        return max((records[-1].own_seconds for records in self._records.values()), default=0.0)
