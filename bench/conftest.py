"""Options, the matrix as parameters, one store a session, and the tables at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from lenet.cases.case import Case
from lenet.cases.matrix import Matrix
from lenet.cases.presets import load_preset, override
from lenet.commands.run import Run, begin
from lenet.dataset import Dataset, resolve
from lenet.engine import Limits
from lenet.engine.local import LocalEngine
from lenet.errors import UsageError
from lenet.machine.card import describe
from lenet.report import render
from lenet.store.profiles import resolve as resolve_profiles
from lenet.store.record import Record

SESSION = pytest.StashKey["Session"]()


class Session:
    """The matrix that this pytest session measures, and the run that it writes."""

    def __init__(self, matrix: Matrix, dataset: Dataset, folder: Path | None) -> None:
        self.cases = resolve_profiles(
            matrix.model_copy(update={"datasets": (dataset.card.name,)}).cases(), describe().id
        )
        self._matrix = matrix
        self._dataset = dataset
        self._folder = folder
        self.measured: Run | None = None
        """The run; the first measured case creates it, so that collecting alone writes nothing."""

    def measure(self, case: Case) -> Record:
        """Run the case in a worker process. What no other case can survive (a full disk, a bad option) ends pytest."""
        try:
            if self.measured is None:
                self.measured = begin(self._matrix.cases(), lambda _: self._dataset, self._folder, matrix=self._matrix)
            (record,) = LocalEngine(Limits()).run([case], self.measured.datasets, self.measured.store)
        except UsageError as error:
            pytest.exit(str(error), pytest.ExitCode.USAGE_ERROR)
        return record


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("lenet-bench")
    group.addoption("--preset", default="quick", help="the matrix: quick, standard, full (default: quick)")
    group.addoption("--framework", help="frameworks, with commas: mindspore,pytorch")
    group.addoption("--device", help="device targets, with commas: cpu,gpu,ascend")
    group.addoption("--mode", help="modes, with commas: pynative,graph,jit")
    group.addoption("--batch-size", help="batch sizes, with commas")
    group.addoption("--pipeline", help="pipelines, with commas: tutorial,cached")
    group.addoption("--profile", help="runtime profiles, with commas")
    group.addoption("--epochs", type=int, help="train that many whole epochs")
    group.addoption("--dataset", default="auto", help="mnist, digits, or auto: mnist if available")
    group.addoption("--data-dir", type=Path, help="a folder that holds data of MNIST's shape")
    group.addoption("--output", type=Path, help="the run's folder (default: results/run-TIME-PRESET)")


def pytest_configure(config: pytest.Config) -> None:
    _refuse(config)
    try:
        config.stash[SESSION] = _session(config)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from error


def _refuse(config: pytest.Config) -> None:
    """Refuse options of other plugins under which the figures would be wrong or about something else."""
    if config.getoption("dist", "no") != "no" or hasattr(config, "workerinput"):
        raise pytest.UsageError("bench/ measures one case at a time, and pytest-xdist runs several: omit -n and --dist")
    if config.getoption("benchmark_cprofile"):
        raise pytest.UsageError(
            "--benchmark-cprofile: cProfile cannot see the training, which runs in a worker process; "
            "`lenet-bench explain` shows where the time of a step goes"
        )


def _session(config: pytest.Config) -> Session:
    option = config.getoption
    if option("dataset") not in ("auto", "mnist", "digits"):
        raise UsageError(f"--dataset {option('dataset')}: choose auto, mnist or digits")
    matrix = override(
        load_preset(option("preset")),
        framework=option("framework"),
        device=option("device"),
        mode=option("mode"),
        batch_size=option("batch_size"),
        pipeline=option("pipeline"),
        profile=option("profile"),
        epochs=option("epochs"),
        dataset=option("dataset"),
    )
    warn = config.issue_config_time_warning
    dataset = resolve(
        option("dataset"), option("data_dir"), warn=lambda text: warn(pytest.PytestWarning(text), stacklevel=2)
    )
    return Session(matrix, dataset, option("output"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        cases = metafunc.config.stash[SESSION].cases
        metafunc.parametrize("case", cases, ids=[case.id for case in cases])


@pytest.fixture
def session(request: pytest.FixtureRequest) -> Session:
    return request.config.stash[SESSION]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    run = config.stash[SESSION].measured
    if run is None or not run.rows():
        return
    run.write_tables()
    terminalreporter.section("lenet-bench")
    terminalreporter.write_line(render(run.rows(), "terminal"))
    terminalreporter.write_line(f"records and tables: {run.store.path}")
