"""`pytest bench/` with pytest-benchmark's options, in the environment that `pip install .` gives. Workers use NumPy."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lenet.store.run import Store

ROOT = Path(__file__).parents[2]
IN_NUMPY = os.pathsep.join((str(ROOT / "tests/cheap"), str(ROOT)))
"""PYTHONPATH with which workers train in NumPy."""
EXTRA = ("timeout", "randomly", "xdist", "hypothesispytest")
"""Plugins of the extra `test`, which `pip install .` does not bring."""


@pytest.fixture
def bench(tmp_path):
    def run(*arguments, step_seconds=0.01, plugins=False, output="run"):
        without = [] if plugins else [word for name in EXTRA for word in ("-p", f"no:{name}")]
        own = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV"))}
        return subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "bench/", "-p", "no:cacheprovider"),
                *(*without, "--mode", "graph", "--batch-size", "32", "--dataset", "digits"),
                *("--output", str(tmp_path / output), f"--benchmark-storage=file://{tmp_path / 'stored'}", *arguments),
            ],
            cwd=ROOT,
            env={**own, "COLUMNS": "80", "NUMPY_WORKER_STEP_SECONDS": str(step_seconds), "PYTHONPATH": IN_NUMPY},
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


def test_a_round_is_a_window_in_seconds_per_step_without_the_extra_test(bench, tmp_path):
    done = bench("--benchmark-only", "--benchmark-json", str(tmp_path / "bench.json"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert "warning" not in done.stdout.lower()
    assert "seconds per training step: CPU, batch 32, digits" in done.stdout
    (measured,) = json.loads((tmp_path / "bench.json").read_text())["benchmarks"]
    (record,) = Store.open(tmp_path / "run").records()
    windows = [window for window in record.windows if not window.warmup]
    full = max(window.steps for window in windows)
    expected = [window.seconds / window.steps for window in windows if window.steps == full]
    assert full > 1
    assert measured["stats"]["data"] == pytest.approx(expected)
    assert measured["stats"]["iterations"] == full
    assert 0.01 < measured["stats"]["median"] < 0.1


class TestSlowDown:
    """A round is as long as a training step, so that pytest-benchmark's own gate sees slower training."""

    GATE = ("--benchmark-only", "--benchmark-compare", "--benchmark-compare-fail=median:10%")

    @pytest.fixture
    def saved(self, bench):
        done = bench("--benchmark-only", "--benchmark-save=before", output="before")
        assert done.returncode == 0, done.stdout + done.stderr

    @pytest.mark.usefixtures("saved")
    def test_the_gate_fails_on_slower_steps_and_only_then(self, bench):
        same = bench(*self.GATE, output="same")
        assert same.returncode == 0, same.stdout + same.stderr
        slower = bench(*self.GATE, step_seconds=0.015, output="slower")
        assert slower.returncode == 1, slower.stdout + slower.stderr
        assert "Performance has regressed" in slower.stderr + slower.stdout
        assert "median" in slower.stderr + slower.stdout


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
    ],
)
def test_what_cannot_be_measured_is_refused_in_a_sentence(bench, tmp_path, arguments, sentence):
    done = bench(*arguments, plugins=True)
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
