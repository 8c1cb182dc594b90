"""The real command, the real MindSpore, from the command line to the table."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lenet.commands.verify import verify
from lenet.store.run import Store

pytestmark = pytest.mark.mindspore

ROOT = Path(__file__).resolve().parents[1]

MATRIX = """
modes = ["graph", "pynative"]
batch_sizes = [32, 64]
profiles = ["onednn_isa=AVX2+launch_blocking"]
datasets = ["digits"]
[plan]
window_steps = 1
window_seconds = 0
windows = 3
resident_windows = 1
evaluation_images = 64
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("user")
    (folder / "small.toml").write_text(MATRIX)
    return folder


def command(*arguments):
    return [sys.executable, "-m", "lenet.cli", *map(str, arguments)]


def environment():
    # A pytest inside is no worker of the one outside.
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return {**own, "COLUMNS": "80"}


def execute(folder, *arguments):
    return subprocess.run(
        command(*arguments), cwd=folder, env=environment(), capture_output=True, text=True, timeout=240
    )


@pytest.fixture(scope="module")
def interrupted(folder):
    """A run that Ctrl-C stopped after its first record: exit code, output, and the records then.

    In rounds: the workers of a group end one right after another.
    """
    process = subprocess.Popen(
        command("run", "--matrix", "small.toml", "--interleave", "rounds", "--output", "run"),
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not list((folder / "run" / "records").glob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err, {path: path.read_bytes() for path in (folder / "run/records").glob("*.json")}


@pytest.fixture(scope="module")
def resumed(folder, interrupted):
    return execute(folder, "run", "--resume", "run")


def test_an_interrupted_and_resumed_run_is_verified(folder, resumed):
    assert resumed.returncode == 0, resumed.stderr
    assert [str(each) for each in verify(folder / "run").violations] == []


def test_ctrl_c_keeps_finished_records_and_names_the_command_that_resumes(interrupted):
    code, out, err, records = interrupted
    assert code == 130
    assert out == ""
    assert "stopped: 1 of 4 records are in run" in err
    assert err.endswith(f"resume with: {sys.executable} -m lenet.cli run --interleave rounds --resume run\n")
    assert "Traceback" not in err
    assert len(records) == 1


def test_resume_measures_only_what_is_missing(folder, interrupted, resumed):
    assert resumed.returncode == 0, resumed.stderr
    assert "3 cases, 1 done before" in resumed.stderr
    for path, content in interrupted[3].items():
        assert path.read_bytes() == content, "a finished record is not touched"
    assert len(Store.open(folder / "run").records()) == 4


def test_the_table_is_printed_and_fits(folder, resumed):
    lines = resumed.stdout.splitlines()
    # What is alike in all lines is a caption; how stable a figure is may differ on a busy machine.
    statuses = {(row["status"], row["verdict"]) for row in json.loads((folder / "run" / "table.json").read_text())}
    own = ["status"] if len(statuses) > 1 else []
    assert lines[0].split() == ["mode", "batch", "images/s", "spread", "speed-up", "accuracy", *own]
    assert max(map(len, lines[:7])) <= 80
    assert "NOT MNIST: digits" in " ".join(resumed.stdout.split())
    assert "\x1b" not in resumed.stdout + resumed.stderr


def test_each_figure_in_the_table_is_a_records(folder, resumed):
    found = json.loads((folder / "run" / "table.json").read_text())
    records = {record.case_id: record for record in Store.open(folder / "run").records()}
    assert {row["case_id"] for row in found} == set(records)
    for row in found:
        steady = [window for window in records[row["case_id"]].windows if not window.warmup]
        rates = sorted(window.images / window.seconds for window in steady)
        assert len(rates) == 3, "three windows or turns of a step, whatever the pace"
        assert row["images_per_second"] == pytest.approx(rates[1])
        assert row["status"] == "ok"
        assert row["framework_version"].startswith("2.")
        assert row["compile_seconds"] > 0
        assert row["peak_memory_bytes"] > 10**8


def test_a_whole_run_that_is_resumed_measures_nothing(folder, resumed):
    again = execute(folder, "run", "--resume", "run")
    assert again.returncode == 0
    assert "0 cases, 4 done before" in again.stderr
    assert again.stdout == resumed.stdout


def test_a_folder_that_holds_a_run_is_not_overwritten(folder, resumed):
    done = execute(folder, "run", "--matrix", "small.toml", "--output", "run")
    assert done.returncode == 2
    assert "--resume" in done.stderr


def test_devices_that_are_not_there_are_rows_and_not_stack_traces(folder):
    done = execute(folder, "run", "--matrix", "small.toml", "--device", "gpu,ascend", "--mode", "graph",
                   "--batch-size", "32", "--output", "absent")  # fmt: skip
    rows = json.loads((folder / "absent" / "table.json").read_text())
    by_device = {row["device_target"]: row for row in rows}
    assert "Traceback" not in done.stderr
    for device in ("GPU", "Ascend"):
        if by_device[device]["status"] == "ok":
            pytest.skip(f"this machine has a {device}")
        assert by_device[device]["status"] == "unavailable"
        assert by_device[device]["reason"]
        assert by_device[device]["images_per_second"] is None
    assert done.returncode == 1
    assert "no case could be run" in done.stderr


@pytest.fixture(scope="module")
def session(folder):
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "bench/", "--benchmark-only", "-p", "no:cacheprovider"),
            *("-p", "no:randomly", "--device", "cpu,ascend", "--mode", "graph", "--batch-size", "32"),
            *("--profile", "onednn_isa=AVX2+launch_blocking", "--dataset", "digits"),
            *("--output", str(folder / "bench"), f"--benchmark-storage=file://{folder / 'stored'}"),
            *("--benchmark-json", str(folder / "bench.json"), "--benchmark-save", "one"),
        ],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=240,
    )


