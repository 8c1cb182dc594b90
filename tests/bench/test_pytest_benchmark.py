"""`pytest bench/` with pytest-benchmark's options, in the environment that `pip install .` gives. Workers use NumPy."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lenet.store.record import full_windows
from lenet.store.run import Store

ROOT = Path(__file__).parents[2]
CHEAP = ROOT / "tests/cheap"
"""On PYTHONPATH: workers train in NumPy."""
EXTRA = ("timeout", "randomly", "xdist", "hypothesispytest")
"""Plugins of the extra `test`, which `pip install .` does not bring."""


@pytest.fixture
def start(tmp_path, quick_checkout):
    """Start `pytest bench/`, by default with short windows; `modules` is a folder of modules to be imported first."""
    started = []

    def go(
        *arguments, step_seconds=0.01, plugins=False, output="run", modules=None, checkout=quick_checkout, **variables
    ):
        without = [] if plugins else [word for name in EXTRA for word in ("-p", f"no:{name}")]
        own = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV"))}
        paths = [*([str(modules)] if modules else []), str(CHEAP), str(checkout)]
        own |= {"COLUMNS": "80", "NUMPY_WORKER_STEP_SECONDS": str(step_seconds), "PYTHONPATH": os.pathsep.join(paths)}
        own |= variables
        command = [
            *(sys.executable, "-m", "pytest", "bench/", "-p", "no:cacheprovider"),
            *(*without, "--mode", "graph", "--batch-size", "32", "--dataset", "digits"),
            *("--output", str(tmp_path / output), *arguments),
        ]
        if "no:benchmark" not in arguments:
            command.append(f"--benchmark-storage=file://{tmp_path / 'stored'}")
        process = subprocess.Popen(
            command, cwd=checkout, env=own, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield go
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def bench(start):
    """Run `pytest bench/` to its end."""

    def run(*arguments, **options):
        process = start(*arguments, **options)
        output, errors = process.communicate(timeout=240)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    return run


def wait_for_a_record(process, tmp_path, also=lambda: True):
    """Return as soon as the run of a process that still runs has a record, and `also` holds."""
    records = tmp_path / "run" / "records"
    deadline = time.monotonic() + 120
    while not (records.exists() and list(records.glob("*.json")) and also()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_round_is_a_window_in_seconds_per_step_without_the_extra_test(bench, tmp_path):
    done = bench("--benchmark-only", "--benchmark-json", str(tmp_path / "bench.json"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert "warning" not in done.stdout.lower()
    assert "seconds per training step: CPU, batch 32, digits" in done.stdout
    (measured,) = json.loads((tmp_path / "bench.json").read_text())["benchmarks"]
    (record,) = Store.open(tmp_path / "run").records()
    windows = full_windows(record.windows)
    assert windows[0].steps > 1
    assert measured["stats"]["data"] == pytest.approx([window.seconds / window.steps for window in windows])
    assert measured["stats"]["iterations"] == windows[0].steps
    assert 0.01 < measured["stats"]["median"] < 0.1


class TestSlowDown:
    """A round is as long as a training step, so that pytest-benchmark's own gate sees slower training."""

    GATE = ("--benchmark-only", "--benchmark-compare", "--benchmark-compare-fail=median:10%")

    @pytest.fixture
    def saved(self, bench):
        done = bench("--benchmark-only", "--benchmark-save=before", step_seconds=0.03, output="before")
        assert done.returncode == 0, done.stdout + done.stderr

    @pytest.mark.usefixtures("saved")
    def test_the_gate_fails_on_slower_steps_and_only_then(self, bench):
        same = bench(*self.GATE, step_seconds=0.03, output="same")
        assert same.returncode == 0, same.stdout + same.stderr
        slower = bench(*self.GATE, step_seconds=0.045, output="slower")
        assert slower.returncode == 1, slower.stdout + slower.stderr
        assert "Performance has regressed" in slower.stderr + slower.stdout
        assert "median" in slower.stderr + slower.stdout


