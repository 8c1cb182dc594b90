"""A run: a matrix whose data is found and whose store is made, begun or gone on with.

The commands and `pytest bench/` enter here; what is measured then is the engine's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from lenet.case import Case, Matrix
from lenet.cores import usable
from lenet.dataset import Dataset
from lenet.errors import UsageError
from lenet.machine import describe
from lenet.profiles import resolve
from lenet.report import render, rows
from lenet.report.rows import Row
from lenet.store import Store

Find = Callable[[str], Dataset]
"""The data that a dataset's name means here."""


@dataclass(frozen=True)
class Run:
    """A store with the data that its cases need, by the cases' dataset names."""

    store: Store
    datasets: Mapping[str, Dataset]

    def rows(self) -> list[Row]:
        """The records so far, a row each."""
        return rows(self.store.records(), self.store.path.resolve().name)

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
    matrix: Matrix, find: Find, output: Path | None = None, cases: Callable[[Matrix], Sequence[Case]] = Matrix.cases
) -> Run:
    """A new run in `output` (default `results/run-TIME-NAME`); its matrix names the data that was found.

    `cases` gives the cases of that matrix, where they are not its whole product. A case whose profile is `tuned` gets
    the settings that were saved for it: from here on no case asks for what is elsewhere.

    Raises:
        UsageError: two names are the same data, a batch is larger than a set of images, a profile asks for more cores
            than there are, or nothing is tuned for a case that asks for it.
        DatasetError: data cannot be had.
        StoreError: the folder holds a run or cannot be written.
    """
    found = [find(name) for name in matrix.datasets]
    datasets = {each.card.name: each for each in found}
    if len(datasets) != len(found):
        raise UsageError(f"--dataset {','.join(matrix.datasets)}: two of them are the same data here; name it once")
    for each in found:
        smallest = min(each.card.training_images, each.card.test_images)
        if max(matrix.batch_sizes) > smallest:
            raise UsageError(
                f"--batch-size {max(matrix.batch_sizes)}: {each.card.name} has a set of {smallest} images; choose less"
            )
    matrix = matrix.model_copy(update={"datasets": tuple(datasets)})
    machine = describe()
    planned = resolve(cases(matrix), machine.id)
    cores = len(usable())
    for profile in (case.profile for case in planned):
        if profile.cpu_affinity is not None and profile.cpu_affinity > cores:
            raise UsageError(f"--profile {profile.name}: this machine lets a worker use {cores} cores; choose less")
    if output is None:
        stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S")
        output = Path("results") / f"run-{stamp}-{matrix.name}"
    cards = {name: each.card for name, each in datasets.items()}
    return Run(Store.create(output, matrix, planned, cards, machine), datasets)


def resume(folder: Path, find: Find) -> Run:
    """An existing run, on the same machine and with the same data as then.

    Raises:
        UsageError: it was begun on another machine or with other data.
        DatasetError: its data cannot be had.
        StoreError: `folder` is no run, or it is damaged.
    """
    store = Store.open(folder)
    if store.manifest.machine.id != describe().id:
        raise UsageError(
            f"{folder} was begun on another machine ({store.manifest.machine.summary}): go on there, or begin a new run"
        )
    datasets = {}
    for name, card in store.manifest.datasets.items():
        datasets[name] = find(name)
        if datasets[name].card.sha256 != card.sha256:
            raise UsageError(
                f"{folder} was begun with other data: {name} was {card.sha256[:12]}… then; begin a new run"
            )
    return Run(store, datasets)
