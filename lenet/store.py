"""The store: one folder a run.

    manifest.json        what was asked, on which machine, with which data
    events.jsonl         every event of every case, append-only: the raw samples
    records/ID.json      one record a case, written whole or not at all
    logs/ID.log          what the worker printed

Reading never trusts the folder: sizes are capped, every file is validated, and no name from a file becomes a path.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from lenet import __version__
from lenet.case import Case, Frozen, Matrix
from lenet.errors import StoreError
from lenet.events import MAX_LINE_BYTES, Event, parse
from lenet.machine import MachineCard
from lenet.record import SCHEMA_VERSION, DatasetCard, Record

MANIFEST = "manifest.json"
EVENTS = "events.jsonl"
MAX_FILE_BYTES = 64 * 2**20
"""Largest manifest or record that is read."""


class Manifest(Frozen):
    """What a run set out to do."""

    schema_version: int = Field(default=SCHEMA_VERSION, ge=1)
    lenet_bench_version: str
    created_at: datetime
    matrix: Matrix
    cases: tuple[Case, ...]
    datasets: dict[str, DatasetCard]
    machine: MachineCard


def write_atomically(path: Path, text: str) -> None:
    """Write a text file whole or not at all: a temporary file beside it, flushed to disk, then renamed.

    Raises:
        StoreError: the folder is read-only, full or gone.
    """
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}; choose another --output") from error


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from error
    if len(data) > MAX_FILE_BYTES:
        raise StoreError(f"{path} is larger than {MAX_FILE_BYTES >> 20} MiB: not a file of a run")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise StoreError(f"{path} is not UTF-8 text: not a file of a run") from error


def _complaint(path: Path, text: str, error: ValidationError) -> StoreError:
    try:
        version = json.loads(text).get("schema_version")
    except (ValueError, AttributeError, RecursionError):
        return StoreError(f"{path} is not a JSON object: the run is damaged")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        return StoreError(
            f"{path} has schema {version}, newer than this lenet-bench ({SCHEMA_VERSION}): upgrade lenet-bench"
        )
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return StoreError(f"{path} is damaged: {where}: {first['msg']}")


def _event(line: bytes, case_id: str, place: str) -> Event | None:
    """The event of that line, or None where it is another case's."""
    try:
        content = json.loads(line)
        if content.pop("case_id") != case_id:
            return None
        return parse(json.dumps(content).encode())
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise StoreError(f"{place} is no event: the run is damaged") from error


class Store:
    """One run on disk."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self._by_id = {case.id: case for case in manifest.cases}

    @classmethod
    def create(
        cls,
        folder: Path,
        matrix: Matrix,
        cases: Sequence[Case],
        datasets: Mapping[str, DatasetCard],
        machine: MachineCard,
    ) -> Store:
        """A new run in `folder`, which must not hold one.

        Raises:
            StoreError: it holds one already, or cannot be written.
        """
        if (folder / MANIFEST).exists():
            raise StoreError(f"{folder} holds a run already; continue it with --resume or choose another --output")
        try:
            for name in ("records", "logs"):
                (folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot write {folder}: {error.strerror or error}; choose another --output") from error
        manifest = Manifest(
            lenet_bench_version=__version__,
            created_at=datetime.now(timezone.utc),
            matrix=matrix,
            cases=tuple(cases),
            datasets=dict(datasets),
            machine=machine,
        )
        write_atomically(folder / MANIFEST, manifest.model_dump_json(indent=1) + "\n")
        return cls(folder, manifest)

    @classmethod
    def open(cls, folder: Path) -> Store:
        """An existing run.

        Raises:
            StoreError: `folder` is no run, or its manifest is damaged or newer than this program.
        """
        path = folder / MANIFEST
        if not path.is_file():
            raise StoreError(f"{folder} is not a run: it has no {MANIFEST}; name the folder that `run` wrote")
        text = _read(path)
        try:
            return cls(folder, Manifest.model_validate_json(text))
        except ValidationError as error:
            raise _complaint(path, text, error) from error

    def record_path(self, case: Case) -> Path:
        """Where the case's record is or will be."""
        return self.path / "records" / f"{case.id}.json"

    def log_path(self, case: Case) -> Path:
        """Where the case's worker prints."""
        return self.path / "logs" / f"{case.id}.log"

    def records(self) -> list[Record]:
        """The records that exist, in the manifest's order.

        Raises:
            StoreError: a record is damaged, or is not of the case whose name it has.
        """
        found = []
        for case in self.manifest.cases:
            path = self.record_path(case)
            if not path.exists():
                continue
            text = _read(path)
            try:
                record = Record.model_validate_json(text)
            except ValidationError as error:
                raise _complaint(path, text, error) from error
            if record.case != case or record.case_id != case.id:
                raise StoreError(f"{path} is damaged: it is the record of another case")
            found.append(record)
        return found

    def missing(self) -> list[Case]:
        """The manifest's cases that have no record, in order."""
        return [case for case in self.manifest.cases if not self.record_path(case).exists()]

    def extend(self, cases: Sequence[Case]) -> None:
        """Add cases to the manifest, written whole or not at all; those that it has already are left as they are.

        Raises:
            StoreError: it cannot be written.
        """
        new = [case for case in dict.fromkeys(cases) if case.id not in self._by_id]
        manifest = self.manifest.model_copy(update={"cases": (*self.manifest.cases, *new)})
        write_atomically(self.path / MANIFEST, manifest.model_dump_json(indent=1) + "\n")
        self.manifest = manifest
        self._by_id |= {case.id: case for case in new}

    def append_event(self, case: Case, event: Mapping[str, Any]) -> None:
        """Add a line to the event log.

        Raises:
            StoreError: it cannot be written.
        """
        line = json.dumps({"case_id": case.id, **event}, separators=(",", ":"), allow_nan=False) + "\n"
        path = self.path / EVENTS
        try:
            with path.open("a", encoding="utf-8", newline="\n") as file:
                file.write(line)
        except OSError as error:
            raise StoreError(f"cannot write {path}: {error.strerror or error}; free space, then --resume") from error

    def events(self, case: Case) -> Iterator[Event]:
        """The case's events in the order in which they were reported, read as they are asked for.

        Raises:
            StoreError: the event log cannot be read, or a line of it is no event.
        """
        path = self.path / EVENTS
        if not path.exists():
            return
        try:
            with path.open("rb") as file:
                for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES), b""), 1):
                    if (event := _event(line, case.id, f"{path}, line {number}")) is not None:
                        yield event
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror or error}") from error

    def write_record(self, record: Record) -> None:
        """Write a case's record, whole or not at all.

        Raises:
            StoreError: it cannot be written.
        """
        write_atomically(self.record_path(record.case), record.model_dump_json(indent=1) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Write a report beside the manifest, whole or not at all.

        Raises:
            StoreError: it cannot be written.
        """
        write_atomically(self.path / name, text)


def runs_in(folder: Path) -> list[Path]:
    """The folder itself where it is a run, or where it holds none; else the runs that stand in it, by name."""
    if (folder / MANIFEST).exists() or not folder.is_dir():
        return [folder]
    return sorted(each.parent for each in folder.glob(f"*/{MANIFEST}")) or [folder]
