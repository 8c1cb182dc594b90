"""What the rules look at: a case's record and events, and where each of them stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from lenet.analysis.verify.document import Document, Path
from lenet.cases.case import Case
from lenet.machine.card import MachineCard
from lenet.store.events import Compiled, Evaluated, Event, Failed, Finished, Resident, Started, Steps
from lenet.store.record import DatasetCard, Record


@dataclass(frozen=True)
class Place:
    """A line of a file of the run; `line` is None where the file as a whole is meant."""

    file: str
    line: int | None = None


@dataclass(frozen=True)
class Finding:
    """One violation."""

    rule: str
    place: Place
    message: str

    def __str__(self) -> str:
        """`FILE:LINE: RULE: MESSAGE`."""
        where = self.place.file if self.place.line is None else f"{self.place.file}:{self.place.line}"
        return f"{where}: {self.rule}: {self.message}"


@dataclass(frozen=True)
class Numbered:
    """An event and the line of the log that it stands on."""

    line: int
    event: Event
    attempt: str = ""
    """The attempt that the line names, if it does."""


E = TypeVar("E", bound=Event)


@dataclass(frozen=True)
class Attempt:
    """The events of one worker, in order."""

    numbered: tuple[Numbered, ...] = ()

    @property
    def name(self) -> str:
        """What its lines call it; empty in logs of older versions."""
        return self.numbered[0].attempt if self.numbered else ""

    def of(self, kind: type[E]) -> list[tuple[int, E]]:
        """The events of one kind, with their lines."""
        return [(each.line, each.event) for each in self.numbered if isinstance(each.event, kind)]

    @cached_property
    def started(self) -> tuple[int, Started] | None:
        """The first `started`."""
        return next(iter(self.of(Started)), None)

    @cached_property
    def compiled(self) -> tuple[int, Compiled] | None:
        """The first `compiled`."""
        return next(iter(self.of(Compiled)), None)

    @cached_property
    def steps(self) -> list[tuple[int, Steps]]:
        """The windows of training."""
        return self.of(Steps)

    @cached_property
    def resident(self) -> list[tuple[int, Resident]]:
        """The windows on the resident batch."""
        return self.of(Resident)

    @cached_property
    def evaluated(self) -> list[tuple[int, Evaluated]]:
        """The evaluations."""
        return self.of(Evaluated)

    @cached_property
    def failed(self) -> tuple[int, Failed] | None:
        """The worker's own word that it failed."""
        return next(iter(self.of(Failed)), None)

    @cached_property
    def finished(self) -> tuple[int, Finished] | None:
        """The worker's word that it carried the case out whole."""
        return next(iter(self.of(Finished)), None)


def attempts(events: Sequence[Numbered]) -> list[Attempt]:
    """A case's events by the worker that reported them: an interrupted worker's stay in the log when a run goes on.

    A worker's first event is `started`, its last one `finished` or `failed` if it could still speak.
    """
    parts: list[list[Numbered]] = []
    ended = True
    for each in events:
        if ended or isinstance(each.event, Started) or parts[-1][-1].attempt != each.attempt:
            parts.append([])
        parts[-1].append(each)
        ended = isinstance(each.event, Finished | Failed)
    return [Attempt(tuple(part)) for part in parts]


def own_attempt(logged: Sequence[Attempt], record: Record) -> Attempt:
    """The attempt that the record is of: the one it names, else the last."""
    named = [each for each in logged if each.name == record.attempt]
    return named[-1] if named else Attempt()


@dataclass(frozen=True)
class Evidence:
    """All that is known of one case."""

    case: Case
    machine: MachineCard
    """The card of the machine that the record names; the manifest's where the run has none of it."""
    card: DatasetCard
    """Of the data that the manifest names for this case."""
    record: Record
    document: Document
    """The record's text."""
    file: str
    """The record's file."""
    log: str
    """The event log's file."""
    attempt: Attempt = field(default_factory=Attempt)
    """The worker that the record is of."""

    def at(self, *path: str | int) -> Place:
        """The line of the record that `path` stands on."""
        return Place(self.file, self.document.line(*path))

    def on(self, line: int) -> Place:
        """A line of the event log."""
        return Place(self.log, line)

    @property
    def steps_an_epoch(self) -> int:
        """Whole batches of all processes in the training set."""
        return self.card.training_images // self.case.global_batch_size


Violations = Iterator[tuple[Place, str]]
Rule = Callable[[Evidence], Violations]

__all__ = [
    "Attempt",
    "Document",
    "Evidence",
    "Finding",
    "Numbered",
    "Path",
    "Place",
    "Rule",
    "Violations",
    "attempts",
    "own_attempt",
]
