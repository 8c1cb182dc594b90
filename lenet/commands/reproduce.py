"""Reproduce what a record claims: its cases run again here, as a run of their own, and judged claim by claim."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from lenet import __version__
from lenet.analysis.reproduce import Claim, claims
from lenet.analysis.traces import losses
from lenet.cases.case import Frozen
from lenet.cases.matrix import Matrix
from lenet.commands.run import Find, Log, Run, begin
from lenet.dataset import Dataset
from lenet.engine import Engine, Observer, TimeLimits, choose
from lenet.engine.environments import recorded, releases
from lenet.engine.local import LocalEngine
from lenet.engine.process import worker_command
from lenet.errors import DatasetError, StoreError, UsageError, reason
from lenet.files.http import Client, DownloadError
from lenet.files.plain import read_named
from lenet.files.text import MAX_FILE_BYTES
from lenet.machine.card import MachineCard
from lenet.store.manifest import MANIFEST, run_folders
from lenet.store.record import SCHEMA_VERSION, Record, Status
from lenet.store.run import Store

MADE = (Status.OK, Status.PLATEAU)
"""Records that claim something."""


@dataclass(frozen=True)
class Original:
    """What is to be reproduced. A record by itself has neither events nor the machine's card."""

    records: tuple[Record, ...]
    store: Store | None = None

    @property
    def machine(self) -> MachineCard | None:
        """The card of the machine that made it, where the run is at hand."""
        return self.store.manifest.machine if self.store else None

    def choose(self, ids: Sequence[str] = ()) -> list[Record]:
        """The records of these cases, or of all that claim something.

        Raises:
            UsageError: an id is of no case here, or nothing is claimed.
        """
        known = {record.case_id: record for record in self.records}
        for wanted in ids:
            if wanted not in known:
                raise UsageError(f"--case {wanted}: no such record; there are {', '.join(sorted(known)[:8]) or 'none'}")
        chosen = [known[wanted] for wanted in dict.fromkeys(ids)] if ids else list(self.records)
        chosen = [record for record in chosen if record.status in MADE and record.dataset is not None]
        if not chosen:
            raise UsageError("there is nothing to reproduce: no case of these ended well")
        return chosen


