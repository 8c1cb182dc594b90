"""Reproduce what a record claims: its cases run again here, in a run of their own, with a verdict on each claim."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from lenet import __version__
from lenet.analysis.reproduce import Claim, Reproduction, claims, differences, training
from lenet.analysis.traces import losses
from lenet.analysis.training import RecordedTraining
from lenet.cases.claims import Publication
from lenet.cases.frameworks import ABILITIES
from lenet.cases.matrix import Matrix
from lenet.commands.measurement import Find, Log, Run, begin, with_devices
from lenet.commands.recompute import STEPS, Progress, prove_run
from lenet.dataset import Dataset
from lenet.engine import Engine, Observer, TimeLimits, choose
from lenet.engine.environments import recorded, releases
from lenet.engine.local import LocalEngine
from lenet.engine.process import worker_command
from lenet.errors import DatasetError, StoreError, UsageError, failing_as, reason
from lenet.files.http import Client, DownloadError
from lenet.files.plain import read_named
from lenet.files.text import MAX_FILE_BYTES
from lenet.report.table.words import count
from lenet.store.manifest import MANIFEST, run_folders
from lenet.store.proof import TrainingProof
from lenet.store.record import SCHEMA_VERSION, Record
from lenet.store.run import Store

PROVE_SECONDS = 60.0
"""For recomputing trainings, however short they were: a verdict on them is wanted."""


@dataclass(frozen=True)
class Original:
    """What is to be reproduced. A record without its run has neither events nor the machine's card."""

    records: tuple[Record, ...]
    store: Store | None = None

    def choose(self, ids: Sequence[str] = ()) -> list[Record]:
        """The records with a result, of these case ids or of all cases.

        Raises:
            UsageError: there is no case of an id, or no record with a result.
        """
        known = {record.case_id: record for record in self.records}
        for wanted in ids:
            if wanted not in known:
                raise UsageError(f"--case {wanted}: no such record; there are {', '.join(sorted(known)[:8]) or 'none'}")
        chosen = [known[wanted] for wanted in dict.fromkeys(ids)] if ids else list(self.records)
        chosen = [record for record in chosen if record.status.complete and record.dataset is not None]
        if not chosen:
            raise UsageError("there is nothing to reproduce: none of these cases has a result")
        return chosen


def load(source: str) -> Original:
    """Read a run's folder, a record's file, or a record at an https address.

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
    if not path.exists():
        raise StoreError(
            f"{source} does not exist: name a run's folder, a record's file, its https address, or a name of --list"
        )
    with failing_as(StoreError, f"cannot read {source}"):
        data = read_named(path, MAX_FILE_BYTES)
    record = _record(data, source)
    # With a record in its run come the run's events and card.
    folder = Path(os.path.realpath(path)).parent.parent
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
        raise StoreError(f"{source} is damaged: its case is not that of its case_id")
    return record


def recorded_interpreter(original: Original, records: Sequence[Record], log: Log) -> str:
    """The interpreter of an environment with the packages that the records' machine had; it is built if it is missing.

    Raises:
        UsageError: the machine's card is missing, a case ran in an environment of its own, or a recorded version cannot
            be installed.
        CacheError: the cache cannot be written.
    """
    if original.store is None:
        raise UsageError("--exact needs the run's folder: a record alone does not list its packages")
    machine = original.store.manifest.machine
    for case in (record.case for record in records):
        if case.framework_version not in (None, machine.packages.get(ABILITIES[case.framework].package)):
            raise UsageError(
                f"--exact builds the environment of the command, and {case.id} ran on {case.framework.value} "
                f"{case.framework_version} in one of its own: omit --exact"
            )
    return recorded.build(machine.packages, machine.python, [record.case.framework for record in records], log)


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
    resume: Path | None = None,
    *,
    exact: bool = False,
) -> Run:
    """Begin or resume a run of exactly these records' cases, with the same data.

    The environments of the releases that cases name are made first, unless `exact`: one environment runs all of them.

    Raises:
        DatasetError: the data is not available, or other data than then.
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

    matrix = Matrix.around(cases, "reproduction", f"{count(len(cases), 'recorded case')} again")
    if not exact:
        releases.prepare(cases, log)
    return begin(cases, same_data, output, resume=resume, matrix=matrix)


def prepare_published(
    publication: Publication,
    axes: Mapping[str, str],
    find: Find,
    log: Log,
    output: Path | None = None,
    resume: Path | None = None,
) -> Run:
    """Begin or resume a run of the publication's matrix, with the options `axes` in place of its values.

    Raises:
        UsageError: an impossible value, or a release that cannot be installed.
        Others as `prepare`.
    """
    matrix = with_devices(publication.matrix, axes)
    cases = matrix.cases()
    releases.prepare(cases, log)
    return begin(cases, find, output, resume=resume, matrix=matrix)


def prove(
    original: Original, records: Sequence[Record], run: Run, measured_seconds: float, progress: Progress | None = None
) -> dict[str, TrainingProof]:
    """Recompute the trainings of the run, as `run` does, and those of the records that it was made of.

    Returns the results of the records, by case; none if they have no events.

    Raises:
        StoreError: events of either run cannot be read.
    """
    store = original.store
    then = [RecordedTraining.of(record, store.events(record.case), STEPS) for record in records] if store else []
    return prove_run(run.store, run.datasets, measured_seconds, progress, then, PROVE_SECONDS)


def evaluate(
    original: Original, records: Sequence[Record], run: Run, proofs: Mapping[str, TrainingProof]
) -> Reproduction:
    """A verdict on every claim of the chosen records, from the run that was made of them.

    `proofs` are the results of recomputing the records' trainings.

    Raises:
        StoreError: events of either run cannot be read.
    """
    here = run.store.proofs()
    new = {record.case: record for record in run.store.records()}
    pairs = [(old, new[old.case]) for old in records if old.case in new]
    tested: list[Claim] = []
    for old, now in pairs:
        before = losses(original.store, old.case) if original.store else []
        proved = training(proofs.get(old.case_id), here.get(now.case_id))
        tested += claims(old, now, before, losses(run.store, old.case), proved)
    then = original.store.manifest if original.store else None
    return Reproduction(
        lenet_bench_version=__version__,
        claims=tuple(tested),
        differences=tuple(differences(pairs, then, run.store.manifest)),
    )
