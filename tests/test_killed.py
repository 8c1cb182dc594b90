"""The parent process killed at any moment: what was measured stays, and resuming measures only the rest."""

from __future__ import annotations

import importlib.util
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from lenet.store.record import Status

HERE = Path(__file__).parent


def load(name):
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


checks = load("checks")
CASES = 10


@pytest.fixture(params=["rounds", "windows"])
def count(request, monkeypatch):
    """How many cases are run: each worker alone, or all of them alive together, which are done at about one time."""
    monkeypatch.setenv("DRIVE_INTERLEAVE", request.param)
    return {"rounds": CASES, "windows": 4}[request.param]


def start(folder, *, count=CASES, **variables):
    return subprocess.Popen(
        [sys.executable, str(HERE / "drive.py"), str(folder), str(count)],
        env={**os.environ, "PYTHONPATH": str(HERE.parent), **variables},
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said


def await_records(folder, count, process):
    """Wait until that many are written: when to kill depends on progress, not on the speed of the machine."""
    deadline = time.monotonic() + 60
    while len(list((folder / "records").glob("*.json"))) < count and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("_", range(2))
def test_killed_at_random_moments_nothing_is_lost_doubled_or_torn(tmp_path, seed, count, _):
    chance, folder, kills = random.Random(seed), tmp_path / "run", 0
    before = {}
    while len(before) < count:
        process = start(folder, count=count)
        await_records(folder, len(before) + chance.choice((0, 1, 2)), process)
        time.sleep(chance.uniform(0, 0.08))
        kills += process.poll() is None
        process.kill()
        process.communicate()
        checks.nothing_lost(before, folder)
        before = checks.snapshot(folder)
    finish(start(folder, count=count))
    assert kills >= count // 3, "it was not killed: the test shows nothing"
    checks.nothing_lost(before, folder)
    checks.whole(folder, Status.OK)


def test_killed_at_each_write_of_a_record_and_of_the_log(tmp_path):
    """strace kills the parent at the n-th system call that writes to the disk."""
    strace = ["strace", "-f", "-o", "/dev/null", "-e", "inject=fsync,rename,renameat,renameat2:signal=KILL:when={}"]
    try:
        subprocess.run([*strace[:-1], "trace=none", "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs strace and the right to trace")
    folder, before = tmp_path / "run", {}
    for number in (1, 2, 3, 4, 5):
        subprocess.run(
            [*strace[:-1], strace[-1].format(number), sys.executable, str(HERE / "drive.py"), str(folder), "4"],
            env={**os.environ, "PYTHONPATH": str(HERE.parent)},
            capture_output=True,
            timeout=60,
        )
        if folder.exists():
            checks.nothing_lost(before, folder)
            before = checks.snapshot(folder)
    finish(start(folder, count=4))
    checks.whole(folder, Status.OK)


def test_the_workers_of_a_killed_parent_end_too(tmp_path, count):
    """Those that are stopped as well."""
    folder = tmp_path / "run"
    process = start(folder, count=count, FAKE_SECONDS="0.3")
    workers = []
    while len(workers) < (1 if count == CASES else 3):
        workers = psutil.Process(process.pid).children()
        time.sleep(0.005)
    process.kill()
    process.communicate()
    gone, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive
    assert gone


def test_ctrl_c_at_a_random_moment(tmp_path, count):
    folder = tmp_path / "run"
    process = start(folder, count=count)
    await_records(folder, count // 3, process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    before = checks.snapshot(folder)
    assert before
    finish(start(folder, count=count))
    checks.nothing_lost(before, folder)
    checks.whole(folder, Status.OK)


def test_a_run_without_its_logs_can_be_resumed(tmp_path):
    """Logs may contain paths and are left out of a run that is published."""
    folder = tmp_path / "run"
    process = start(folder, FAKE_SECONDS="0.1")
    await_records(folder, 1, process)
    process.kill()
    process.communicate()
    shutil.rmtree(folder / "logs")
    finish(start(folder))
    checks.whole(folder, Status.OK)


def test_a_second_process_on_one_run_is_refused_in_one_sentence(tmp_path):
    folder = tmp_path / "run"
    first = start(folder, FAKE_SECONDS="0.1")
    await_records(folder, 1, first)
    second = start(folder)
    _, said = second.communicate(timeout=60)
    assert second.returncode == 2
    assert "is being written by" in said
    if Path("/proc/locks").exists():
        assert f"process {first.pid} (" in said
        assert "drive.py" in said
    assert len(said.splitlines()) == 1
    first.kill()
    first.communicate()
    finish(start(folder))  # a killed holder holds nothing
    checks.whole(folder, Status.OK)


@pytest.mark.parametrize("interleave", ["rounds", "windows"])
def test_faults_of_workers_between_good_ones(tmp_path, seed, interleave):
    """Crashes, hangs, other output, incomplete lines and orphaned children in turn: each case has its own record."""
    folder = tmp_path / "run"
    faults = "none,SIGKILL,SIGSEGV,SIGABRT,exit,silent,garbage,torn,children,noise"
    finish(
        start(
            folder, count=14, FAKE_FAULTS=faults, FAKE_SEED=str(seed), DRIVE_SILENCE="2", DRIVE_INTERLEAVE=interleave
        )
    )  # fmt: skip
    records = checks.whole(folder)
    assert {record.status for record in records} >= {Status.CRASHED}
    for record in records:
        assert record.status in (Status.OK, Status.CRASHED, Status.TIMED_OUT, Status.INVALID)
        assert (record.reason == "") == (record.status is Status.OK)
