"""Merge runs from machines that never met into one store, so that nothing overwrites and no order matters.

A merged store is a folder of runs:

    runs/MACHINE-DIGEST/     one run: its manifest, its events by case, a record a case, its other machines' cards
        conflicts/           where two copies of one run disagree over a case: every version, and no record in records/

A run is known by its machine and by the digest of its manifest, so two copies of a run are one and two runs of one
machine are two. The merge is a union of sets: in any order, any grouping and any number of times it gives the same
bytes. Logs and tables are left behind: the former may name people and paths, the latter are made again.

Nothing of the inputs becomes a path: folders and files are named by ids that are computed from validated content.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from lenet.cases.case import Case
from lenet.errors import StoreError, reason
from lenet.files.folder import Folder, scan
from lenet.files.text import write_atomically
from lenet.machine.card import MachineCard
from lenet.store import machines
from lenet.store.eventlog import decode
from lenet.store.events import MAX_LINE_BYTES
from lenet.store.manifest import EVENTS, MANIFEST, RUNS, Manifest, read_model, run_folders
from lenet.store.record import Record

CONFLICTS = "conflicts"

Stream = tuple[str, ...]
"""A case's events, a JSON line each."""


@dataclass
class Merged:
    """One run, as the union of its copies."""

    manifest: Manifest
    records: dict[str, set[str]] = field(default_factory=dict)
    """Every version of each case's record, as text."""
    streams: dict[str, set[Stream]] = field(default_factory=dict)
    """Every version of each case's events, none of which is the beginning of another."""
    cards: dict[str, str] = field(default_factory=dict)
    """The cards of the other machines that its records are of, as text. A machine's load when its card was made differs
    between copies: of several cards the first as text is taken."""

    @property
    def name(self) -> str:
        """A name of the machine and the run; safe as a folder's."""
        digest = hashlib.sha256(self.manifest.model_dump_json().encode()).hexdigest()[:12]
        return f"{self.manifest.machine.id}-{digest}"

    def add(self, other: Merged) -> None:
        """Make this the union of both."""
        for machine, text in other.cards.items():
            self.cards[machine] = min(text, self.cards.get(machine, text))
        for case_id, texts in other.records.items():
            self.records.setdefault(case_id, set()).update(texts)
        for case_id, streams in other.streams.items():
            self.streams[case_id] = longest(self.streams.get(case_id, set()) | streams)

    def conflicts(self) -> list[str]:
        """The cases over which copies disagree."""
        records = {case_id for case_id, found in self.records.items() if len(found) > 1}
        return sorted(records | {case_id for case_id, found in self.streams.items() if len(found) > 1})


class Repeated(NamedTuple):
    """One case that one machine measured in several runs; all are kept."""

    machine: str
    case: str
    runs: tuple[str, ...]


def longest(streams: set[Stream]) -> set[Stream]:
    """The streams that are not the beginning of another: a copy that was taken early adds nothing."""
    ordered = sorted(streams)
    # In sorted order a beginning stands directly before the first of those that go on from it.
    followed = {a for a, b in pairwise(ordered) if b[: len(a)] == a}
    return streams - followed


def union(runs: Iterable[Merged]) -> dict[str, Merged]:
    """Runs by their names, copies of a run as one."""
    found: dict[str, Merged] = {}
    for each in runs:
        if each.name in found:
            found[each.name].add(each)
        else:
            found[each.name] = Merged(each.manifest)
            found[each.name].add(each)
    return found


def repeated(runs: Iterable[Merged]) -> list[Repeated]:
    """Cases that one machine measured in more than one run, with different records."""
    seen: dict[tuple[str, str], set[str]] = {}
    for each in runs:
        for case_id, texts in each.records.items():
            for machine in {json.loads(text)["machine_id"] for text in texts}:
                seen.setdefault((machine, case_id), set()).add(each.name)
    return [
        Repeated(machine, case_id, tuple(sorted(by_run)))
        for (machine, case_id), by_run in sorted(seen.items())
        if len(by_run) > 1
    ]


def read(root: Path) -> list[Merged]:
    """The runs in a folder: a run's or a merged store's.

    Raises:
        StoreError: it holds no run, or a file of one is damaged, too large or of another case or machine.
    """
    return [_read_run(each) for each in run_folders(root)]