def load(source: str) -> Original:
    """A run's folder, a record's file, or a record's https address.

    Raises:
        StoreError: it is none of these, or it is damaged.
        UsageError: an address that is not https, that cannot be downloaded or whose content is too large.
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", source):
        try:
            return Original((_record(Client().download(source, MAX_FILE_BYTES), source),))
        except DownloadError as error:
            raise UsageError(f"cannot download {source}: {error}") from error
    path = Path(source)
    if path.is_dir():
        folders = run_folders(path)
        if folders != [path]:
            raise StoreError(f"{source} holds {len(folders)} runs: name one of them, as {folders[0]}")
        store = Store.open(path)
        return Original(tuple(store.records()), store)
    if not path.is_file():
        raise StoreError(f"{source} is not there: name a run's folder, a record's file or its https address")
    try:
        data = read_named(path, MAX_FILE_BYTES)
    except OSError as error:
        raise StoreError(f"cannot read {source}: {reason(error)}") from error
    record = _record(data, source)
    # A record that stands in its run brings the run's events and card with it.
    folder = path.resolve().parent.parent
    if (folder / MANIFEST).is_file():
        store = Store.open(folder)
        if record.case in store.manifest.cases:
            return Original((record,), store)
    return Original((record,))


def _record(data: bytes, source: str) -> Record:
    try:
        record = Record.model_validate_json(data)
    except ValidationError as error:
        raise StoreError(f"{source} is not a record of schema {SCHEMA_VERSION}: {reason(error)}") from error
    if record.case_id != record.case.id:
        raise StoreError(f"{source} is damaged: its case is not the one it is named after")
    return record


def recorded_interpreter(original: Original, records: Sequence[Record], log: Log) -> str:
    """The interpreter of an environment with the packages that the records' machine had; it is built if it is missing.

    Raises:
        UsageError: the machine's card is missing, or a recorded version cannot be installed.
        CacheError: the cache cannot be written.
    """
    if original.machine is None:
        raise UsageError("--exact needs the run's folder: a record alone does not list its packages")
    frameworks = [record.case.framework for record in records]
    return recorded.build(original.machine.packages, original.machine.python, frameworks, log)


def engine(limits: TimeLimits, observer: Observer, python: str | None) -> Engine:
    """The engine on this machine; `python` is the interpreter of all workers, whatever release a case names."""
    if python is None:
        return choose("local", limits, observer)
    return LocalEngine(limits, observer, worker_command(python), interpreter=lambda *_: python)


def prepare(
    records: Sequence[Record],
    find: Find,
    log: Log,
    output: Path | None = None,
    *,
    resume: Path | None = None,
    exact: bool = False,
) -> Run:
    """Begin or resume a run of exactly these records' cases, with the same data.

    The environments of the releases that cases name are made first, unless `exact`: one environment runs all of them.

    Raises:
        DatasetError: the data cannot be had, or is not what it was.
        UsageError: the cases cannot be one run.
        StoreError: the folder cannot be written.
    """
    cases = [record.case for record in records]
    cards = {record.case.dataset: record.dataset for record in records}

    def same_data(name: str) -> Dataset:
        found = find(name)
        then = cards[name]
        if then is not None and found.card.sha256 != then.sha256:
            raise DatasetError(f"{name} is {found.card.sha256[:12]}… here and was {then.sha256[:12]}…: other data")
        return found

    matrix = Matrix.around(cases, "reproduction", f"{len(cases)} recorded cases again")
    if not exact:
        releases.prepare(cases, log)
    return begin(cases, same_data, output, resume=resume, matrix=matrix)


class Difference(Frozen):
    """Something that was not here as it was then."""

    name: str
    then: str
    now: str


class Reproduction(Frozen):
    """The outcome, as it is written beside the new records."""

    lenet_bench_version: str = __version__
    claims: tuple[Claim, ...]
    differences: tuple[Difference, ...]


def outcome(original: Original, records: Sequence[Record], run: Run) -> Reproduction:
    """Every claim of the chosen records, judged by the run that was made of them.

    Raises:
        StoreError: events of either cannot be read.
    """
    now = {record.case: record for record in run.store.records()}
    judged = [
        claim
        for then in records
        if then.case in now
        for claim in claims(
            then,
            now[then.case],
            losses(original.store, then.case) if original.store else [],
            losses(run.store, then.case),
        )
    ]
    return Reproduction(claims=tuple(judged), differences=tuple(differences(original, records, run)))


def differences(original: Original, records: Sequence[Record], run: Run) -> list[Difference]:
    """Versions and hardware that differ, software as the workers saw it first."""
    now = {record.case: record for record in run.store.records()}
    found: dict[str, Difference] = {}

    def note(name: str, a: object, b: object) -> None:
        if a != b:
            found.setdefault(name, Difference(name=name, then=str(a or "unknown"), now=str(b or "unknown")))

    for then in records:
        here = now.get(then.case)
        if here is None or then.software is None or here.software is None:
            continue
        note(then.case.framework.value, then.software.framework_version, here.software.framework_version)
        note("python", then.software.python_version, here.software.python_version)
        note("numpy", then.software.numpy_version, here.software.numpy_version)
    note("machine", records[0].machine_id, run.store.manifest.machine.id)
    if original.store is not None and original.machine is not None:
        there, machine = original.machine, run.store.manifest.machine
        note("lenet-bench", original.store.manifest.lenet_bench_version, __version__)
        note("system", there.system, machine.system)
        note("instruction sets", " ".join(there.instruction_sets), " ".join(machine.instruction_sets))
    return list(found.values())
