"""The store: one folder a run.

    manifest.json        what was asked, on which machine, with which data
    events.jsonl         every event of every case, append-only: the raw samples
    records/ID.json      one record a case, written whole or not at all
    machine-ID.json      the card of each other machine that records are of (`lenet.store.machines`)
    superseded/          records that were measured again, and the manifest of another machine: nothing is thrown away
    logs/ID.log          what the worker printed
    .lock                held by the process that writes

A merged store (`lenet.commands.merge`) is a folder of such folders: `runs/MACHINE-DIGEST/`.

Reading never trusts the folder: sizes are capped, every file is validated, links in it are not followed, and no name
from a file becomes a path.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

from pydantic import Field, ValidationError

import lenet
from lenet.cases.case import Case, Frozen
from lenet.cases.matrix import Matrix
from lenet.errors import StoreError, reason
from lenet.files.locks import Lock, holder, take
from lenet.files.text import make_folder, read_text, write_atomically
from lenet.machine.card import MachineCard
from lenet.store.eventlog import EventLog
from lenet.store.events import Event
from lenet.store.record import SCHEMA_VERSION, DatasetCard, Record

MANIFEST = "manifest.json"
EVENTS = "events.jsonl"
LOCK = ".lock"
RECORDS, LOGS, SUPERSEDED = "records", "logs", "superseded"
RUNS = "runs"


class Manifest(Frozen):
    """What a run set out to do."""

    schema_version: int = Field(default=SCHEMA_VERSION, ge=1)
    lenet_bench_version: str
    created_at: datetime
    matrix: Matrix
    cases: tuple[Case, ...]
    datasets: dict[str, DatasetCard]
    machine: MachineCard


def run_folders(folder: Path) -> list[Path]:
    """The runs in a folder, sorted: itself if it is one, else those below it, as a merged store has them.

    Links and hidden folders are not entered.

    Raises:
        StoreError: it is not a folder, cannot be read, or holds no run.
    """

    def fail(error: OSError) -> None:
        raise error

    found = []
    try:
        for path, names, files in os.walk(folder, onerror=fail):
            if MANIFEST in files:
                found.append(Path(path))
                names.clear()  # a run contains no other run
            names[:] = [name for name in names if not name.startswith(".")]
    except OSError as error:
        raise StoreError(f"cannot read {folder}: {reason(error)}; name a run, or a folder that holds runs") from error
    if not found:
        raise StoreError(f"{folder} holds no run: there is no {MANIFEST}; name a folder that `run` wrote")
    return sorted(found)


def _complaint(path: Path, text: str, error: ValidationError) -> StoreError:
    try:
        version = json.loads(text).get("schema_version")
    except (ValueError, AttributeError, RecursionError):
        return StoreError(f"{path} is not a JSON object: the run is damaged")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        return StoreError(
            f"{path} has schema {version}, newer than this lenet-bench ({SCHEMA_VERSION}): upgrade lenet-bench"
        )
    return StoreError(f"{path} is damaged: {reason(error)}")


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Keep Python from searching for cycles, again and again, among records that all stay: most of reading 10,000."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class Store:
    """One run on disk."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self._log = EventLog(path / EVENTS)
        self._lock: Lock | None = None

    @property
    def name(self) -> str:
        """The folder's name, as text that can be printed and stored whatever bytes it has."""
        return os.fsencode(self.path.resolve().name).decode(errors="replace")

    def hold(self) -> None:
        """Keep the run for this process, until `release` or its end: two that wrote would mix what they measure.

        Raises:
            StoreError: another process writes it, or the folder cannot be written.
        """
        path = self.path / LOCK
        try:
            self._lock = take(path)
        except OSError as error:
            raise StoreError(f"cannot write {path}: {reason(error)}; choose another --output") from error
        if self._lock is None:
            raise StoreError(f"{self.path} is being written by {holder(path)}: wait for it, or choose another --output")
        try:
            for name in (RECORDS, LOGS):  # a run that was given away may have come without its logs
                (self.path / name).mkdir(exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot write {self.path}: {reason(error)}; choose another --output") from error
        for folder in (self.path, self.path / RECORDS, self.path / SUPERSEDED):
            for half in folder.glob(".*.json.*.tmp"):  # of a process that was killed while it wrote
                half.unlink(missing_ok=True)
        self._log.mend()

    def release(self) -> None:
        """Let other processes write the run."""
        if self._lock is not None:
            self._lock.release()

    @classmethod
    def create(
        cls,
        folder: Path,
        matrix: Matrix,
        cases: Sequence[Case],
        datasets: Mapping[str, DatasetCard],
        machine: MachineCard,
    ) -> Store:
        """A new run in `folder`, which must not hold one. It is held for this process.

        Raises:
            StoreError: it holds one already, or cannot be written.
        """
        if (folder / MANIFEST).exists():
            raise StoreError(f"{folder} holds a run already; continue it with --resume or choose another --output")
        make_folder(folder)
        manifest = Manifest(
            lenet_bench_version=lenet.__version__,
            created_at=datetime.now(timezone.utc),
            matrix=matrix,
            cases=tuple(cases),
            datasets=dict(datasets),
            machine=machine,
        )
        store = cls(folder, manifest)
        store.hold()
        if (folder / MANIFEST).exists():  # another process was faster
            raise StoreError(f"{folder} holds a run already; continue it with --resume or choose another --output")
        store._write_manifest()
        return store

    @classmethod
    def open(cls, folder: Path) -> Store:
        """An existing run.

        Raises:
            StoreError: `folder` is no run, or its manifest is damaged or newer than this program.
        """
        path = folder / MANIFEST
        if not path.is_file():
            raise StoreError(f"{folder} is not a run: it has no {MANIFEST}; name the folder that `run` wrote")
        for name in (RECORDS, LOGS, SUPERSEDED):
            if (folder / name).is_symlink():
                raise StoreError(f"{folder / name} is a link: a run keeps its files in its own folder")
        text = read_text(path)
        try:
            return cls(folder, Manifest.model_validate_json(text))
        except ValidationError as error:
            raise _complaint(path, text, error) from error

    def record_path(self, case: Case) -> Path:
        """Where the case's record is or will be."""
        return self.path / RECORDS / f"{case.id}.json"

    def log_path(self, case: Case, instrument: str = "") -> Path:
        """Where the case's worker prints, or the instrument of that name that looks at it."""
        return self.path / LOGS / (f"{case.id}-{instrument}.log" if instrument else f"{case.id}.log")

    @_no_collection()
    def records(self) -> list[Record]:
        """The records that exist, in the manifest's order.

        Raises:
            StoreError: a record is damaged, or is not of the case whose name it has.
        """
        found = (self.record(case) for case in self.manifest.cases)
        return [record for record in found if record is not None]

    def record(self, case: Case) -> Record | None:
        """The case's record, if it exists.

        Raises:
            StoreError: it is damaged, or is not of the case whose name it has.
        """
        path = self.record_path(case)
        if not path.exists() and not path.is_symlink():
            return None
        text = read_text(path)
        try:
            record = Record.model_validate_json(text)
        except ValidationError as error:
            raise _complaint(path, text, error) from error
        if record.case != case or record.case_id != case.id:
            raise StoreError(f"{path} is damaged: it is the record of another case")
        return record

    def missing(self) -> list[Case]:
        """The manifest's cases that have no record, in order."""
        return [case for case in self.manifest.cases if not self.record_path(case).exists()]

    def extend(self, cases: Sequence[Case]) -> None:
        """Add cases to the manifest, written whole or not at all; those that it has already are left as they are.

        Raises:
            StoreError: it cannot be written.
        """
        every = tuple(dict.fromkeys((*self.manifest.cases, *cases)))
        self.manifest = self.manifest.model_copy(update={"cases": every})
        self._write_manifest()

    def append_event(self, case: Case, event: Event, attempt: str = "") -> None:
        """Add a line to the event log. `attempt` is that of the record which these events will give.

        Raises:
            StoreError: it cannot be written.
        """
        self._log.append(case.id, attempt, event)

    def events(self, case: Case) -> Iterator[Event]:
        """The events of the attempt that the case's record is of, in the order in which they were reported.

        Without a record it is the attempt that was begun last. They are read as they are asked for.

        Raises:
            StoreError: the event log cannot be read, or a line of it is no event.
        """
        record = self.record(case)
        return self._log.read(case.id, record.attempt if record else None)

    def write_record(self, record: Record) -> None:
        """Write a case's record, whole or not at all; one that stands there is kept in `superseded/`.

        Raises:
            StoreError: it cannot be written.
        """
        self._log.sync()
        path = self.record_path(record.case)
        self._keep_aside(path)
        write_atomically(path, record.model_dump_json(indent=1) + "\n")

    def renew(self, machine: MachineCard, datasets: Mapping[str, DatasetCard]) -> None:
        """Say in the manifest where and with which data the run goes on; the old one is kept in `superseded/`.

        Raises:
            StoreError: it cannot be written.
        """
        if machine.id == self.manifest.machine.id and dict(datasets) == self.manifest.datasets:
            return
        self._keep_aside(self.path / MANIFEST)
        self.manifest = self.manifest.model_copy(update={"machine": machine, "datasets": dict(datasets)})
        self._write_manifest()

    def _write_manifest(self) -> None:
        write_atomically(self.path / MANIFEST, self.manifest.model_dump_json(indent=1) + "\n")

    def _keep_aside(self, path: Path) -> None:
        """Copy what stands at `path` into `superseded/` under the next free number, unless it is there already."""
        if not path.exists():
            return
        text = read_text(path)
        folder = self.path / SUPERSEDED
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot write {folder}: {reason(error)}; free space, then --resume") from error
        number = 1
        while (there := folder / f"{path.stem}.{number}.json").exists():
            if read_text(there) == text:
                return  # copied before, by a process that was killed before it could replace it
            number += 1
        write_atomically(there, text)

    def write_text(self, name: str, text: str) -> None:
        """Write a report beside the manifest, whole or not at all.

        Raises:
            StoreError: it cannot be written.
        """
        write_atomically(self.path / name, text)
