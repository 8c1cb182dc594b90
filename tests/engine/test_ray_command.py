"""`lenet-bench run --engine ray` on a real Ray cluster."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lenet.cases.case import Mode
from lenet.commands.verify import verify
from lenet.engine.environments import venv
from lenet.store.record import Status
from lenet.store.run import Store
from tests import checks

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore")]  # Ray's own deprecations and open sockets

HERE = Path(__file__).parent
BENCH = (sys.executable, str(HERE / "numpy_bench.py"))
PLAN = """
datasets = ["digits"]
[plan]
windows = 1
warmup_steps = 2
window_steps = 3
window_seconds = 0
resident_windows = 0
evaluation_images = 64
"""


@pytest.fixture
def command(cluster, tmp_path):
    """Start `lenet-bench run --engine ray`, by default with workers that train in NumPy."""
    started = []

    def start(*options, matrix='modes = ["graph"]', plan=(), bench=BENCH):
        text = matrix + PLAN
        for before, after in plan:
            text = text.replace(before, after)
        (tmp_path / "small.toml").write_text(text)
        spanning = () if "--resume" in options else ("--matrix", "small.toml", "--output", "run")
        started.append(subprocess.Popen(
            [*bench, "run", "--engine", "ray", *spanning, *options],
            cwd=tmp_path, env={**os.environ, "RAY_ADDRESS": cluster.address},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ))  # fmt: skip
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_node_uses_the_environment_of_the_release(command, tmp_path):
    """The environment's Python starts the worker that trains in NumPy, and leaves a trace."""
    cache = Path(os.environ["LENET_BENCH_CACHE"])
    folder = cache / f"environment-mindspore-1.2.3-py{sys.version_info[0]}{sys.version_info[1]}"
    (folder / "bin").mkdir(parents=True)
    python = folder / "bin" / "python"
    worker = HERE.parent / "numpy_worker.py"
    python.write_text(f'#!/bin/sh\necho the environment of 1.2.3\nexec {sys.executable} {worker} "$3"\n')
    python.chmod(0o755)
    requirements = ["mindspore==1.2.3", *map("".join, venv.WORKER_NEEDS.items())]
    (folder / "ready.json").write_text(json.dumps({"requirements": requirements}))
    process = command("--versions", "1.2.3")
    output, progress = process.communicate(timeout=120)
    assert process.returncode == 0, (output, progress)
    store = Store.open(tmp_path / "run")
    (record,) = store.records()
    assert (record.status, record.case.framework_version) == (Status.OK, "1.2.3")
    assert "the environment of 1.2.3" in store.log_path(record.case).read_text()


def test_a_release_that_cannot_be_installed_on_a_node_is_unavailable_with_the_reason(command, tmp_path):
    """The nodes' pip has no index; on the machine of the command nothing is installed."""
    process = command("--versions", "0.0.0")
    output, progress = process.communicate(timeout=120)
    assert process.returncode == 1, (output, progress)
    (record,) = Store.open(tmp_path / "run").records()
    assert record.status is Status.UNAVAILABLE
    assert "mindspore 0.0.0 cannot be installed" in record.reason
    notices = [line for line in progress.splitlines() if "making an environment" in line]
    assert notices
    assert all(re.match(r"lenet-bench: \S+/[0-9a-f]{6}: making an environment for mindspore", each) for each in notices)


def test_a_busy_node_refuses_if_asked_to(command, cluster, hold_cpu, tmp_path):
    other = hold_cpu(cluster.locks("one"), cluster.locks("two"))
    process = command("--busy", "refuse")
    output, progress = process.communicate(timeout=120)
    assert process.returncode == 2, (output, progress)
    (sentence,) = [line for line in progress.splitlines() if "measures on cpu" in line]
    assert re.search(rf" \S+/[0-9a-f]{{6}}: process {other.pid} .*--busy wait", sentence)
    assert Store.open(tmp_path / "run").records() == []


@pytest.mark.timeout(120)
def test_a_busy_node_is_waited_for_and_says_so(command, cluster, hold_cpu, tmp_path):
    other = hold_cpu(cluster.locks("one"), cluster.locks("two"))
    process = command("--busy", "wait")
    lines = iter(process.stderr.readline, "")
    assert f"process {other.pid}" in next(line for line in lines if "waiting for" in line)
    other.kill()
    assert any("cpu is free after" in line for line in lines)
    assert process.wait(timeout=60) == 0
    assert [record.status for record in Store.open(tmp_path / "run").records()] == [Status.OK]


def in_turns(folder):
    """The cases of which turns are here and no record."""
    lines = (folder / "events.jsonl").read_bytes().splitlines(keepends=True)
    events = [json.loads(line) for line in lines if line.endswith(b"\n")]
    cases = {event["case_id"] for event in events if event.get("turn") is not None}
    return cases - {path.stem for path in (folder / "records").iterdir()}


def test_control_c_in_the_middle_of_a_group_and_resume_lose_nothing(command, tmp_path):
    folder = tmp_path / "run"
    matrix = 'modes = ["graph"]\nbatch_sizes = [32, 64]\nrepeat = 4'
    long = ("window_seconds = 0", "window_seconds = 0.5"), ("windows = 1\n", "windows = 8\n")
    process = command("--alive", "2", matrix=matrix, plan=long)
    deadline = time.monotonic() + 120
    while not (list((folder / "records").glob("*.json")) and in_turns(folder)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, progress = process.communicate(timeout=60)
    assert process.returncode == 130, (output, progress)
    assert "2 cases take turns on " in progress
    assert "resume with: lenet-bench run --alive 2 --engine ray --resume run" in progress
    before = checks.snapshot(folder)
    assert 0 < len(before) < 8
    again = command("--resume", "run", "--alive", "2")
    output, progress = again.communicate(timeout=240)
    assert again.returncode == 0, (output, progress)
    checks.nothing_lost(before, folder)
    records = checks.whole(folder, Status.OK)
    assert len(records) == 8
    assert [str(each) for each in verify(folder).violations] == []
    assert len({record.group for record in records} - {""}) >= 3


@pytest.mark.mindspore
def test_a_real_matrix_over_two_nodes(command, tmp_path):
    """The quick matrix's modes and batch sizes with real workers, in few steps."""
    matrix = (
        'modes = ["pynative", "graph", "jit"]\nbatch_sizes = [32, 64]\nprofiles = ["onednn_isa=AVX2+launch_blocking"]'
    )
    process = command(matrix=matrix, bench=(sys.executable, "-m", "lenet.cli"))
    output, progress = process.communicate(timeout=280)
    assert process.returncode == 0, (output, progress)
    records = Store.open(tmp_path / "run").records()
    assert len(records) == 6
    assert [(record.status, record.reason) for record in records if record.status is not Status.OK] == []
    assert {record.case.mode for record in records} == {Mode.PYNATIVE, Mode.GRAPH, Mode.JIT}
    assert "[6/6]" in progress
    graph, jit = (
        next(record for record in records if record.case.mode is mode and record.case.hyperparameters.batch_size == 64)
        for mode in (Mode.GRAPH, Mode.JIT)
    )
    assert graph.weights_sha256["initial"] == jit.weights_sha256["initial"]
