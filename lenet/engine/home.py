"""What nodes send home, and how it is kept. Nothing of it is trusted: it is read like a file from a stranger."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lenet.cases.case import Case
from lenet.dataset import Dataset
from lenet.engine import Observer
from lenet.engine.builder import RecordBuilder
from lenet.engine.node import Arrived, Heard, Result
from lenet.engine.placement import Placed
from lenet.machine.card import MachineCard
from lenet.store.eventlog import decode
from lenet.store.events import MAX_LINE_BYTES
from lenet.store.record import NODE_LENGTH, Record, Status
from lenet.store.run import Store

LONGEST_REASON = 500


@dataclass
class UnderWay:
    """A case on a node, as far as it is known at home."""

    outcome: RecordBuilder
    machine_id: str
    node: str
    heard: bool = False
    """Whether an event is in the log: then the outcome has the attempt's name."""
    odd: str = ""
    """Why nothing more of it is taken."""

    def record(self, store: Store, case: Case, status: Status, reason: str) -> Record:
        """A record of what is known here, where the node sent none."""
        made = self.outcome.build(None, store.log_path(case), status, reason)
        return made.model_copy(update={"machine_id": self.machine_id, "node": self.node})


class Home:
    """Keeps what comes home in the store. `name` gives a node's name for a person to read."""

    def __init__(
        self,
        cases: Sequence[Case],
        datasets: Mapping[str, Dataset],
        store: Store,
        observer: Observer,
        name: Callable[[str], str] = str,
    ) -> None:
        self._total = len(cases)
        self._datasets = datasets
        self._store = store
        self._observer = observer
        self._name = name
        self._under_way: dict[str, UnderWay] = {}
        """The last placing of each case; what an earlier one still says is not asked for."""
        self.records: list[Record] = []

    def started(self, placed: Placed) -> None:
        """The case begins on its node."""
        self._begin(placed.case, placed.node[:NODE_LENGTH], self._name(placed.node))

    def hear(self, placed: Placed, said: object) -> None:
        """Take what a node says of a case under way; what is not to be read makes the case invalid at its end."""
        under_way = self._under_way[placed.case.id]
        if under_way.odd:
            return
        try:
            if isinstance(said, Arrived):
                card = MachineCard.model_validate_json(said.machine)
                if card.id != self._store.manifest.machine.id:
                    self._store.keep_card(card)
                under_way.machine_id = card.id
            elif isinstance(said, Heard):
                self._take(placed.case, under_way, said.events)
            else:
                raise ValueError(f"{type(said).__name__} is nothing that a node says")
        except (ValueError, RecursionError) as error:
            under_way.odd = _unreadable(error)

    def keep(self, placed: Placed, result: object) -> None:
        """Write the last events, log and record; what is not to be read becomes an invalid record."""
        case, under_way = placed.case, self._under_way[placed.case.id]
        try:
            if under_way.odd:
                raise ValueError(under_way.odd)
            if not isinstance(result, Result):
                raise ValueError(" ".join(str(result).split())[-LONGEST_REASON:])
            record = Record.model_validate_json(result.record)
            if record.case != case or record.machine_id != under_way.machine_id:
                raise ValueError("it is the record of another case or machine")
            self._take(case, under_way, result.events)
            if under_way.heard and record.attempt != under_way.outcome.attempt:
                raise ValueError("it is the record of another attempt than its events are")
            self._store.log_path(case).write_bytes(result.log)
            record = record.model_copy(update={"node": under_way.node})
        except (ValueError, RecursionError) as error:
            record = under_way.record(self._store, case, Status.INVALID, _unreadable(error))
        self._finish(case, record)

    def give_up(self, case: Case, reason: str, *, unavailable: bool) -> None:
        """Record that the case was not carried out, with what was heard of it."""
        under_way = self._under_way.get(case.id) or self._begin(case)
        status = Status.UNAVAILABLE if unavailable else Status.CRASHED
        self._finish(case, under_way.record(self._store, case, status, reason))

    def _begin(self, case: Case, node: str = "", name: str = "") -> UnderWay:
        machine_id = self._store.manifest.machine.id
        outcome = RecordBuilder(case, self._datasets[case.dataset], machine_id)
        under_way = self._under_way[case.id] = UnderWay(outcome, machine_id, node)
        self._observer.case_started(case, len(self.records), self._total, name)
        return under_way

    def _take(self, case: Case, under_way: UnderWay, lines: bytes) -> None:
        for line in lines.splitlines():
            if len(line) > MAX_LINE_BYTES:
                raise ValueError("an event is too long")
            logged = decode(line)
            if logged.case_id != case.id or (under_way.heard and logged.attempt != under_way.outcome.attempt):
                raise ValueError("it is an event of another case or attempt")
            under_way.heard, under_way.outcome.attempt = True, logged.attempt
            under_way.outcome.add(logged.event)
            self._store.append_event(case, logged.event, logged.attempt)
            self._observer.event(case, logged.event)

    def _finish(self, case: Case, record: Record) -> None:
        del self._under_way[case.id]
        self._store.write_record(record)
        self._observer.case_finished(case, record)
        self.records.append(record)


def _unreadable(error: Exception) -> str:
    return f"what the node sent home cannot be read: {' '.join(str(error).split())[:LONGEST_REASON]}"
