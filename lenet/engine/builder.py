"""A case's record, built from its events and the end of its worker."""

from __future__ import annotations

import os
import signal
import time
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from lenet.cases.case import Case
from lenet.dataset import Dataset
from lenet.machine.redact import without_names
from lenet.store import events
from lenet.store.freshness import workload_sha256
from lenet.store.record import ENDED_WITH, Record, Status, Window, summarise

LOG_TAIL_BYTES = 4000

E = TypeVar("E", bound=events.Event)


def out_of_memory_kills() -> int | None:
    """How many processes the kernel has killed for lack of memory since it started; None where it does not say."""
    try:
        with Path("/proc/vmstat").open(encoding="ascii") as lines:
            return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)
    except (OSError, ValueError):
        return None


def end_of(log: Path, most: int) -> bytes:
    """The end of a worker's log, at most so many bytes; empty without a log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - most))
            return file.read(most)
    except OSError:
        return b""


def tail(log: Path) -> str:
    """The end of a worker's log, as text without control characters and without names of user and host."""
    text = end_of(log, LOG_TAIL_BYTES).decode(errors="replace")
    shown = "".join(character for character in text if character.isprintable() or character in "\n\t")
    return without_names(shown)


class RecordBuilder:
    """Collects a case's events and builds its record. Made when the case starts, which is at `started_at`."""

    def __init__(self, case: Case, dataset: Dataset, machine_id: str, started_at: datetime) -> None:
        self.attempt = uuid.uuid4().hex[:12]
        self.machine_id = machine_id
        self._case = case
        self._dataset = dataset
        self._started_at = started_at
        self._began = time.monotonic()
        self._kills_before = out_of_memory_kills()
        self._events: list[events.Event] = []

    @property
    def complete(self) -> bool:
        """Whether the worker has reported the whole case."""
        return self._last(events.Finished) is not None

    @property
    def turns(self) -> list[Window]:
        """The windows of training so far that were turns."""
        return [each.window for each in self._all(events.Steps) if each.turn is not None]

    def add(self, event: events.Event) -> None:
        """Take one event."""
        self._events.append(event)

    def _all(self, kind: type[E]) -> list[E]:
        return [event for event in self._events if isinstance(event, kind)]

    def _last(self, kind: type[E]) -> E | None:
        return next(reversed(self._all(kind)), None)

    def _status(self, code: int) -> tuple[Status, str]:
        """The status that events and exit code give, with its reason."""
        if (failed := self._last(events.Failed)) is not None:
            return failed.status, failed.reason
        finished, evaluated = self._last(events.Finished), self._last(events.Evaluated)
        end = f"exit code {code}"
        if code < 0:
            end = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        if code != 0 and finished is None:
            hint = ""
            if end == "SIGKILL":
                if None not in (kills := (self._kills_before, out_of_memory_kills())) and kills[0] != kills[1]:
                    return Status.OUT_OF_MEMORY, "the system killed the worker when memory ran out"
                hint = "; the system does that when memory runs out"
            return Status.CRASHED, f"the worker ended with {end} before it had reported the case{hint}"
        if finished is None or evaluated is None or self._last(events.Started) is None:
            return Status.INVALID, "the worker ended without an error but did not report the whole case"
        status, remarks = Status.OK, list[str]()
        if evaluated.distinct_answers == 1 and self._case.plan.epochs is not None:
            status = Status.PLATEAU
            words = f"a constant answer after {evaluated.steps:,} steps"
            remarks.append(f"{words}: the training never left its first plateau")
        elif evaluated.distinct_answers == 1:
            remarks.append("measured for speed: training was stopped on its first plateau, a constant answer")
        if code:
            remarks.append(f"{ENDED_WITH} {end}")
        return status, "; ".join(remarks)

    def build(self, code: int | None, log: Path, status: Status | None = None, reason: str = "") -> Record:
        """The record of a worker with that exit code; `status` overrules what events and exit code say."""
        if status is None:
            status, reason = self._status(code or 0)
        started, finished = self._last(events.Started), self._last(events.Finished)
        steps = self._all(events.Steps)
        windows = tuple(each.window for each in steps)
        resident = tuple(each.window for each in self._all(events.Resident))
        evaluations = tuple(each.evaluation for each in self._all(events.Evaluated))
        losses = [loss for each in steps for loss in each.losses if loss is not None]
        phases = finished.phases if finished else None
        weights = {"initial": started.initial_weights_sha256} if started else {}
        if finished:
            weights["final"] = finished.final_weights_sha256
        return Record(
            case_id=self._case.id,
            case=self._case,
            status=status,
            reason=reason,
            attempt=self.attempt,
            machine_id=self.machine_id,
            workload_sha256=workload_sha256(),
            started_at=self._started_at,
            finished_at=self._started_at + timedelta(seconds=time.monotonic() - self._began),
            dataset=self._dataset.card,
            software=started.software if started else None,
            phases=phases,
            windows=windows,
            resident_windows=resident,
            evaluations=evaluations,
            losses_sha256=finished.losses_sha256 if finished else None,
            weights_sha256=weights,
            stderr_tail="" if status is Status.OK else tail(log),
            exit_code=code,
            summary=summarise(
                phases,
                windows,
                resident,
                evaluations,
                losses[-1] if losses else None,
                finished.peak_memory_bytes if finished else None,
            ),
        )
