"""The content of a report, gathered from runs on disk. Reads folders; never runs anything."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lenet.analysis.bands import Reference
from lenet.analysis.checked import marked
from lenet.analysis.references import shipped
from lenet.cases.case import DeviceTarget
from lenet.errors import StoreError, UsageError
from lenet.machine.card import MachineCard
from lenet.report.content.traces import Trace, read_traces
from lenet.report.layout import clean
from lenet.report.table.groups import Group, grouped
from lenet.report.table.rows import Row, rows
from lenet.report.table.words import unique
from lenet.store.manifest import EVENTS, Manifest, run_folders
from lenet.store.record import Record
from lenet.store.run import Store


@dataclass(frozen=True)
class Entry:
    """A record and its row."""

    row: Row
    record: Record

    @property
    def checked(self) -> Record:
        """The record, with the status `invalid` if a check of the training failed."""
        return marked(self.record, self.row.fault)


@dataclass(frozen=True)
class Report:
    """Everything that a report shows in any form: page, Markdown and terminal read this."""

    entries: Sequence[Entry]
    groups: Sequence[Group]
    runs: Mapping[str, Manifest]
    """By name, the oldest first."""
    machines: Mapping[str, MachineCard]
    traces: Sequence[Trace]
    references: Sequence[Reference]
    """What the trainings are compared with."""
    notes: Sequence[str] = ()
    """What could not be read, one sentence each."""
    folders: Mapping[str, Path] = field(default_factory=dict)
    """Where each run is, by its name."""

    @property
    def rows(self) -> list[Row]:
        """One row per record, in a table's order."""
        return [entry.row for entry in self.entries]

    def machine(self, name: str) -> str:
        """A machine in one line, or its name if its card is unknown."""
        card = self.machines.get(name)
        return card.summary if card else name or "unknown machine"

    @functools.cached_property
    def machine_names(self) -> Mapping[str, str]:
        """Short names: the processor, with what tells machines apart that have the same."""
        for name in (_processor, _processor_and_cores):
            names = {key: name(card) for key, card in self.machines.items()}
            if len(set(names.values())) == len(names):
                return names
        return {key: f"{_processor(card)} {key.rpartition('-')[2]}" for key, card in self.machines.items()}

    def short_machine(self, name: str) -> str:
        """A machine in a label or a sentence."""
        return self.machine_names.get(name) or name or "unknown machine"


def _processor(card: MachineCard) -> str:
    """The processor and the accelerators, without trademarks and clock."""
    words = re.sub(r"\((?:R|TM)\)| Processor$|@.*", " ", clean(card.cpu)).split() or ["machine"]
    return " ".join([*words, *dict.fromkeys(clean(gpu.partition(", ")[0]) for gpu in card.gpus)])


def _processor_and_cores(card: MachineCard) -> str:
    return f"{_processor(card)}, {card.usable_cores} cores"


def find_runs(folders: Sequence[Path]) -> list[tuple[Path, str]]:
    """Every run in or below the folders with its name in the report, in the order of the names.

    A folder that is a run has its own name, a run below it the path from there; equal names are numbered.

    Raises:
        StoreError: a folder does not exist or holds no run.
    """
    found: dict[Path, str] = {}
    for folder in folders:
        for path in run_folders(folder):
            name = path.relative_to(folder).as_posix()
            found.setdefault(Path(os.path.realpath(path)), clean(folder.resolve().name if name == "." else name))
    return list(zip(found, unique(found.values()), strict=True))


def gather(folders: Sequence[Path], references: Sequence[Reference] | None = None) -> Report:
    """The content of a report on the runs in or below the folders. A run below that cannot be read becomes a note.

    Trainings are compared with `references`, by default those in the package.

    Raises:
        UsageError: no run holds a record.
        StoreError: a folder holds no run, or a run named in `folders` is damaged or newer than this program.
    """
    known = shipped() if references is None else references
    named = {Path(os.path.realpath(folder)) for folder in folders}  # links in a ring are no error here
    entries: list[Entry] = []
    manifests: dict[str, Manifest] = {}
    machines: dict[str, MachineCard] = {}
    stores: list[tuple[str, Store]] = []
    notes: list[str] = []
    found = find_runs(folders)
    for path, name in found:
        try:
            store = Store.open(path)
            records, proofs = store.records(), store.proofs()
        except StoreError as error:
            if path in named:
                raise
            notes.append(f"left out: {str(error).replace(str(path), name)}")
            continue
        manifests[name] = store.manifest
        machines |= store.cards()
        by_id = {record.case_id: record for record in records}
        entries += [Entry(row, by_id[row.case_id]) for row in rows(records, name, known, proofs)]
        if (path / EVENTS).is_file():
            stores.append((name, store))
    if not entries:
        raise UsageError("there is no record to report: `lenet-bench run --resume RUN` measures what is missing")
    traces = read_traces(stores, notes)
    order = [target.value for target in DeviceTarget]
    entries.sort(key=lambda entry: order.index(entry.row.device_target))
    return Report(
        entries=entries,
        groups=grouped([entry.row for entry in entries]),
        runs=dict(sorted(manifests.items(), key=lambda item: item[1].created_at)),
        machines=machines,
        traces=traces,
        references=known,
        notes=[clean(note) for note in notes],
        folders={name: path for path, name in found},
    )
