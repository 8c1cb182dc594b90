"""A node's side of a run over several: one case through the local engine, and what it says, sent home piece by piece.

Nothing here knows how the pieces travel.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import psutil

from lenet.cases.case import Case
from lenet.cases.matrix import Matrix
from lenet.dataset.files import keep
from lenet.engine import SilentObserver, TimeLimits
from lenet.engine.local import LocalEngine
from lenet.machine.card import describe
from lenet.store.events import Event, Failed, Finished
from lenet.store.manifest import EVENTS
from lenet.store.record import DatasetCard
from lenet.store.run import Store

TELL_SECONDS = 1.0
"""How often a node says what its worker said, or that it is there: seldom, for it takes time from the training."""


@dataclass(frozen=True)
class Errand:
    """What a node is sent."""

    case: str
    dataset: str
    limits: TimeLimits
    command: tuple[str, ...] | None
    omp_threads: str | None
    """The OMP_NUM_THREADS that was asked for where the run was begun; None removes the one that Ray sets."""


@dataclass(frozen=True)
class Arrived:
    """The first that a node says: it has the case. The card of its machine."""

    machine: str


@dataclass(frozen=True)
class Heard:
    """What the worker has said since, as lines of the event log; none is a sign of life."""

    events: bytes


@dataclass(frozen=True)
class Result:
    """The last that a node says: the record, the rest of the events and the log."""

    record: str
    events: bytes
    log: bytes


def carry_out(errand: Errand, contents: Mapping[str, bytes]) -> Iterator[Arrived | Heard | Result]:
    """Carry the case out in a folder that is gone afterwards; `contents` are its data's files.

    What the worker says last comes with the record: an attempt whose `finished` is at home has its record there.
    When the iteration is broken off, the worker is ended.
    """
    yield Arrived(describe().model_dump_json())
    os.environ.pop("OMP_NUM_THREADS", None)
    if errand.omp_threads is not None:
        os.environ["OMP_NUM_THREADS"] = errand.omp_threads
    case = Case.model_validate_json(errand.case)
    card = DatasetCard.model_validate_json(errand.dataset)
    dataset = keep(contents, f"sent-{card.sha256[:16]}", card.name)
    with tempfile.TemporaryDirectory(prefix="lenet-bench-") as folder:
        store = Store.create(Path(folder) / "run", Matrix(), [case], {card.name: card}, describe())
        told = _Told(store.path / EVENTS)
        engine = LocalEngine(errand.limits, told, errand.command)
        with ThreadPoolExecutor(1) as aside:
            running = aside.submit(engine.run, [case], {case.dataset: dataset}, store)
            try:
                while not wait([running], timeout=TELL_SECONDS).done:
                    yield Heard(told.more())
            except BaseException:
                _end_children()
                raise
            (record,) = running.result()
        log = store.log_path(case)
        yield Result(
            record=record.model_dump_json(),
            events=told.rest(),
            log=log.read_bytes() if log.exists() else b"",
        )


class _Told(SilentObserver):
    """How much of the event log has been told."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._place = 0
        self._may_tell = 0

    def event(self, case: Case, event: Event) -> None:
        """The log ends with this event now."""
        del case
        if not isinstance(event, Failed | Finished):
            self._may_tell = self._path.stat().st_size

    def more(self) -> bytes:
        """The lines since the last time, but for the worker's last."""
        return self._read(self._may_tell)

    def rest(self) -> bytes:
        """All that has not been told."""
        return self._read(self._path.stat().st_size) if self._path.exists() else b""

    def _read(self, end: int) -> bytes:
        if end <= self._place:
            return b""
        with self._path.open("rb") as file:
            file.seek(self._place)
            lines = file.read(end - self._place)
        self._place = end
        return lines


def _end_children() -> None:
    """End the worker: the engine, which runs aside, then comes to its end."""
    for process in psutil.Process().children(recursive=True):
        try:
            process.kill()
        except psutil.Error:
            continue
