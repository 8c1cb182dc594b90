"""Options, the matrix as parameters, one store a session, and the tables at the end."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from lenet.case import Case, Matrix
from lenet.dataset import Dataset, resolve
from lenet.engine import Limits
from lenet.engine.local import LocalEngine
from lenet.errors import UsageError
from lenet.machine import describe
from lenet.matrix import load_preset, override
from lenet.record import Record, Status
from lenet.report import render, rows
from lenet.store import Store

SESSION = pytest.StashKey["Session"]()


class Session:
    """The matrix that this pytest session measures, and the run that it writes."""

    def __init__(self, matrix: Matrix, dataset: Dataset, folder: Path) -> None:
        self.matrix = matrix
        self.cases = matrix.cases()
        self._dataset = dataset
        self._folder = folder
        self._store: Store | None = None

    @property
    def store(self) -> Store:
        """Created by the first case that is really measured: collecting alone writes nothing."""
        if self._store is None:
            datasets = {self._dataset.card.name: self._dataset.card}
            self._store = Store.create(self._folder, self.matrix, self.cases, datasets, describe())
        return self._store

    @property
    def measured(self) -> Store | None:
        """The store if anything was measured."""
        return self._store

    def measure(self, case: Case) -> Record:
        """Carry the case out in a worker."""
        engine = LocalEngine(Limits())
        (record,) = engine.run([case], {case.dataset: self._dataset}, self.store)
        return record


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("lenet-bench")
    group.addoption("--preset", default="quick", help="the matrix: quick, standard, full (default: quick)")
    group.addoption("--device", help="device targets, with commas: cpu,gpu,ascend")
    group.addoption("--mode", help="modes, with commas: pynative,graph,jit")
    group.addoption("--batch-size", help="batch sizes, with commas")
    group.addoption("--profile", help="runtime profiles, with commas")
    group.addoption("--epochs", type=int, help="train that many whole epochs")
    group.addoption("--dataset", default="auto", help="mnist, digits, or auto: mnist where it can be had")
    group.addoption("--data-dir", type=Path, help="a folder that holds data of MNIST's shape")
    group.addoption("--output", type=Path, help="the run's folder (default: results/run-TIME-PRESET)")


def pytest_configure(config: pytest.Config) -> None:
    try:
        config.stash[SESSION] = _session(config)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from error


def _session(config: pytest.Config) -> Session:
    option = config.getoption
    if option("dataset") not in ("auto", "mnist", "digits"):
        raise UsageError(f"--dataset {option('dataset')}: choose auto, mnist or digits")
    matrix = override(
        load_preset(option("preset")),
        device=option("device"),
        mode=option("mode"),
        batch_size=option("batch_size"),
        profile=option("profile"),
        epochs=option("epochs"),
        dataset=option("dataset"),
    )
    warn = config.issue_config_time_warning
    dataset = resolve(
        option("dataset"), option("data_dir"), warn=lambda text: warn(pytest.PytestWarning(text), stacklevel=2)
    )
    matrix = matrix.model_copy(update={"datasets": (dataset.card.name,)})
    stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S")
    folder = option("output") or config.rootpath / "results" / f"run-{stamp}-{matrix.name}"
    return Session(matrix, dataset, folder)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        cases = metafunc.config.stash[SESSION].cases
        metafunc.parametrize("case", cases, ids=[case.id for case in cases])


@pytest.fixture
def session(request: pytest.FixtureRequest) -> Session:
    return request.config.stash[SESSION]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    store = config.stash[SESSION].measured
    records = store.records() if store else []
    if store is None or not records:
        return
    table = rows(records, store.path.name)
    for name, form in (("table.md", "github"), ("table.csv", "csv"), ("table.json", "json"), ("table.html", "html")):
        store.write_text(name, render(table, form))
    terminalreporter.section("lenet-bench")
    terminalreporter.write_line(render(table, "terminal"))
    unavailable = {record.reason for record in records if record.status is Status.UNAVAILABLE}
    for reason in sorted(unavailable):
        terminalreporter.write_line(reason)
    terminalreporter.write_line(f"records and tables: {store.path}")