class TestPytestBenchmark:
    def test_it_measures_and_skips_what_is_absent_with_its_reason(self, session):
        assert session.returncode == 0, session.stdout + session.stderr
        assert "1 passed, 1 skipped" in session.stdout
        assert "cannot use Ascend here" in session.stdout

    def test_a_round_is_a_window_of_training_steps(self, session, folder):
        (bench,) = json.loads((folder / "bench.json").read_text())["benchmarks"]
        (record,) = [each for each in Store.open(folder / "bench").records() if each.windows]
        seconds_per_step = [window.seconds / window.steps for window in record.windows if not window.warmup]
        assert bench["stats"]["data"] == pytest.approx(seconds_per_step)
        assert bench["extra_info"]["images_per_second"] == record.summary.throughput.median
        assert bench["extra_info"]["mode"] == "graph"

    def test_its_run_is_verified(self, session, folder):
        assert [str(each) for each in verify(folder / "bench").violations] == []

    def test_the_tables_are_printed_and_stored(self, session, folder):
        assert "images/s" in session.stdout
        assert (folder / "bench" / "table.md").read_text().startswith("| device")

    def test_pytest_benchmarks_own_compare_reads_it(self, session, folder):
        saved = [str(path) for path in (folder / "stored").rglob("*.json")]
        assert saved
        done = subprocess.run(
            [sys.executable, "-m", "pytest_benchmark", "compare", *saved],
            cwd=folder, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "test_training_step" in done.stdout

    @pytest.mark.parametrize(
        ("arguments", "named"),
        [
            (["--device", "tpu"], "--device"),
            (["--batch-size", "0"], "--batch-size"),
            (["--preset", "fast"], "fast"),
            (["--data-dir", "nowhere"], "nowhere"),
        ],
    )
    def test_bad_options_are_one_sentence(self, arguments, named):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "bench/", "--benchmark-only", "-p", "no:cacheprovider", *arguments],
            cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 4
        assert "Traceback" not in done.stderr
        assert named in done.stderr
