"""What nodes send home, and how it is kept. Nothing of it is trusted: it is read like a file from a stranger."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from lenet.case import Case
from lenet.dataset import Dataset
from lenet.engine import Observer
from lenet.engine.local import Outcome
from lenet.engine.placement import Placed
from lenet.machine import MachineCard
from lenet.record import Record, Status
from lenet.store import Store


@dataclass(frozen=True)
class Result:
    """What a node sends home, as text and bytes: nothing of it is trusted."""

    record: str
    machine: str
    events: bytes
    log: bytes


class Home:
    """Keeps what comes home in the store."""

    def __init__(
        self, cases: Sequence[Case], datasets: Mapping[str, Dataset], store: Store, observer: Observer
    ) -> None:
        self._total = len(cases)
        self._datasets = datasets
        self._store = store
        self._observer = observer
        self._begun: dict[str, Outcome] = {}
        self.records: list[Record] = []

    def started(self, placed: Placed) -> None:
        """Note when it was. The observer, who watches one case at a time, is told when the record is home."""
        self._begun[placed.case.id] = self._outcome(placed.case)

    def keep(self, placed: Placed, result: object) -> None:
        """Write events, log and record; what is not to be read becomes an invalid record."""
        case = placed.case
        log = self._store.log_path(case)
        self._observer.case_started(case, len(self.records), self._total)
        try:
            if not isinstance(result, Result):
                raise ValueError(" ".join(str(result).split())[-500:])
            record = Record.model_validate_json(result.record)
            machine = MachineCard.model_validate_json(result.machine)
            if record.case != case or record.machine_id != machine.id:
                raise ValueError("it is the record of another case or machine")
            log.write_bytes(result.log)
            for line in result.events.splitlines():
                event = json.loads(line)
                del event["case_id"]
                self._store.append_event(case, event)
                self._observer.event(case, event)
            if machine.id != self._store.manifest.machine.id:
                self._store.write_text(f"machine-{machine.id}.json", machine.model_dump_json(indent=1) + "\n")
        except (ValidationError, ValueError, KeyError, TypeError) as error:
            reason = f"what the node sent home cannot be read: {' '.join(str(error).split())[:500]}"
            record = self._begun[case.id].record(None, log, Status.INVALID, reason)
        self._finish(case, record)

    def give_up(self, case: Case, reason: str, *, unavailable: bool) -> None:
        """Record that the case was not carried out."""
        self._observer.case_started(case, len(self.records), self._total)
        outcome = self._begun.get(case.id) or self._outcome(case)
        status = Status.UNAVAILABLE if unavailable else Status.CRASHED
        self._finish(case, outcome.record(None, self._store.log_path(case), status, reason))

    def _outcome(self, case: Case) -> Outcome:
        return Outcome(case, self._datasets[case.dataset], self._store.manifest.machine.id)

    def _finish(self, case: Case, record: Record) -> None:
        self._store.write_record(record)
        self._observer.case_finished(case, record)
        self.records.append(record)
