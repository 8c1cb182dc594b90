"""The store: the folder of one run.

    manifest.json        what is measured, on which machine, with which data
    events.jsonl         every event of every case, append-only: the raw samples
    records/ID.json      one record per case, written whole or not at all
    machine-ID.json      the card of each other machine: nodes of a cluster, and those before it was resumed elsewhere
    training.json        which trainings were recomputed, and with what result
    superseded/          records that were measured again, manifests of earlier machines: nothing is deleted
    logs/ID.log          the output of the worker
    table.*              the table of the records, as Markdown, CSV, JSON and HTML
    reproduction.json    the verdicts of `reproduce`; published.json: those on published figures
    SHA256SUMS           the seal: digests of these files but logs and tables, written when the run ends
    SHA256SUMS.sig       the signature of the seal, from `submit --sign`
    .lock                held by the process that writes

A merged store (`lenet.commands.merge`) is a folder of such folders: `runs/MACHINE-DIGEST/`.

A folder is read without trust: sizes are capped, every file is validated, links in it are not followed, and no name
from a file becomes a path.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

import lenet
from lenet.cases.case import Case
from lenet.cases.matrix import Matrix
from lenet.errors import StoreError, failing_as
from lenet.files.locks import Lock, holder, take
from lenet.files.plain import as_text
from lenet.files.text import make_folder, read_text, write_atomically
from lenet.machine.card import MachineCard
from lenet.store.eventlog import EventLog, LogLine
from lenet.store.events import Event
from lenet.store.manifest import (
    CARD,
    EVENTS,
    LOCK,
    LOGS,
    MANIFEST,
    RECORDS,
    SUPERSEDED,
    Manifest,
    card_name,
    read_model,
)
from lenet.store.proof import TRAINING, CaseProof, TrainingProof, TrainingProofs
from lenet.store.record import DatasetCard, Record
from lenet.store.seal import break_seal, is_covered, write_seal


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Stop the search for reference cycles: among 10,000 records that all stay it takes most of the time to read."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def wall_clock() -> datetime:
    """The time by the system's clock, in UTC."""
    return datetime.now(timezone.utc)


