"""A worker's process ends with its parent, whatever state it is in."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from lenet.cases.case import Case, Plan
from lenet.engine.process import TimeLimits, worker
from lenet.worker.work import Assignment

PARENT = """
import sys, time
from pathlib import Path
from lenet.engine.process import TimeLimits, worker
assignment, log, *command = sys.argv[1:]
with worker(command, assignment.encode(), Path(log), TimeLimits(None, 60)) as process:
    next(process.lines())  # the worker has started
    print(process.pid, flush=True)
    time.sleep(60)
"""


def alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
def test_a_worker_ends_when_its_parent_is_killed(stopped, tmp_path, digits, numpy_worker):
    plan = Plan(windows=1000, window_seconds=1.0, budget_seconds=600)
    assignment = Assignment(case=Case(dataset="digits", plan=plan), dataset_folder=digits.folder, dataset=digits.card)
    command = [sys.executable, "-c", PARENT, assignment.model_dump_json(), str(tmp_path / "log"), *numpy_worker]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        try:
            if stopped:
                os.kill(worker, signal.SIGSTOP)
            assert alive(worker)
            parent.kill()
            deadline = time.monotonic() + 10
            while alive(worker):
                assert time.monotonic() < deadline, "the worker outlives its parent"
                time.sleep(0.02)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)


WAITS = """
import os, sys
os.write(int(sys.argv[1]), b'{"event":"paused","turns_left":1}\\n')
os.read(int(sys.argv[2]), 100)
os.write(int(sys.argv[1]), b'{"event":"the turn"}\\n')
"""


def test_no_time_passes_for_a_worker_that_waits_before_anybody_reads_that_it_does(tmp_path):
    """Workers set themselves up together and are followed one after the other: the first may take long."""
    limits = TimeLimits(wall_seconds=2.0, silence_seconds=2.0)
    with worker([sys.executable, "-c", WAITS], b"", tmp_path / "log", limits, turns=True) as process:
        deadline = time.monotonic() + 60
        while not process.paused:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(2.5)
        lines = process.lines()
        assert b"paused" in next(lines)
        process.give_turn(b"{}")
        assert b"the turn" in next(lines)
        assert list(lines) == []
        assert process.code == 0


@pytest.mark.parametrize("module", ["lenet.worker", "lenet.worker.instruments"])
def test_a_worker_whose_parent_ended_before_it_began_ends_at_once(module, tmp_path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    read_end, write_end = os.pipe()
    worker = subprocess.Popen(
        [sys.executable, "-m", module, str(write_end)], env={**os.environ, "LENET_BENCH_PARENT": str(ended.pid)},
        stdin=subprocess.PIPE, pass_fds=(write_end,), cwd=tmp_path,
    )  # fmt: skip
    try:
        assert worker.wait(timeout=20) == 1
    finally:
        worker.kill()
        worker.communicate()
        os.close(read_end)
        os.close(write_end)
