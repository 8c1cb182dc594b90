"""`pytest bench/`: the axes as options, the matrix as parameters, one run per session, and its table at the end.

The selected cases of a repetition are one group, as in `lenet-bench run`: the first of its tests measures all of them.
"""

from __future__ import annotations

import argparse
import functools
import io
import os
import signal
import threading
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import get_args

import pytest
from rich.console import Console

from lenet.cases.axes import with_option
from lenet.cases.case import Case
from lenet.cases.matrix import Matrix
from lenet.cases.presets import load_preset, override
from lenet.cli import signals
from lenet.commands.measurement import Run, begin
from lenet.dataset import Dataset, resolve
from lenet.engine import TimeLimits, choose
from lenet.engine.environments.releases import prepare
from lenet.engine.turns import Interleave, groups
from lenet.errors import UsageError
from lenet.machine.card import describe
from lenet.report import render
from lenet.report.progress.plain import PlainObserver
from lenet.store.profiles import resolve as resolve_profiles
from lenet.store.record import Record

SESSION = pytest.StashKey["Session"]()
ABSENT = object()
"""In the place of the option of a plugin that is not loaded."""


class Terminal(io.TextIOBase):
    """pytest's terminal, also while pytest captures what a test prints."""

    def __init__(self, config: pytest.Config) -> None:
        self._plugin = config.pluginmanager.getplugin

    def write(self, text: str) -> int:
        """Print the text on lines of its own."""
        with self._plugin("capturemanager").global_and_fixture_disabled():
            reporter = self._plugin("terminalreporter")
            reporter.ensure_newline()
            reporter.write(text, flush=True)
        return len(text)


class Collector(PlainObserver):
    """Keeps the records, those of a group that is interrupted too, and prints the progress to the console."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self.records: dict[Case, Record] = {}

    def case_finished(self, case: Case, record: Record) -> None:
        """Keep the record."""
        self.records[case] = record
        super().case_finished(case, record)


class Session:
    """The cases that this pytest session measures, and the run that it writes."""

    def __init__(
        self,
        matrix: Matrix,
        datasets: Mapping[str, Dataset],
        folder: Path | None,
        interleave: Interleave,
        alive: int | None,
        console: Console,
    ) -> None:
        self._matrix = matrix.model_copy(update={"datasets": tuple(datasets)})
        self._datasets = datasets
        self._folder = folder
        self._interleave = interleave
        self._alive = alive
        self._collector = Collector(console)
        self.cases = resolve_profiles(self._matrix.cases(), describe().id)
        self.run: Run | None = None
        """The run; the first measured case creates it, so that collecting alone writes nothing."""
        self._groups: list[list[Case]] = []
        self._asked: set[Case] = set()
        """The cases whose test has run."""
        self._home = os.getpid(), threading.get_ident()
        """The process and the thread in which workers are started: they end with it."""

    @property
    def compares_releases(self) -> bool:
        """Whether cases that differ in their release alone are to stand side by side."""
        return len(self._matrix.versions) > 1

    def select(self, cases: Collection[Case]) -> None:
        """Measure only these cases, in groups that do not depend on the order of their tests."""
        self._groups = groups([case for case in self.cases if case in cases], self._interleave, self._alive)

    def measure(self, case: Case) -> Record:
        """The record of the case, which is measured with its group as the first test of the group asks.

        If the group was interrupted, the next of its tests measures what has no record and had no test. A test that
        runs twice measures its case again. What no other case can survive (a full disk, a bad option) ends pytest.
        """
        if self._home != (os.getpid(), threading.get_ident()):
            pytest.fail("bench/ measures in pytest's own process and thread: omit what runs tests in others", False)
        records = self._collector.records
        if case not in records:
            over, group = self._asked | records.keys(), next(each for each in self._groups if case in each)
            self._asked.add(case)
            self._measure([each for each in group if each == case or each not in over])
        self._asked.add(case)
        return records.pop(case)

    def _measure(self, cases: Sequence[Case]) -> None:
        engine = choose("local", TimeLimits(), self._collector, interleave=self._interleave, alive=self._alive)
        try:
            if self.run is None:
                prepare([case for group in self._groups for case in group], print)
                self.run = begin(self.cases, self._datasets.__getitem__, self._folder, matrix=self._matrix)
            self.run.measure(cases, engine)
        except UsageError as error:
            pytest.exit(str(error), pytest.ExitCode.USAGE_ERROR)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("lenet-bench")
    group.addoption("--preset", default="quick", help="The matrix: quick (default), standard, full.")
    for axis in with_option():
        group.addoption(axis.option, dest=axis.parameter, help=axis.option_help().replace("%", "%%"))
    group.addoption(
        "--interleave",
        choices=get_args(Interleave),
        default="windows",
        help="windows (default): the cases of a repetition are alive together and take turns. rounds: one at a time.",
    )
    group.addoption("--alive", type=int, metavar="COUNT", help="The most cases alive together.")
    group.addoption("--data-dir", type=_path, help="A folder with data of MNIST's shape.")
    group.addoption("--output", type=_path, help="The run's folder (default: results/run-TIME-PRESET).")


def _path(text: str) -> Path:
    if not text:  # it would be the working folder
        raise argparse.ArgumentTypeError("it is empty: a variable of the shell may be unset")
    return Path(text)


def pytest_configure(config: pytest.Config) -> None:
    _refuse(config)
    try:
        config.stash[SESSION] = _session(config)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from error
    if threading.current_thread() is threading.main_thread():  # SIGTERM ends pytest as Ctrl-C does: with a table
        for number in signals.HANDLED:
            config.add_cleanup(functools.partial(signal.signal, number, signal.getsignal(number)))
        signals.install()


def _refuse(config: pytest.Config) -> None:
    """Refuse options of other plugins under which the figures would be wrong or about something else."""
    if config.getoption("dist", "no") != "no" or hasattr(config, "workerinput"):
        raise pytest.UsageError("bench/ measures one case at a time, and pytest-xdist runs several: omit -n and --dist")
    if config.getoption("cov_source", None) and not config.getoption("no_cov", False):
        raise pytest.UsageError("--cov: to trace which lines run makes the training in the worker slower: omit it")
    if (profile := config.getoption("benchmark_cprofile", ABSENT)) is ABSENT:
        raise pytest.UsageError(
            "bench/ needs pytest-benchmark: omit what keeps pytest from loading it (-p no:benchmark)"
        )
    if profile:
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
    if (alive := option("alive")) is not None and alive < 1:
        raise UsageError(f"--alive {alive}: choose 1 or more")
    console = Console(file=Terminal(config), width=80, quiet=config.get_verbosity() < 1)
    return Session(matrix, datasets, option("output"), option("interleave"), alive, console)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        cases = metafunc.config.stash[SESSION].cases
        # The values that are not the usual ones: `pytest-benchmark compare` pairs tests by name, whatever else is run.
        metafunc.parametrize("case", cases, ids=[case.label.replace(" · ", "-").replace(" ", "") for case in cases])


def pytest_collection_finish(session: pytest.Session) -> None:
    tests = (getattr(item, "callspec", None) for item in session.items)
    session.config.stash[SESSION].select({test.params["case"] for test in tests if test and "case" in test.params})


@pytest.fixture
def session(request: pytest.FixtureRequest) -> Session:
    return request.config.stash[SESSION]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    run = config.stash[SESSION].run
    if run is None or not run.rows():
        return
    run.finish()
    terminalreporter.section("lenet-bench")
    terminalreporter.write_line(render(run.rows(), "terminal"))
    terminalreporter.write_line(f"records and tables: {run.store.path}")
