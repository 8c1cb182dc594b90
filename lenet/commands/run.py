"""A run: a matrix whose data is found and whose store is made, begun or gone on with.

The commands and `pytest bench/` enter here; what is measured then is the engine's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from lenet.cases.case import Case
from lenet.cases.matrix import Matrix
from lenet.dataset import Dataset
from lenet.errors import UsageError
from lenet.machine.card import MachineCard, describe
from lenet.machine.cores import usable_cores
from lenet.report import render, rows
from lenet.report.table.rows import Row
from lenet.store import machines
from lenet.store.freshness import CaseState, conditions, states
from lenet.store.profiles import resolve
from lenet.store.run import Store

Find = Callable[[str], Dataset]
"""The data that a dataset's name means here."""


@dataclass(frozen=True)
class Run:
    """A store with the data that its cases need, by the cases' dataset names."""

    store: Store
    datasets: Mapping[str, Dataset]

    def rows(self) -> list[Row]:
        """The records so far, a row each."""
        return rows(self.store.records(), self.store.name)

    def states(self, cluster: bool = False) -> list[CaseState]:
        """How each case stands here and now, in the manifest's order; `cluster` when they go to a cluster's nodes.

        Raises:
            StoreError: a record is damaged.
        """
        now = conditions(describe().id, {name: each.card for name, each in self.datasets.items()}, cluster)
        return states(self.store.manifest.cases, self.store.records(), now)

    def go_on_here(self) -> None:
        """Say in the store on which machine and with which data it is gone on with; the card before stays in the run.

        Raises:
            StoreError: it cannot be written.
        """
        if (before := self.store.manifest.machine).id != describe().id:
            machines.keep(self.store, before)
        self.store.renew(describe(), {name: each.card for name, each in self.datasets.items()})

    def write_tables(self, baseline: str | None = None) -> None:
        """Write the tables in every form beside the records.

        Raises:
            UsageError: no record, or none is the baseline.
            StoreError: the folder cannot be written.
        """
        table = self.rows()
        self.store.write_text("table.md", render(table, "github", baseline))
        self.store.write_text("table.html", render(table, "html", baseline))
        self.store.write_text("table.csv", render(table, "csv"))
        self.store.write_text("table.json", render(table, "json"))


def begin(
    cases: Sequence[Case],
    find: Find,
    output: Path | None = None,
    *,
    matrix: Matrix | None = None,
    machine: MachineCard | None = None,
) -> Run:
    """Begin a new run of `cases` in `output` (default `results/run-TIME-NAME`).

    The cases and the matrix get the names of the datasets that `find` returns, and a case whose profile is `tuned` gets
    the settings that were saved for it: the run depends on nothing outside its folder.

    Args:
        cases: what is measured, at least one.
        find: finds a dataset by its name.
        output: the run's folder.
        matrix: describes the run in its manifest and names it; by default the smallest around the cases.
        machine: this machine's card, where it is not the usual one.

    Raises:
        UsageError: there is no case, two names are the same data, a batch is larger than a set of images, a profile
            asks for more cores than there are, or nothing is tuned for a case that asks for it.
        DatasetError: data cannot be had.
        StoreError: the folder holds a run or cannot be written.
    """
    if not cases:
        raise UsageError("there is no case to run")
    found = {name: find(name) for name in dict.fromkeys(case.dataset for case in cases)}
    datasets = {each.card.name: each for each in found.values()}
    if len(datasets) != len(found):
        raise UsageError(f"--dataset {','.join(found)}: two of them are the same data here; name it once")
    for case in cases:
        card, batch = found[case.dataset].card, case.global_batch_size
        if batch > (smallest := min(card.training_images, card.test_images)):
            raise UsageError(
                f"--batch-size {case.hyperparameters.batch_size}: a step trains on {batch} images, and {card.name} has "
                f"a set of {smallest}; choose less"
            )
    machine = machine or describe()
    planned = resolve((_named(case, found[case.dataset].card.name) for case in cases), machine.id)
    matrix = (matrix or Matrix.around(planned)).model_copy(update={"datasets": tuple(datasets)})
    cores = len(usable_cores())
    for profile in (case.profile for case in planned):
        if profile.cpu_affinity is not None and profile.cpu_affinity > cores:
            raise UsageError(f"--profile {profile.name}: this machine lets a worker use {cores} cores; choose less")
    if output is None:
        stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S")
        output = Path("results") / f"run-{stamp}-{matrix.name}"
    cards = {name: each.card for name, each in datasets.items()}
    return Run(Store.create(output, matrix, planned, cards, machine), datasets)


def _named(case: Case, dataset: str) -> Case:
    return case if case.dataset == dataset else case.model_copy(update={"dataset": dataset})


def resume(folder: Path, find: Find) -> Run:
    """An existing run, held for this process. Whether its records still stand is `Run.states`' to say.

    Raises:
        DatasetError: its data cannot be had.
        StoreError: `folder` is no run, it is damaged, or another process writes it.
    """
    run = look(folder, find)
    run.store.hold()
    return run


def look(folder: Path, find: Find) -> Run:
    """An existing run, to be looked at and not to be written.

    Raises:
        DatasetError: its data cannot be had.
        StoreError: `folder` is no run, or it is damaged.
    """
    store = Store.open(folder)
    return Run(store, {name: find(name) for name in store.manifest.datasets})
