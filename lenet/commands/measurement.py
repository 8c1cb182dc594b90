"""Runs: begun from cases or resumed from a folder, measured by an engine, and kept in a store.

Every command that measures, and `pytest bench/`, begins its run here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from lenet.cases.case import Case
from lenet.cases.matrix import Matrix
from lenet.cases.presets import override
from lenet.cases.profile import ALLOCATORS
from lenet.dataset import Dataset
from lenet.engine import Engine
from lenet.errors import StoreError, UsageError, failing_as
from lenet.files.cache import named_by
from lenet.files.text import make_folder
from lenet.machine.card import MachineCard, describe, present_devices
from lenet.machine.cores import usable_cores
from lenet.machine.installed import has_library
from lenet.machine.platforms import measurable
from lenet.report import render, rows
from lenet.report.table.forms import TABLES
from lenet.report.table.rows import Row
from lenet.store.freshness import CaseState, Conditions, changes, conditions, outstanding, states
from lenet.store.profiles import resolve
from lenet.store.record import Record, Status
from lenet.store.run import Store

RESULTS = "LENET_BENCH_RESULTS"
"""Environment variable: the folder in which runs without a folder of their own are made."""

Find = Callable[[str], Dataset]
"""Finds a dataset by its name."""
Log = Callable[[str], None]
"""Is called with each message that a user reads while the command runs."""


@dataclass(frozen=True)
class Run:
    """A store, with what is needed to measure its cases.

    Methods raise `StoreError` if a record is damaged or the run cannot be written; finished records are intact.
    """

    store: Store
    datasets: Mapping[str, Dataset]
    """By the cases' dataset names."""
    cases: Sequence[Case] = ()
    """The cases that the run was begun or resumed for; the store may hold more."""

    def rows(self) -> list[Row]:
        """A table row for each record."""
        return rows(self.store.records(), self.store.name, proofs=self.store.proofs())

    def states(self, cluster: bool = False) -> list[CaseState]:
        """The state of each case, in the manifest's order; `cluster` if the cases run on the nodes of a cluster."""
        return states(self.store.manifest.cases, self.store.records(), self._conditions(cluster))

    def outstanding(self, *, cluster: bool = False, retry_failed: bool = False, force: bool = False) -> list[Case]:
        """The cases that are missing or stale, and those that failed, or all."""
        return outstanding(self.states(cluster), retry_failed=retry_failed, force=force)

    def _conditions(self, cluster: bool = False) -> Conditions:
        return conditions(describe().id, {name: each.card for name, each in self.datasets.items()}, cluster)

    def measure(self, cases: Sequence[Case], engine: Engine) -> list[Record]:
        """Measure the cases; from here on the manifest names this machine, and keeps the card of the one before.

        On Ctrl-C finished records are intact.
        """
        if not cases:
            return []
        if (before := self.store.manifest.machine).id != describe().id:
            self.store.keep_card(before)
        self.store.renew(describe(), {name: each.card for name, each in self.datasets.items()})
        return engine.run(cases, self.datasets, self.store)

    def measure_added(self, cases: Sequence[Case], engine: Engine) -> list[Record]:
        """The records of cases that are added to the run, in their order: those without a fresh one are measured."""
        self.store.extend(cases)
        now = self._conditions()
        found = {case: record for case in cases if (record := self.store.record(case)) and not changes(record, now)}
        found |= {each.case: each for each in self.measure([case for case in cases if case not in found], engine)}
        return [found[case] for case in cases if case in found]

    def finish(self, baseline: str | None = None) -> None:
        """Write the tables, and seal the run if every case of it has a record.

        Raises: as `write_tables`.
        """
        self.write_tables(baseline)
        self.store.seal()

    def write_tables(self, baseline: str | None = None) -> None:
        """Write the table in every format beside the records.

        Raises:
            UsageError: there is no record, or no row matches the baseline.
        """
        table = self.rows()
        for name, form in TABLES.items():
            self.store.write_text(name, render(table, form, baseline))


