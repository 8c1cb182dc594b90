"""`pytest bench/`: the axes as options, the matrix as parameters, one run per session, and its table at the end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from lenet.cases.axes import with_option
from lenet.cases.case import Case
from lenet.cases.matrix import Matrix
from lenet.cases.presets import load_preset, override
from lenet.commands.run import Run, begin
from lenet.dataset import Dataset, resolve
from lenet.engine import SilentObserver, TimeLimits, choose
from lenet.engine.environments.releases import prepare
from lenet.errors import UsageError
from lenet.machine.card import describe
from lenet.report import render
from lenet.store.profiles import resolve as resolve_profiles
from lenet.store.record import Record

SESSION = pytest.StashKey["Session"]()


class Session:
    """The cases that this pytest session measures, and the run that it writes."""

    def __init__(self, matrix: Matrix, datasets: Mapping[str, Dataset], folder: Path | None) -> None:
        self._matrix = matrix.model_copy(update={"datasets": tuple(datasets)})
        self._datasets = datasets
        self._folder = folder
        self.cases = resolve_profiles(self._matrix.cases(), describe().id)
        self.run: Run | None = None
        """The run; the first measured case creates it, so that collecting alone writes nothing."""

    def measure(self, case: Case) -> Record:
        """Run the case in a worker process. What no other case can survive (a full disk, a bad option) ends pytest."""
        try:
            if self.run is None:
                prepare(self.cases, lambda text: print(text))
                self.run = begin(self.cases, self._datasets.__getitem__, self._folder, matrix=self._matrix)
            (record,) = self.run.measure([case], choose("local", TimeLimits(), SilentObserver()))
        except UsageError as error:
            pytest.exit(str(error), pytest.ExitCode.USAGE_ERROR)
        return record


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("lenet-bench")
    group.addoption("--preset", default="quick", help="The matrix: quick (default), standard, full.")
    for axis in with_option():
        group.addoption(axis.option, dest=axis.parameter, help=axis.option_help.replace("%", "%%"))
    group.addoption("--data-dir", type=Path, help="A folder with data of MNIST's shape.")
    group.addoption("--output", type=Path, help="The run's folder (default: results/run-TIME-PRESET).")


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
    matrix = override(
        load_preset(option("preset")), **{axis.parameter: option(axis.parameter) for axis in with_option()}
    )

    def warn(text: str) -> None:
        config.issue_config_time_warning(pytest.PytestWarning(text), stacklevel=2)

    datasets = {}
    for name in matrix.datasets:
        dataset = resolve(name, option("data_dir"), warn=warn)
        datasets[dataset.card.name] = dataset
    return Session(matrix, datasets, option("output"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        cases = metafunc.config.stash[SESSION].cases
        metafunc.parametrize("case", cases, ids=[case.id for case in cases])


@pytest.fixture
def session(request: pytest.FixtureRequest) -> Session:
    return request.config.stash[SESSION]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    run = config.stash[SESSION].run
    if run is None or not run.rows():
        return
    run.write_tables()
    terminalreporter.section("lenet-bench")
    terminalreporter.write_line(render(run.rows(), "terminal"))
    terminalreporter.write_line(f"records and tables: {run.store.path}")
