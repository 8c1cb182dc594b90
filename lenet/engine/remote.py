"""One attempt at a group of cases on a node, as far as it is known here: its messages go into the store.

Nothing that a node sends is trusted: it is read like a file from a stranger.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from lenet.cases.case import Case
from lenet.dataset import Dataset
from lenet.engine.builder import RecordBuilder
from lenet.engine.busy import BusyError
from lenet.engine.messages import MemberEvent, MemberResult, NodeMessage, parse
from lenet.engine.observer import Observer
from lenet.errors import reason
from lenet.files.locks import print_notice
from lenet.machine.card import MachineCard
from lenet.store.record import NODE_LENGTH, Record, Status
from lenet.store.run import Store


class MessageError(ValueError):
    """A node sent what cannot be read."""


class RemoteGroup:
    """Cases on a node, one or several that take turns. `node` is its id in the cluster, `name` what a person reads.

    By the node's clock, they begin after `not_before`.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        datasets: Mapping[str, Dataset],
        store: Store,
        observer: Observer,
        node: str,
        name: str = "",
        not_before: datetime | None = None,
    ) -> None:
        self.node = node
        self.device_target = cases[0].device_target
        self._cases = tuple(cases)
        self._store = store
        self._observer = observer
        self._name = name or node
        self._not_before = not_before
        self._machine_id = store.manifest.machine.id
        self._builders = {
            number: RecordBuilder(case, datasets[case.dataset], self._machine_id, store.now())
            for number, case in enumerate(cases)
        }
        """By the case's place in the task, those of the cases that have no record yet."""
        self._heard_at: float | None = None

    @property
    def cases(self) -> list[Case]:
        """The cases that have no record yet."""
        return [self._cases[number] for number in self._builders]

    @property
    def began(self) -> bool:
        """Whether the node has sent something; before, it may wait for its device."""
        return self._heard_at is not None

    @property
    def silent_seconds(self) -> float:
        """Time since the node's last message; 0 before the first."""
        return 0.0 if self._heard_at is None else time.monotonic() - self._heard_at

    def receive(self, content: object) -> list[Record]:
        """Take a message; returns the records that it brings.

        Raises:
            MessageError: it cannot be read; nothing of it is kept.
            StoreError: the store cannot be written.
        """
        self._heard_at = time.monotonic()
        try:
            message = parse(content)
        except ValueError as error:
            raise MessageError(f"what the node sent cannot be read: {reason(error)}") from error
        self._check(message)
        if message.machine is not None:
            self._keep(message.machine)
        for notice in message.notices:
            print_notice(self._line(notice))
        if message.turn is not None and message.turn.member in self._builders:
            turn = message.turn
            self._observer.turn(self._cases[turn.member], turn.cycle, turn.cycles)
        records = []
        for report in message.reports:
            if isinstance(report, MemberEvent):
                self._add(report)
            else:
                records.append(self._finish(report))
        return records

    def _check(self, message: NodeMessage) -> None:
        """Refuse a message about cases that this node does not have or has finished."""
        machine_id = message.machine.id if message.machine is not None else self._machine_id
        open_members = set(self._builders)
        for report in message.reports:
            if report.member not in open_members:
                raise MessageError("what the node sent cannot be read: it is about a case that it does not run")
            if isinstance(report, MemberResult):
                open_members.remove(report.member)
                record = report.record
                if record.case != self._cases[report.member] or record.machine_id != machine_id:
                    raise MessageError("what the node sent cannot be read: it is the record of another case or machine")

    def _add(self, report: MemberEvent) -> None:
        case, builder = self._cases[report.member], self._builders[report.member]
        builder.add(report.event)
        self._store.append_event(case, report.event, builder.attempt)
        self._observer.event(case, report.event)

    def _finish(self, report: MemberResult) -> Record:
        builder = self._builders.pop(report.member)
        self._store.write_log(self._cases[report.member], report.log)
        record = report.record.begun_after(self._not_before)
        return record.model_copy(update={"attempt": builder.attempt, "node": self.node[:NODE_LENGTH]})

    def fail(self, error: Exception) -> list[Record]:
        """Invalid records of the cases whose node raised `error`, or sent what cannot be read.

        Raises:
            BusyError: the node refuses, because another run measures on its device.
        """
        if isinstance(error, BusyError):
            raise BusyError(self._line(str(error)))
        why = reason(error) if isinstance(error, MessageError) else f"{type(error).__name__}: {reason(error)}"
        return self.end(self.cases, Status.INVALID, why)

    def end(self, cases: Collection[Case], status: Status, why: str) -> list[Record]:
        """Records of these cases from what is known here, where the node sent none."""
        records = []
        for number, builder in list(self._builders.items()):
            if (case := self._cases[number]) in cases:
                del self._builders[number]
                record = builder.build(None, self._store.log_path(case), status, why)
                records.append(record.model_copy(update={"node": self.node[:NODE_LENGTH]}))
        return records

    def _keep(self, card: MachineCard) -> None:
        if card.id != self._store.manifest.machine.id:
            self._store.keep_card(card)
        self._machine_id = card.id
        for builder in self._builders.values():
            builder.machine_id = card.id

    def _line(self, text: str) -> str:
        """The text as one line without control characters, after the node's name."""
        return reason(ValueError(f"{self._name}: {text}"))
