"""What the rules read: a case's record and events, and where each of them is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar, cast

from lenet.analysis.verify.document import Document
from lenet.cases.case import Case, Frozen
from lenet.machine.card import MachineCard
from lenet.store.events import Event, Failed, Finished, Started
from lenet.store.manifest import EVENTS
from lenet.store.proof import TrainingProof
from lenet.store.record import DatasetCard, Record
from lenet.store.signature import Signer


@dataclass(frozen=True)
class Place:
    """A line of a file of the run; `line` is None for the file as a whole."""

    file: str
    line: int | None = None


@dataclass(frozen=True)
class Violation:
    """One rule that the run breaks, and where."""

    rule: str
    place: Place
    message: str

    def __str__(self) -> str:
        """`FILE:LINE: RULE: MESSAGE`."""
        where = self.place.file if self.place.line is None else f"{self.place.file}:{self.place.line}"
        return f"{where}: {self.rule}: {self.message}"


@dataclass(frozen=True)
class Verification:
    """The result of verifying one run."""

    violations: Sequence[Violation]
    remarks: Sequence[str]
    """No violations, but what a reader should know."""
    unread: Sequence[str]
    """Files that no figure rests on and no rule was applied to."""
    records: int
    events: int
    trainings: Mapping[str, TrainingProof] = field(default_factory=dict)
    """Result of the recomputation of each case that has losses, by case; empty if nothing was recomputed."""
    sealed: int | None = None
    """Files under the run's seal; None if it has none, as runs of older versions and those that have not ended."""
    signer: Signer | None = None
    """Who signed the seal."""


@dataclass(frozen=True)
class LoggedEvent:
    """An event and its line in the log."""

    line: int
    event: Event
    attempt: str = ""
    """The attempt that the line names; empty in logs of older versions."""


E = TypeVar("E", bound=Frozen)


@dataclass(frozen=True)
class Attempt:
    """The events of one worker, in order."""

    events: tuple[LoggedEvent, ...] = ()

    @property
    def name(self) -> str:
        """What its lines call it; empty in logs of older versions."""
        return self.events[0].attempt if self.events else ""

    @property
    def finished(self) -> bool:
        """Whether its last event reports the whole case."""
        return bool(self.events) and isinstance(self.events[-1].event, Finished)

    @cached_property
    def _by_type(self) -> dict[type[Frozen], list[tuple[int, Frozen]]]:
        found: dict[type[Frozen], list[tuple[int, Frozen]]] = {}
        for each in self.events:
            found.setdefault(type(each.event), []).append((each.line, each.event))
        return found

    def of(self, kind: type[E]) -> list[tuple[int, E]]:
        """The events of one type, with their lines."""
        return cast("list[tuple[int, E]]", self._by_type.get(kind, []))

    def first(self, kind: type[E]) -> tuple[int, E] | None:
        """The first event of one type, with its line."""
        return next(iter(self.of(kind)), None)


def attempts(events: Sequence[LoggedEvent]) -> list[Attempt]:
    """A case's events by worker: those of an interrupted worker stay in the log when the run is resumed.

    A worker's first event is `started`, its last one `finished` or `failed` if it could report its end.
    """
    parts: list[list[LoggedEvent]] = []
    ended = True
    for each in events:
        if ended or isinstance(each.event, Started) or parts[-1][-1].attempt != each.attempt:
            parts.append([])
        parts[-1].append(each)
        ended = isinstance(each.event, Finished | Failed)
    return [Attempt(tuple(part)) for part in parts]


def own_attempt(logged: Sequence[Attempt], record: Record) -> Attempt:
    """The attempt that the record is of: the last one of the name that the record gives."""
    named = [each for each in logged if each.name == record.attempt]
    return named[-1] if named else Attempt()


@dataclass(frozen=True)
class Evidence:
    """All that is known of one case."""

    case: Case
    machine: MachineCard
    """The card of the machine that the record names; the manifest's if the run has none of it."""
    card: DatasetCard
    """Of the data that the manifest names for this case."""
    record: Record
    document: Document
    """The record's text."""
    file: str
    """The record's file."""
    attempt: Attempt = field(default_factory=Attempt)
    """The worker that the record is of."""

    def at(self, *path: str | int) -> Place:
        """The line of the record that has `path`."""
        return Place(self.file, self.document.line(*path))

    def on(self, line: int) -> Place:
        """A line of the event log."""
        return Place(EVENTS, line)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches of all processes in the training set, at least 1."""
        return max(self.card.training_images // self.case.global_batch_size, 1)


Messages = Iterator[tuple[Place, str]]
"""What breaks one rule, and where."""

Rule = Callable[[Evidence], Messages]