class TestGroups:
    """The cases of a repetition are alive together and take turns, as in `lenet-bench run`."""

    CRASH = """
import os, runpy, sys
runpy.run_path({cheap!r})
if "numpy_worker" in sys.modules:
    from numpy_worker import Regression
    honest, steps = Regression._step, []
    def step(self, *data):
        steps.append(None)
        if self.batch == 64 and len(steps) == 62:
            os._exit(3)
        return honest(self, *data)
    Regression._step = step
"""
    """The worker of batch size 64 ends in its first turn."""
    THREE = ("--benchmark-only", "--batch-size", "32,64,128")

    @pytest.fixture
    def crash(self, tmp_path):
        folder = tmp_path / "modules"
        folder.mkdir()
        text = self.CRASH.format(cheap=str(CHEAP / "sitecustomize.py"))
        (folder / "sitecustomize.py").write_text(text, encoding="utf-8")
        return folder

    @staticmethod
    def statuses(folder):
        return {record.case.hyperparameters.batch_size: record.status.value for record in Store.open(folder).records()}

    def test_selected_cases_of_a_repetition_are_a_group_and_others_are_not_measured(self, bench, tmp_path):
        chosen = ("-k", "not batch128", "-v", "--benchmark-json", str(tmp_path / "json"))
        done = bench(*self.THREE, "--repeat", "2", *chosen)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "4 passed, 2 deselected" in done.stdout
        assert "2 cases take turns" in done.stdout, "-v shows the progress of a group"
        records = {record.case_id: record for record in Store.open(tmp_path / "run").records()}
        assert {record.case.hyperparameters.batch_size for record in records.values()} == {32, 64}
        repetitions = {record.group: record.case.repetition for record in records.values()}
        assert sorted(repetitions.values()) == [0, 1]
        assert "" not in repetitions
        for measured in json.loads((tmp_path / "json").read_text())["benchmarks"]:
            record = records[measured["extra_info"]["case_id"]]
            assert measured["extra_info"]["group"] == record.group
            windows = [window for window in record.windows if not window.warmup]
            assert {window.turn is None for window in windows} == {False}
            assert measured["stats"]["data"] == pytest.approx([window.seconds / window.steps for window in windows])
            assert 0.01 < measured["stats"]["median"] < 0.1, "of one step"

    @pytest.mark.parametrize(("option", "alive"), [(("--interleave", "rounds"), 1), (("--alive", "2"), 2)])
    def test_options_of_the_command_line(self, bench, tmp_path, option, alive):
        done = bench(*self.THREE, *option)
        assert done.returncode == 0, done.stdout + done.stderr
        found = [record.group for record in Store.open(tmp_path / "run").records()]
        assert len(found) == 3
        assert max(map(found.count, filter(None, found)), default=1) == alive

    def test_a_member_that_fails_is_one_failed_test(self, bench, crash, tmp_path):
        done = bench(*self.THREE, modules=crash)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "1 failed, 2 passed" in done.stdout
        assert "AssertionError: crashed: the worker ended with exit code 3" in done.stdout
        assert self.statuses(tmp_path / "run") == {32: "ok", 64: "crashed", 128: "ok"}

    def test_the_first_failure_ends_pytest_before_the_next_group(self, bench, crash, tmp_path):
        done = bench(*self.THREE, "--repeat", "2", "-x", modules=crash)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "1 failed, 1 passed" in done.stdout
        records = Store.open(tmp_path / "run").records()
        assert {record.case.repetition for record in records} == {0}
        assert len(records) == 3, "the group was measured as a whole"

    def test_control_c_keeps_the_finished_members(self, start, crash, tmp_path):
        process = start(*self.THREE, modules=crash, step_seconds=0.03, checkout=ROOT)  # the others have long to go
        wait_for_a_record(process, tmp_path)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
        assert process.returncode == pytest.ExitCode.INTERRUPTED, output + errors
        assert self.statuses(tmp_path / "run") == {64: "crashed"}
        assert "crashed" in output, "the table shows it"

    def test_a_test_that_is_cut_short_leaves_the_group_to_the_next_one(self, bench, tmp_path):
        """As pytest-timeout does it: an exception of pytest's in the middle of a group."""
        (tmp_path / "cut_short.py").write_text(
            "import pytest\n"
            "from lenet.engine.session import Session\n"
            "honest = Session.end\n"
            "def end(self, *arguments):\n"
            "    Session.end = honest\n"
            "    honest(self, *arguments)\n"
            "    pytest.fail('Timeout')\n"
            "Session.end = end\n",
            encoding="utf-8",
        )
        done = bench(*self.THREE, "-p", "cut_short", modules=tmp_path)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "1 failed, 2 passed" in done.stdout
        assert "Failed: Timeout" in done.stdout
        assert not (tmp_path / "run" / "superseded").exists(), "a case was measured twice"