class Store:
    """One run on disk.

    Every method that reads or writes raises `StoreError` if the folder cannot be read or written, or if a file of it is
    damaged or another's.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self.planned_looks: tuple[int, ...] = ()
        """Written into each record from now on: the numbers of groups at which sampling may stop."""
        self._log = EventLog(path / EVENTS)
        self._lock: Lock | None = None
        self._latest: datetime | None = None
        self._may_be_sealed = True

    @property
    def name(self) -> str:
        """The folder's name as printable text, whatever bytes it has."""
        return as_text(self.path.resolve().name)

    def hold(self) -> None:
        """Lock the run for this process, until `release` or its end, and remove what a killed writer left half done.

        Raises:
            StoreError: another process writes it, or the folder cannot be written.
        """
        path = self.path / LOCK
        with failing_as(StoreError, f"cannot write {path}", "choose another --output"):
            self._lock = take(path)
        if self._lock is None:
            raise StoreError(f"{self.path} is being written by {holder(path)}: wait for it, or choose another --output")
        for name in (RECORDS, LOGS):  # a run may have been copied without its logs
            make_folder(self.path / name)
        for folder in (self.path, self.path / RECORDS, self.path / SUPERSEDED):
            for partial in folder.glob(".*.json.*.tmp"):
                partial.unlink(missing_ok=True)
        self._log.truncate_torn_line()

    def release(self) -> None:
        """Let other processes write the run."""
        if self._lock is not None:
            self._lock.release()

    @staticmethod
    def refuse_existing(folder: Path) -> None:
        """Refuse a folder that holds a run.

        Raises:
            StoreError: it does.
        """
        if (folder / MANIFEST).exists():
            raise StoreError(f"{folder} holds a run already; continue it with --resume or choose another --output")

    @classmethod
    def create(
        cls,
        folder: Path,
        matrix: Matrix,
        cases: Sequence[Case],
        datasets: Mapping[str, DatasetCard],
        machine: MachineCard,
    ) -> Store:
        """Create a run in `folder`, which must not hold one, and lock it for this process.

        Raises:
            StoreError: the folder holds a run already, or cannot be written.
        """
        cls.refuse_existing(folder)
        make_folder(folder)
        manifest = Manifest(
            lenet_bench_version=lenet.__version__,
            created_at=wall_clock(),
            matrix=matrix,
            cases=tuple(cases),
            datasets=dict(datasets),
            machine=machine,
        )
        store = cls(folder, manifest)
        store.hold()
        cls.refuse_existing(folder)  # made by another process in the meantime
        store._write_manifest()
        return store

    @classmethod
    def open(cls, folder: Path) -> Store:
        """Open an existing run to read it.

        Raises:
            StoreError: `folder` is not a run, or its manifest is damaged or newer than this program.
        """
        if not (folder / MANIFEST).is_file():
            raise StoreError(f"{folder} is not a run: it has no {MANIFEST}; name the folder that `run` wrote")
        for name in (RECORDS, LOGS, SUPERSEDED):
            if (folder / name).is_symlink():
                raise StoreError(f"{folder / name} is a link: a run keeps its files in its own folder")
        return cls(folder, read_model(folder / MANIFEST, Manifest))

    def now(self) -> datetime:
        """The time, but not before that of anything in the run: the clock may have been set back, or is a machine's
        that is behind the one before.
        """
        if self._latest is None:
            ends = (record.finished_at for record in self.records() if not record.node)
            self._latest = max((self.manifest.created_at, *ends))
        return max(wall_clock(), self._latest)

    def record_path(self, case: Case) -> Path:
        """The file of the case's record, whether or not it exists."""
        return self.path / RECORDS / f"{case.id}.json"

    def log_path(self, case: Case, instrument: str = "") -> Path:
        """The file of the output of the case's worker, or of the named instrument."""
        return self.path / LOGS / (f"{case.id}-{instrument}.log" if instrument else f"{case.id}.log")

    @_no_collection()
    def records(self) -> list[Record]:
        """The existing records, in the order of the manifest."""
        found = (self.record(case) for case in self.manifest.cases)
        return [record for record in found if record is not None]

    def record(self, case: Case) -> Record | None:
        """The case's record, if it exists."""
        path = self.record_path(case)
        if not path.exists() and not path.is_symlink():
            return None
        record = read_model(path, Record)
        if record.case != case or record.case_id != case.id:
            raise StoreError(f"{path} is damaged: it is the record of another case")
        return record

    def missing(self) -> list[Case]:
        """The cases of the manifest without a record, in order."""
        return [case for case in self.manifest.cases if not self.record_path(case).exists()]

    def extend(self, cases: Sequence[Case]) -> None:
        """Add cases to the manifest; those that it has already stay where they are."""
        every = tuple(dict.fromkeys((*self.manifest.cases, *cases)))
        if every == self.manifest.cases:
            return
        self.manifest = self.manifest.model_copy(update={"cases": every})
        self._write_manifest()

    def keep_card(self, card: MachineCard) -> None:
        """Write the card of another machine beside the manifest, unless it has one."""
        if not (self.path / card_name(card.id)).exists():
            self.write_text(card_name(card.id), card.model_dump_json(indent=1) + "\n")

    def cards(self) -> dict[str, MachineCard]:
        """The cards of the run's machines, by their ids. A file that does not hold the card of its name is ignored."""
        found = {self.manifest.machine.id: self.manifest.machine}
        with failing_as(StoreError, f"cannot read {self.path}"):
            paths = sorted(path for path in self.path.iterdir() if CARD.fullmatch(path.name))
        for path in paths:
            with contextlib.suppress(StoreError):
                card = read_model(path, MachineCard)
                if path.name == card_name(card.id):
                    found.setdefault(card.id, card)
        return found

    def append_event(self, case: Case, event: Event, attempt: str = "") -> None:
        """Add a line to the event log; `attempt` is that of the record which follows from these events."""
        self._break_seal()
        self._log.append(case.id, attempt, event)

    def events(self, case: Case) -> Iterator[Event]:
        """The events of the attempt that the case's record is of, in order, read lazily.

        Without a record, those of the last attempt.
        """
        record = self.record(case)
        return self._log.read(case.id, record.attempt if record else None)

    def every_event(self) -> Iterator[LogLine]:
        """Every event of all cases and attempts, in order, read lazily."""
        return self._log.every()

    def proofs(self) -> dict[str, TrainingProof]:
        """The results of recomputing the trainings of the records, by case; not of records that were replaced since."""
        if not (self.path / TRAINING).exists():
            return {}
        return read_model(self.path / TRAINING, TrainingProofs).of(self.records())

    def write_proofs(self, proofs: Mapping[str, TrainingProof]) -> None:
        """Write the results of recomputing trainings, by case."""
        cases = tuple(
            CaseProof(case_id=record.case_id, attempt=record.attempt, **proofs[record.case_id].model_dump())
            for record in self.records()
            if record.case_id in proofs
        )
        self.write_text(TRAINING, TrainingProofs(cases=cases).model_dump_json(indent=1) + "\n")

    def write_record(self, record: Record) -> None:
        """Write a case's record; an earlier one is copied to `superseded/`."""
        if self.planned_looks:
            record = record.model_copy(update={"planned_looks": self.planned_looks})
        self._break_seal()
        self._log.sync()
        path = self.record_path(record.case)
        self._copy_superseded(path)
        write_atomically(path, record.model_dump_json(indent=1) + "\n")
        if self._latest is not None and not record.node:  # a node has a clock of its own
            self._latest = max(self._latest, record.finished_at)

    def renew(self, machine: MachineCard, datasets: Mapping[str, DatasetCard]) -> None:
        """Write the machine and the data of a resumed run into its manifest; the earlier is copied to `superseded/`."""
        before = self.manifest.machine
        if machine.id == before.id and dict(datasets) == self.manifest.datasets:
            if machine.environment == before.environment:
                return
            machine = before.model_copy(update={"environment": machine.environment})
        self._break_seal()
        self._copy_superseded(self.path / MANIFEST)
        self.manifest = self.manifest.model_copy(update={"machine": machine, "datasets": dict(datasets)})
        self._write_manifest()

    def seal(self) -> None:
        """Seal the run, if every case has a record. It stays sealed until it is written again."""
        if not self.missing():
            write_seal(self.path)
            self._may_be_sealed = True

    def _break_seal(self) -> None:
        if self._may_be_sealed:
            break_seal(self.path)
            self._may_be_sealed = False

    def _write_manifest(self) -> None:
        self._break_seal()
        write_atomically(self.path / MANIFEST, self.manifest.model_dump_json(indent=1) + "\n")

    def _copy_superseded(self, path: Path) -> None:
        """Copy a file into `superseded/` under the next free number, unless a killed process did so already."""
        if not path.exists():
            return
        text = read_text(path)
        folder = self.path / SUPERSEDED
        make_folder(folder)
        number = 1
        while (copy := folder / f"{path.stem}.{number}.json").exists():
            if read_text(copy) == text:
                return
            number += 1
        write_atomically(copy, text)

    def write_log(self, case: Case, log: bytes) -> None:
        """Write what the case's worker printed, whole or not at all."""
        write_atomically(self.log_path(case), log)

    def write_text(self, name: str, text: str) -> None:
        """Write a report beside the manifest."""
        if is_covered(name):
            self._break_seal()
        write_atomically(self.path / name, text)