def _read_run(root: Path) -> Merged:
    listing = scan(root)
    manifest = read_model(root / MANIFEST, Manifest)
    merged = Merged(manifest)
    for name in listing.files:
        if machines.CARD.fullmatch(name):
            merged.cards |= _card(listing, name)
    cases = {case.id: case for case in manifest.cases}
    for name in sorted(listing.files):
        room, _, rest = name.partition("/")
        # In conflicts/ a digest follows the case id; what the file is of, its content says.
        if room == "records" or (room == CONFLICTS and rest.endswith(".json")):
            record = read_model(root / name, Record)
            _belongs(root / name, record, cases, {manifest.machine.id, *merged.cards})
            merged.records.setdefault(record.case.id, set()).add(record.model_dump_json(indent=1) + "\n")
        elif name == EVENTS or (room == CONFLICTS and rest.endswith(".jsonl")):
            for case_id, stream in _streams(listing, name, cases).items():
                merged.streams[case_id] = longest(merged.streams.get(case_id, set()) | {stream})
    return merged


def _card(listing: Folder, name: str) -> dict[str, str]:
    card = read_model(listing.root / name, MachineCard)
    if name != machines.file_name(card.id):
        raise StoreError(f"{listing.root / name} is the card of another machine: see lenet-bench verify")
    return {card.id: card.model_dump_json(indent=1) + "\n"}


def _belongs(path: Path, record: Record, cases: dict[str, Case], known: set[str]) -> None:
    if record.case.id not in cases or record.case_id != record.case.id:
        raise StoreError(f"{path} is the record of no case that its run lists: see lenet-bench verify")
    if record.machine_id not in known:
        raise StoreError(f"{path} is of a machine whose card its run does not have: see lenet-bench verify")


def _streams(listing: Folder, name: str, cases: dict[str, Case]) -> dict[str, Stream]:
    found: dict[str, list[str]] = {}
    try:
        for number, line in enumerate(listing.lines(name, MAX_LINE_BYTES), 1):
            try:
                logged = decode(line)
            except ValueError as error:
                raise StoreError(f"{listing.root / name}, line {number} is no event: see lenet-bench verify") from error
            if logged.case_id not in cases:
                raise StoreError(f"{listing.root / name}, line {number} is of no case that its run lists")
            found.setdefault(logged.case_id, []).append(logged.encode())
    except OSError as error:
        raise StoreError(f"cannot read {listing.root / name}: {reason(error)}") from error
    return {case_id: tuple(lines) for case_id, lines in found.items()}


def write(target: Path, runs: Iterable[Merged]) -> None:
    """Write a merged store; a file that is there with the same content is left alone.

    Raises:
        StoreError: the folder cannot be written.
    """
    for each in runs:
        root = target / RUNS / each.name
        try:
            (root / "records").mkdir(parents=True, exist_ok=True)
            _write_run(root, each)
        except OSError as error:
            raise StoreError(f"cannot write {root}: {reason(error)}; choose another --output") from error


def _write_run(root: Path, run: Merged) -> None:
    wanted = {MANIFEST: run.manifest.model_dump_json(indent=1) + "\n"}
    wanted |= {machines.file_name(machine): text for machine, text in run.cards.items()}
    events: list[str] = []
    disputed = set(run.conflicts())
    for case_id in (case.id for case in run.manifest.cases):
        records, streams = run.records.get(case_id, set()), run.streams.get(case_id, set())
        if case_id not in disputed:
            wanted |= {f"records/{case_id}.json": text for text in records}
            events += [line for stream in streams for line in stream]
            continue
        for text in records:
            wanted[_version(case_id, text, "json")] = text
        for stream in streams:
            text = "".join(f"{line}\n" for line in stream)
            wanted[_version(case_id, text, "jsonl")] = text
    wanted[EVENTS] = "".join(f"{line}\n" for line in events)
    if disputed:
        (root / CONFLICTS).mkdir(exist_ok=True)
    for name, text in sorted(wanted.items()):  # conflicts/ comes first: a version is never only in memory
        path = root / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_atomically(path, text)
    for room in ("records", CONFLICTS):
        for path in (root / room).glob("*"):
            if f"{room}/{path.name}" not in wanted:
                path.unlink()
    if not disputed:
        shutil.rmtree(root / CONFLICTS, ignore_errors=True)


def _version(case_id: str, text: str, ending: str) -> str:
    return f"{CONFLICTS}/{case_id}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.{ending}"


def merge(sources: Iterable[Path], target: Path) -> dict[str, Merged]:
    """Merge the runs of `sources`, and of `target` where it is a merged store already, into `target`.

    Raises:
        StoreError: a source is no run or damaged, or `target` holds something else or cannot be written.
    """
    runs = [run for source in sources for run in read(source)]
    try:
        taken = target.exists() and (not target.is_dir() or any(target.iterdir()))
    except OSError as error:
        raise StoreError(f"cannot read {target}: {reason(error)}") from error
    if taken:
        if (target / MANIFEST).exists() or not (target / RUNS).is_dir():
            raise StoreError(f"{target} is no merged store: choose another --output")
        runs += read(target)
    found = union(runs)
    write(target, found.values())
    return found
