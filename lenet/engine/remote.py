"""One attempt at a case on a node, as far as it is known here: its messages go into the store.

Nothing that a node sends is trusted: it is read like a file from a stranger.
"""

from __future__ import annotations

import time

from lenet.cases.case import Case
from lenet.dataset import Dataset
from lenet.engine.builder import RecordBuilder
from lenet.engine.busy import BusyError, print_notice
from lenet.engine.node import parse
from lenet.engine.observer import Observer
from lenet.errors import reason
from lenet.machine.card import MachineCard
from lenet.store.record import NODE_LENGTH, Record, Status
from lenet.store.run import Store


class MessageError(ValueError):
    """A node sent what cannot be read."""


class RemoteCase:
    """A case on a node. `node` is its id in the cluster, `name` what a person reads."""

    def __init__(
        self, case: Case, dataset: Dataset, store: Store, observer: Observer, node: str, name: str = ""
    ) -> None:
        self.case = case
        self.node = node
        self._store = store
        self._observer = observer
        self._name = name or node
        self._builder = RecordBuilder(case, dataset, store.manifest.machine.id)
        self._heard_at: float | None = None

    @property
    def began(self) -> bool:
        """Whether the node has sent something; before, it may wait for its device."""
        return self._heard_at is not None

    @property
    def silent_seconds(self) -> float:
        """Time since the node's last message; 0 before the first."""
        return 0.0 if self._heard_at is None else time.monotonic() - self._heard_at

    def receive(self, content: object) -> Record | None:
        """Take a message; returns the record with the last one.

        Raises:
            MessageError: it cannot be read.
            StoreError: the store cannot be written.
        """
        self._heard_at = time.monotonic()
        try:
            message = parse(content)
        except ValueError as error:
            raise MessageError(f"what the node sent cannot be read: {reason(error)}") from error
        if message.machine is not None:
            self._keep(message.machine)
        record = message.record
        if record is not None and (record.case != self.case or record.machine_id != self._builder.machine_id):
            raise MessageError("what the node sent cannot be read: it is the record of another case or machine")
        for notice in message.notices:
            print_notice(self._line(notice))
        for event in message.events:
            self._builder.add(event)
            self._store.append_event(self.case, event, self._builder.attempt)
            self._observer.event(self.case, event)
        if record is None:
            return None
        self._store.write_log(self.case, message.log)
        return record.model_copy(update={"attempt": self._builder.attempt, "node": self.node[:NODE_LENGTH]})

    def fail(self, error: Exception) -> Record:
        """An invalid record of a case whose node raised `error`, or sent what cannot be read.

        Raises:
            BusyError: the node refuses, because another run measures on its device.
        """
        if isinstance(error, BusyError):
            raise BusyError(self._line(str(error)))
        why = reason(error) if isinstance(error, MessageError) else f"{type(error).__name__}: {reason(error)}"
        return self.end(Status.INVALID, why)

    def end(self, status: Status, why: str) -> Record:
        """A record of what is known here, where the node sent none."""
        record = self._builder.build(None, self._store.log_path(self.case), status, why)
        return record.model_copy(update={"node": self.node[:NODE_LENGTH]})

    def _keep(self, card: MachineCard) -> None:
        if card.id != self._store.manifest.machine.id:
            self._store.keep_card(card)
        self._builder.machine_id = card.id

    def _line(self, text: str) -> str:
        """The text as one line without control characters, after the node's name."""
        return reason(ValueError(f"{self._name}: {text}"))