def begin(
    cases: Sequence[Case],
    find: Find,
    output: Path | None = None,
    *,
    resume: Path | None = None,
    matrix: Matrix | None = None,
    machine: MachineCard | None = None,
) -> Run:
    """Begin a run of `cases`, or resume one that was begun with them.

    The cases and the matrix get the names of the datasets that `find` returns, and a case whose profile is `tuned` gets
    the settings that were saved for it: the run depends on nothing outside its folder.

    Args:
        cases: what is measured, at least one.
        find: finds a dataset by its name.
        output: the run's folder; by default `run-TIME-NAME` in `LENET_BENCH_RESULTS`, or in `results`.
        resume: the folder of a run that was begun with the same cases; it is continued.
        matrix: describes the run in its manifest and names it; by default the smallest around the cases.
        machine: this machine's card, where it is not the usual one.

    Raises:
        UsageError: there is no case, two names are the same data, a batch is larger than a set of images, a profile
            asks for more cores than there are, nothing is tuned for a case that asks for it, or the run to resume was
            begun with other cases.
        DatasetError: data cannot be found.
        StoreError: the folder holds a run or cannot be written, or the one to resume is not a run.
    """
    measurable()
    if not cases:
        raise UsageError("there is no case to run")
    if resume is None and output is not None:
        Store.refuse_existing(output)  # before data is looked for, or downloaded
    by_name = {name: find(name) for name in dict.fromkeys(case.dataset for case in cases)}
    datasets = {each.card.name: each for each in by_name.values()}
    if len(datasets) != len(by_name):
        raise UsageError(f"--dataset {','.join(by_name)}: two of them are the same data here; name it once")
    for case in cases:
        card, batch = by_name[case.dataset].card, case.global_batch_size
        if batch > (smallest := min(card.training_images, card.test_images)):
            raise UsageError(
                f"--batch-size {case.hyperparameters.batch_size}: a step trains on {batch} images, and {card.name} has "
                f"a set of {smallest}; choose less"
            )
    machine = machine or describe()
    named = (case.model_copy(update={"dataset": by_name[case.dataset].card.name}) for case in cases)
    planned = resolve(named, machine.id)
    _check_profiles(planned)
    if resume is not None:
        store = _resumed(resume, planned, output)
    else:
        matrix = (matrix or Matrix.around(planned)).model_copy(update={"datasets": tuple(datasets)})
        stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S")
        output = output or _new_folder((named_by(RESULTS) or Path("results")) / f"run-{stamp}-{matrix.name}")
        store = Store.create(output, matrix, planned, {name: each.card for name, each in datasets.items()}, machine)
    return Run(store, datasets, tuple(planned))


def _check_profiles(cases: Iterable[Case]) -> None:
    """Refuse profiles that this machine cannot apply."""
    cores = len(usable_cores())
    for profile in dict.fromkeys(case.profile for case in cases):
        if profile.cpu_affinity is not None and profile.cpu_affinity > cores:
            raise UsageError(f"--profile {profile.name}: this machine lets a worker use {cores} cores; choose less")
        if profile.allocator is not None and not has_library(profile.preloaded):
            package = ALLOCATORS[profile.allocator].package
            raise UsageError(
                f"--profile {profile.name}: {profile.preloaded} is not installed here: install it (Debian and Ubuntu: "
                f"apt-get install {package}), or leave {profile.allocator} out"
            )


def _new_folder(wanted: Path) -> Path:
    """Make that folder, or one with a number after its name: two runs begin in one second, or a clock is set back."""
    make_folder(wanted.parent)
    folder, number = wanted, 1
    with failing_as(StoreError, f"cannot write {wanted}", "choose another --output"):
        while True:
            try:
                folder.mkdir()
                return folder
            except FileExistsError:
                number += 1
                folder = wanted.with_name(f"{wanted.name}-{number}")


def _resumed(folder: Path, cases: Iterable[Case], output: Path | None) -> Store:
    if output is not None:
        raise UsageError("--resume continues a run in its own folder: omit --output")
    store = Store.open(folder)
    if not set(cases) <= set(store.manifest.cases):
        raise UsageError(f"--resume {folder}: the run was begun with other options; repeat those, or omit --resume")
    store.hold()
    return store


def open_run(folder: Path, find: Find, *, write: bool = False) -> Run:
    """An existing run with its data; with `write` it is held for this process.

    Raises:
        DatasetError: its data cannot be found.
        StoreError: `folder` is not a run, it is damaged, or another process writes it.
    """
    if write:
        measurable()
    store = Store.open(folder)
    datasets = {name: find(name) for name in store.manifest.datasets}
    if write:
        store.hold()
    return Run(store, datasets, store.manifest.cases)


def differing(folder: Path, axes: Mapping[str, str]) -> set[str]:
    """The options of axes, by `Axis.parameter`, that do not give the values which the run in `folder` has.

    Raises:
        UsageError: an unknown or impossible value.
        StoreError: `folder` is not a run.
    """
    matrix = Store.open(folder).manifest.matrix
    named = {"name": matrix.name, "description": matrix.description}
    return {name for name, text in axes.items() if override(matrix, **{name: text}).model_copy(update=named) != matrix}


def failure(records: Iterable[Record]) -> str:
    """Why a run of these records failed, in a sentence; empty if a case succeeded and no other failed."""
    statuses = {record.status for record in records}
    if not any(status.complete for status in statuses):
        return "no case could be run; the table's notes give the reasons"
    if any(status.failed and status is not Status.UNAVAILABLE for status in statuses):
        return "some cases failed; the table's notes give the reasons"
    return ""


def with_devices(matrix: Matrix, axes: Mapping[str, str]) -> Matrix:
    """`matrix` with the options `axes`; one that names no device target gets those of this machine.

    Raises:
        UsageError: an unknown or impossible value.
    """
    chosen = dict(axes)
    if "device" not in chosen and "device_targets" not in matrix.model_fields_set:
        chosen["device"] = "auto"
    if chosen.get("device") == "auto":
        chosen["device"] = ",".join(present_devices())
    return override(matrix, **chosen)