ELSEWHERE = {
    "process": "import os\n"
    "def elsewhere(run):\n"
    "    if (child := os.fork()) == 0:\n"
    "        run()\n"
    "        os._exit(0)\n"
    "    os.waitpid(child, 0)\n",
    "thread": "import threading\n"
    "def elsewhere(run):\n"
    "    thread = threading.Thread(target=run)\n"
    "    thread.start()\n"
    "    thread.join()\n",
}


@pytest.mark.parametrize("kind", ELSEWHERE)
def test_tests_that_another_plugin_runs_elsewhere_fail_in_a_sentence(bench, tmp_path, kind):
    """As pytest-forked and pytest-parallel do it: their workers would be in no table, or end with the thread."""
    hook = (
        "import pytest\n"
        "@pytest.hookimpl(tryfirst=True)\n"
        "def pytest_pyfunc_call(pyfuncitem):\n"
        "    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}\n"
        "    def run():\n"
        "        try:\n"
        "            pyfuncitem.obj(**arguments)\n"
        "        except BaseException as error:\n"
        "            print('REFUSED', error, flush=True)\n"
        "    elsewhere(run)\n"
        "    return True\n"
    )
    (tmp_path / "elsewhere.py").write_text(ELSEWHERE[kind] + hook, encoding="utf-8")
    done = bench("-s", "-p", "elsewhere", modules=tmp_path)
    assert "REFUSED bench/ measures in pytest's own process and thread: omit what runs tests in others" in done.stdout
    assert not (tmp_path / "run").exists()


def test_sigterm_ends_pytest_with_a_table_and_leaves_nothing(start, tmp_path):
    """As `timeout 60 pytest bench/` sends it."""
    (tmp_path / "temporary").mkdir()
    process = start(
        "--benchmark-only", "--repeat", "2", "--interleave", "rounds", checkout=ROOT,
        TMPDIR=str(tmp_path / "temporary"),
    )  # fmt: skip
    wait_for_a_record(process, tmp_path, lambda: any((tmp_path / "temporary").iterdir()))
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, output + errors
    assert "records and tables" in output
    assert not list((tmp_path / "temporary").iterdir())


def test_disabled_benchmarks_still_run_the_case(bench, tmp_path):
    done = bench("--benchmark-disable")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert len(Store.open(tmp_path / "run").records()) == 1


def test_a_training_shorter_than_the_warm_up_has_no_figure(bench, tmp_path):
    done = bench("--benchmark-only", "--epochs", "1", step_seconds=0.001)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 skipped" in done.stdout
    assert "training ended within the warm-up" in done.stdout
    (record,) = Store.open(tmp_path / "run").records()
    assert record.status.value == "ok"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--benchmark-only", "--benchmark-cprofile=cumtime"], "cProfile cannot see the training"),
        (["--numprocesses", "2"], "bench/ measures one case at a time"),
        (["--benchmark-only", "--batch-size", "3000"], "digits has a set of 512; choose less"),
        (["--interleave", "both"], "invalid choice: 'both' (choose from "),
        (["--alive", "0"], "--alive 0: choose 1 or more"),
        (["-p", "no:benchmark"], "bench/ needs pytest-benchmark"),
        (["--output="], "argument --output: it is empty: a variable of the shell may be unset"),
        (["-p", "tracing", "--cov=lenet"], "--cov: to trace which lines run makes the training in the worker slower"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_a_sentence(bench, tmp_path, arguments, sentence):
    (tmp_path / "tracing.py").write_text(
        "def pytest_addoption(parser):\n    parser.addoption('--cov', dest='cov_source', action='append')\n"
    )
    done = bench(*arguments, plugins=True, modules=tmp_path)
    assert done.returncode == 4, done.stdout + done.stderr
    assert sentence in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not (tmp_path / "run").exists()


def test_the_tests_name_the_missing_packages():
    """`pytest tests/` in an environment without the extra `test`, imitated by a finder that hides its packages."""
    hide = (
        "import importlib.metadata as m, sys, pytest\n"
        "real = m.version\n"
        "def version(name):\n"
        "    if name == 'hypothesis': raise m.PackageNotFoundError(name)\n"
        "    return real(name)\n"
        "m.version = version\n"
        "raise SystemExit(pytest.main(['tests', '-p', 'no:cacheprovider', '--collect-only', '-q']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", hide], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 4, done.stdout + done.stderr
    assert "the tests need hypothesis: pip install '.[test]'" in done.stderr
