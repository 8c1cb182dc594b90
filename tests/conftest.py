"""Fixtures and rules of all tests. No test imports MindSpore: only worker processes do.

pytest's configuration that needs a plugin of the extra `test` is set here and not in pyproject.toml, because
`pytest bench/` works without that extra.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from lenet.cases.case import Case
from lenet.cases.matrix import Matrix
from lenet.dataset import Dataset, resolve
from lenet.machine.card import MachineCard, describe
from lenet.store.record import Record, Status
from lenet.store.run import Store

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
describe_here = describe
"""This machine's card, whatever a test puts in the place of the function."""
TIMEOUT_SECONDS = 300
"""Of a test that sets none itself."""

MACHINES = sorted((ROOT / "tests/machines").glob("*.json"))

HEAVY = ("parallel", "ray")
"""Marks of tests that have a tox environment of their own: they run only where `-m` names them."""


@pytest.hookimpl(tryfirst=True)  # before pytest-timeout reads its option
def pytest_configure(config: pytest.Config) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [Requirement(line).name for line in project["optional-dependencies"]["test"]]
    if missing := [name for name in wanted if not _installed(name)]:
        raise pytest.UsageError(f"the tests need {', '.join(missing)}: pip install '.[test]', or run `tox -e test`")
    from hypothesis import settings

    # A failure prints the decorator that repeats it; under CI hypothesis would otherwise try the same examples always.
    settings.register_profile("tests", print_blob=True, deadline=None, derandomize=False)
    settings.load_profile("tests")
    config.addinivalue_line("filterwarnings", "error")
    config.addinivalue_line("filterwarnings", "ignore::pytest_benchmark.logger.PytestBenchmarkWarning")
    if getattr(config.option, "timeout", 0) is None and "PYTEST_TIMEOUT" not in os.environ:
        config.option.timeout = TIMEOUT_SECONDS


def _installed(distribution: str) -> bool:
    try:
        return bool(metadata.version(distribution))
    except metadata.PackageNotFoundError:
        return False


def _fail_unexpected_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Under CI a skip fails, but for those that expected-skips.toml lists with a reason."""
    if not os.environ.get("CI") or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
    absent = os.environ.get("LENET_BENCH_TESTS_WITHOUT", "").split()
    for entry in tomllib.loads((ROOT / "tests/expected-skips.toml").read_text(encoding="utf-8"))["skip"]:
        named = report.nodeid.startswith(entry["test"]) and entry["reason"] in reason
        if named and ("without" not in entry or entry["without"] in absent):
            return
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid}: a skip that tests/expected-skips.toml does not expect: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_unexpected_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_unexpected_skip(report)
    return report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = [mark for mark in HEAVY if mark not in config.option.markexpr]
    heavy = [item for item in items if any(item.get_closest_marker(mark) for mark in left_out)]
    if heavy:
        config.hook.pytest_deselected(items=heavy)
        items[:] = [item for item in items if item not in heavy]


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """A shell's job in the background ignores Ctrl-C, and so would every command that a test starts and interrupts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The user's cache is not touched, and what is cached there cannot make a test pass."""
    os.environ["LENET_BENCH_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    # Nor do tests wait for whoever measures on this machine.
    os.environ["LENET_BENCH_LOCKS"] = str(tmp_path_factory.mktemp("locks"))
    os.environ["LENET_BENCH_PROFILES"] = str(tmp_path_factory.mktemp("profiles"))


@pytest.fixture(scope="session")
def _this_machine() -> str:
    return describe_here().id


@pytest.fixture(autouse=True)
def _no_other_machine(_this_machine: str) -> Generator[None]:
    """A test that imitates hardware leaves no card of it: the next test would take its own records for another's."""
    yield
    if describe_here.cache_info().currsize and describe_here().id != _this_machine:
        describe_here.cache_clear()


@pytest.fixture
def seed() -> int:
    """A new number for each run of a test, the same again with the printed `--randomly-seed` of pytest-randomly."""
    number = random.getrandbits(32)
    print(f"seed {number}")
    return number


@pytest.fixture(scope="session")
def digits(_own_cache: None) -> Dataset:
    return resolve("digits")


@pytest.fixture(scope="session")
def mnist(_own_cache: None) -> Dataset:
    folder = Path(os.environ.get("LENET_BENCH_MNIST", ROOT.parent / "shared" / "mnist"))
    if not (folder / "train").is_dir():
        pytest.skip("the real MNIST is not here; set LENET_BENCH_MNIST to its folder")
    return resolve("mnist", folder)


@pytest.fixture
def new_store(tmp_path: Path) -> Callable[[Sequence[Case], Dataset], Store]:
    def create(cases: Sequence[Case], dataset: Dataset) -> Store:
        matrix = Matrix.around(cases)
        return Store.create(tmp_path / "run", matrix, cases, {dataset.card.name: dataset.card}, describe())

    return create


