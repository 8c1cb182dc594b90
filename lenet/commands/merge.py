"""Merge runs from machines that never met into one store, so that nothing overwrites and no order matters.

A merged store is a folder of runs:

    runs/MACHINE-DIGEST/     one run: its manifest, events, records, superseded records, other machines' cards
        conflicts/           if two copies of one run disagree over a case: every version, and no record in records/

Logs and tables are omitted: logs may name people and paths, and tables are rendered again. What is read becomes no
path: folders and files are named by ids that are computed from validated content. A run is sealed when it is whole.

A submission (`lenet.store.submission`) keeps its bytes, and with them its seal and its signature:

    MACHINE/NAME-DIGEST/     the run of a submission, if it is verified
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lenet.analysis.merge import CONFLICTS, MergedRun, Stream, longest, union
from lenet.cases.case import Case
from lenet.commands.verify import verify
from lenet.errors import StoreError, failing_as
from lenet.files.folder import Folder, scan
from lenet.files.text import make_folder, read_text, write_atomically
from lenet.machine.card import MachineCard
from lenet.store.eventlog import decode
from lenet.store.events import MAX_LINE_BYTES
from lenet.store.manifest import (
    CARD,
    EVENTS,
    MANIFEST,
    RECORDS,
    RUNS,
    SUPERSEDED,
    Manifest,
    card_name,
    read_model,
    run_folders,
)
from lenet.store.record import Record
from lenet.store.seal import SEAL, SIGNATURE, break_seal, seal_faults, write_seal
from lenet.store.signature import Signer
from lenet.store.submission import unpacked


@dataclass(frozen=True)
class Admission:
    """The result of taking in one submission."""

    folder: Path | None
    """Where its run is now; None if it was refused."""
    new: bool = False
    """False if the run was there already."""
    refused: Sequence[str] = ()
    """Why, a line each."""
    signer: Signer | None = None


def admit(submission: Path, target: Path, allowed: Path | None = None) -> Admission:
    """Verify a submission and put its run into `target`, a folder of runs by machine; the trainings are not recomputed.

    Raises:
        StoreError: the file is no submission, or `target` is a run or cannot be written.
        UsageError: the run is newer than this program.
    """
    if (target / MANIFEST).exists():
        raise StoreError(f"{target} is a run: choose a folder of runs, as results")
    make_folder(target)
    with unpacked(submission, target) as run:
        result = verify(run, allowed=allowed)
        if result.violations:
            return Admission(None, refused=[str(each) for each in result.violations])
        manifest = read_model(run / MANIFEST, Manifest)
        place = target / manifest.machine.id / f"{manifest.matrix.name}-{manifest.digest}"
        if place.exists() or place.is_symlink():
            if not place.is_symlink() and read_text(place / SEAL) == read_text(run / SEAL):
                if (run / SIGNATURE).exists() and not (place / SIGNATURE).exists():
                    write_atomically(place / SIGNATURE, read_text(run / SIGNATURE))
                return Admission(place, signer=result.signer)
            return Admission(None, refused=[f"{place} is there already, and differs: remove one of them"])
        make_folder(place.parent)
        with failing_as(StoreError, f"cannot write {place}"):
            run.rename(place)
        return Admission(place, new=True, signer=result.signer)


def merge(sources: Iterable[Path], target: Path) -> dict[str, MergedRun]:
    """Merge the runs of `sources` into `target`, and keep those that it holds if it is a merged store already.

    Raises:
        StoreError: a source is no run or damaged, or `target` holds something else or cannot be written.
    """
    runs = [run for source in sources for run in read(source)]
    with failing_as(StoreError, f"cannot read {target}"):
        taken = target.exists() and (not target.is_dir() or any(target.iterdir()))
    if taken:
        if (target / MANIFEST).exists() or not (target / RUNS).is_dir():
            raise StoreError(f"{target} is no merged store: choose another --output")
        runs += read(target)
    merged = union(runs)
    for run in merged.values():
        _write(target / RUNS / run.name, run)
    return merged


def read(root: Path) -> list[MergedRun]:
    """The runs in the folder of a run or a merged store.

    Raises:
        StoreError: it holds no run, or a file of one is damaged, too large or of another case or machine.
    """
    return [_read(each) for each in run_folders(root)]


def _read(root: Path) -> MergedRun:
    folder = scan(root)
    if SEAL in folder.files:
        for fault in seal_faults(folder, read_text(root / SEAL)):
            raise StoreError(f"{root / fault.file} {fault.message}: see `lenet-bench verify`")
    run = MergedRun(read_model(root / MANIFEST, Manifest))
    for name in folder.files:
        if CARD.fullmatch(name):
            run.cards |= _card(root / name)
    cases = {case.id: case for case in run.manifest.cases}
    known = {run.manifest.machine.id, *run.cards}
    for name in sorted(folder.files):
        inside, _, file = name.partition("/")
        # In conflicts/ a digest follows the case id: what the file is of is read from its content.
        if inside == RECORDS or (inside == CONFLICTS and file.endswith(".json")):
            case_id, text = _record(root / name, cases, known)
            run.records[case_id].add(text)
        elif inside == SUPERSEDED and not file.startswith("manifest."):
            case_id, text = _record(root / name, cases, None)
            run.superseded[case_id].add(text)
        elif name == EVENTS or (inside == CONFLICTS and file.endswith(".jsonl")):
            for case_id, stream in _streams(folder, name, cases).items():
                run.streams[case_id] = longest(run.streams[case_id] | {stream})
    for case_id, texts in run.records.items():
        run.superseded[case_id] -= texts  # kept aside by a process that was killed before it wrote the next record
    return run


def _card(path: Path) -> dict[str, str]:
    card = read_model(path, MachineCard)
    if path.name != card_name(card.id):
        raise StoreError(f"{path} is the card of another machine: see `lenet-bench verify`")
    return {card.id: card.model_dump_json(indent=1) + "\n"}


def _record(path: Path, cases: Mapping[str, Case], known_machines: set[str] | None) -> tuple[str, str]:
    """The case id and the text of a record, which must be of one of the cases and, if they are given, machines."""
    record = read_model(path, Record)
    if record.case.id not in cases or record.case_id != record.case.id:
        raise StoreError(f"{path} is the record of no case that its run lists: see `lenet-bench verify`")
    if known_machines is not None and record.machine_id not in known_machines:
        raise StoreError(f"{path} is of a machine whose card its run does not have: see `lenet-bench verify`")
    return record.case.id, record.model_dump_json(indent=1) + "\n"


def _streams(folder: Folder, name: str, cases: Mapping[str, Case]) -> dict[str, Stream]:
    found: dict[str, list[str]] = {}
    path = folder.root / name
    with failing_as(StoreError, f"cannot read {path}"):
        for number, line in enumerate(folder.lines(name, MAX_LINE_BYTES), 1):
            try:
                logged = decode(line)
            except ValueError as error:
                raise StoreError(f"{path}, line {number} is no event: see `lenet-bench verify`") from error
            if logged.case_id not in cases:
                raise StoreError(f"{path}, line {number} is of no case that its run lists")
            found.setdefault(logged.case_id, []).append(logged.encode())
    return {case_id: tuple(lines) for case_id, lines in found.items()}


def _write(root: Path, run: MergedRun) -> None:
    """Write a run and seal it if it is whole; a file with the same content is not written again."""
    files = run.files()
    with failing_as(StoreError, f"cannot write {root}", "choose another --output"):
        for inside in {name.partition("/")[0] for name in files if "/" in name} | {RECORDS}:
            (root / inside).mkdir(parents=True, exist_ok=True)
        first = (CONFLICTS, SUPERSEDED)  # before the records that they replace: a version is never only in memory
        changed = [name for name, text in files.items() if not _holds(root / name, text)]
        unwanted = [path for inside in (RECORDS, CONFLICTS) for path in (root / inside).glob("*")]
        unwanted = [path for path in unwanted if f"{path.parent.name}/{path.name}" not in files]
        if changed or unwanted:
            break_seal(root)
        for name in sorted(changed, key=lambda name: (not name.startswith(first), name)):
            write_atomically(root / name, files[name])
        for path in unwanted:
            path.unlink()
        if not run.conflicts():
            shutil.rmtree(root / CONFLICTS, ignore_errors=True)
    if all(f"{RECORDS}/{case.id}.json" in files for case in run.manifest.cases):
        write_seal(root)


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text