@pytest.fixture
def plain_record() -> Callable[..., Record]:
    def create(case: Case, status: Status = Status.OK, reason: str = "") -> Record:
        now = datetime(2026, 1, 2, tzinfo=timezone.utc)
        return Record(case_id=case.id, case=case, status=status, reason=reason, started_at=now, finished_at=now)

    return create


@pytest.fixture(scope="session", params=[*MACHINES, None], ids=[*(path.stem for path in MACHINES), "here"])
def machine_card(request: pytest.FixtureRequest) -> MachineCard:
    """The card of each machine in tests/machines, and of this one."""
    return MachineCard.model_validate_json(request.param.read_text(encoding="utf-8")) if request.param else describe()


@pytest.fixture(scope="session")
def events_of() -> Callable[[Store, Case], list[dict]]:
    def read(store: Store, case: Case) -> list[dict]:
        lines = (store.path / "events.jsonl").read_text(encoding="utf-8").splitlines()
        return [event for event in map(json.loads, lines) if event["case_id"] == case.id]

    return read


@pytest.fixture(scope="session")
def numpy_worker() -> tuple[str, ...]:
    """The command of a worker that needs no MindSpore."""
    return (sys.executable, str(Path(__file__).with_name("numpy_worker.py")))


@pytest.fixture(scope="session")
def fake_msrun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PATH whose `msrun` starts ranks without MindSpore."""
    folder = tmp_path_factory.mktemp("msrun")
    source = Path(__file__).with_name("cheap").joinpath("msrun.py").read_text(encoding="utf-8")
    script = folder / "msrun"
    script.write_text(f"#!{sys.executable}\n{source}", encoding="utf-8")
    script.chmod(0o755)
    return folder


@pytest.fixture(scope="session")
def quick_checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of `lenet` and `bench` whose preset `quick` has short windows, for commands that name no plan."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("lenet", "bench"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "pyproject.toml", folder)
    preset = folder / "lenet/cases/presets/quick.toml"
    text = preset.read_text(encoding="utf-8")
    assert "window_seconds" not in text
    preset.write_text(text.replace("[plan]\n", "[plan]\nwindow_seconds = 0.1\n"), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def honest_run(digits: Dataset, numpy_worker: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run with tables, really trained in NumPy: whole epochs and speed alone. Not to be changed."""
    from lenet.cases.case import Plan
    from lenet.commands.measurement import begin
    from lenet.engine.local import LocalEngine

    plan = Plan(warmup_steps=6, window_steps=4, window_seconds=0.02, windows=3, resident_windows=2)
    matrix = Matrix(name="honest", modes=("graph",), datasets=("digits",), batch_sizes=(64,), repeat=2, plan=plan)
    whole = plan.model_copy(update={"epochs": 2, "window_steps": 7})
    cases = [case.model_copy(update={"plan": each}) for each in (plan, whole) for case in matrix.cases()]
    folder = tmp_path_factory.mktemp("honest") / "run"
    made = begin(cases, lambda name: digits, folder, matrix=matrix)
    records = LocalEngine(command=numpy_worker).run(made.store.manifest.cases, made.datasets, made.store)
    assert [record.status for record in records] == [Status.OK] * 4, records
    made.write_tables("mode=graph")
    return folder


@pytest.fixture(scope="session")
def spread_run(digits: Dataset, numpy_worker: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run over two nodes at once, really trained in NumPy; the second has one core alone. Not to be changed."""
    import nodes

    from lenet.cases.case import Plan
    from lenet.commands.measurement import begin
    from lenet.engine import SilentObserver
    from lenet.engine.remote import RemoteGroup

    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("with one core there is no second machine")
    plan = Plan(warmup_steps=6, window_steps=4, window_seconds=0.05, windows=3, resident_windows=2)
    matrix = Matrix(name="spread", modes=("graph",), datasets=("digits",), batch_sizes=(64,), repeat=4, plan=plan)
    folder = tmp_path_factory.mktemp("spread")
    made = begin(matrix.cases(), lambda name: digits, folder / "run", matrix=matrix)
    lock = threading.Lock()

    def work(node: str, cases: Sequence[Case]) -> None:
        for case in cases:
            remote = RemoteGroup([case], made.datasets, made.store, SilentObserver(), node)
            with nodes.process(node, folder) as started:
                for message in nodes.messages(started, (case,), digits, numpy_worker):
                    with lock:
                        for record in remote.receive(message):
                            made.store.write_record(record)

    cases = made.store.manifest.cases
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, nodes.NODES, (cases[::2], cases[1::2])))
    assert [record.status for record in made.store.records()] == [Status.OK] * 4
    made.write_tables()
    return folder / "run"
