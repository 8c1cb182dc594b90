"""A worker's process ends with its parent, whatever state it is in."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from lenet.cases.case import Case, Plan
from lenet.engine import process
from lenet.engine.process import OverdueError, TimeLimits, WorkerProcess, WorkerStartError, worker
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


LEAVES = """
import os, sys, tempfile
folder = tempfile.mkdtemp(prefix="of-a-compiler-")
os.write(int(sys.argv[1]), folder.encode() + b"\\n")
os._exit(0)
"""


def test_temporary_files_that_a_worker_leaves_are_removed(tmp_path):
    """A worker ends without the ends of its libraries: PyTorch's compiler leaves 2 MB."""
    with worker([sys.executable, "-c", LEAVES], b"", tmp_path / "log", TimeLimits(60, 60)) as process:
        (line,) = process.lines()
        left = Path(line.decode())
        assert left.is_dir()
    assert not left.exists()


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


class TestStoppedCommand:
    """Ctrl-Z, or a virtual machine that is paused: for the command no time passes, while its worker may go on."""

    @pytest.fixture
    def waiting(self, monkeypatch):
        """A worker whose messages come after these times in seconds; None: not while they are waited for."""

        def make(limits, *delays):
            clock, left = SimpleNamespace(now=0.0), list(delays)

            def get(timeout):
                delay, late = left.pop(0)
                assert delay is None or delay < timeout
                clock.now += (timeout if delay is None else delay) + late
                if delay is None:
                    raise queue.Empty
                return b"line\n"

            monkeypatch.setattr(process, "time", SimpleNamespace(monotonic=lambda: clock.now))
            made = object.__new__(WorkerProcess)
            made._limits, made._started, made._last_event, made._stopped_at = limits, 0.0, 0.0, None
            made._messages = SimpleNamespace(get=get)
            return made, clock

        return make

    @pytest.mark.parametrize("wall", [None, 50])
    def test_what_came_while_it_was_stopped_is_read_before_the_worker_is_called_silent(self, waiting, wall):
        made, clock = waiting(TimeLimits(wall, 10), (3, 0), (None, 1000), (2, 0), (None, 0))
        assert made._next() == b"line\n"
        assert made._next() == b"line\n"
        assert clock.now == 3 + 10 + 1000 + 2
        with pytest.raises(OverdueError, match="no sign of life for 10 s"):
            made._next()

    def test_the_whole_time_too(self, waiting):
        made, _ = waiting(TimeLimits(5, 10), (None, 1000), (4, 0), (None, 0))
        assert made._next() == b"line\n"
        with pytest.raises(OverdueError, match="not finished after 5 s"):
            made._next()


@pytest.mark.parametrize("allowed", [0, 1])
def test_a_process_that_may_start_no_thread_leaves_no_worker(allowed, tmp_path, monkeypatch):
    """As `ulimit -u` and the limits of containers have it."""
    started, start = [], threading.Thread.start

    def limited(thread):
        if len(started) >= allowed:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    before = set(psutil.Process().children())
    refused = pytest.raises(WorkerStartError, match="the worker cannot be started: can't start new thread")
    with refused, worker((sys.executable, "-c", "import time; time.sleep(60)"), b"", tmp_path / "log", TimeLimits()):
        pass
    assert set(psutil.Process().children()) == before


def test_what_is_named_relative_to_the_users_folder_is_found_by_a_worker_in_another(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"src{os.pathsep}{os.environ.get('PYTHONPATH', '/')}{os.pathsep}")
    monkeypatch.setenv("LD_LIBRARY_PATH", "./lib:$ORIGIN/x:/abs")
    monkeypatch.setenv("LD_PRELOAD", "libc.so.6 ./no\u0302.so")
    code = "import os; print(*(os.environ[name] for name in ('PYTHONPATH', 'LD_LIBRARY_PATH', 'LD_PRELOAD')), sep='|')"
    with worker((sys.executable, "-c", code), b"", tmp_path / "log", TimeLimits()) as started:
        assert list(started.lines()) == []
    python, libraries, loaded = (tmp_path / "log").read_text().splitlines()[-1].split("|")
    assert str(tmp_path / "src") in python.split(os.pathsep)
    assert python.endswith(f"{os.pathsep}{tmp_path}")
    assert libraries == f"{tmp_path}/lib:$ORIGIN/x:/abs"
    assert loaded == f"libc.so.6:{tmp_path}/no\u0302.so"


@pytest.mark.parametrize("library", ["libBrokenLocale.so.1", "libnowhere.so.9"])
def test_a_worker_knows_whether_its_allocator_is_loaded(library, tmp_path, monkeypatch):
    """The library is one of glibc's that no program loads. What the user preloads stays, after it."""
    monkeypatch.setenv("LD_PRELOAD", "libm.so.6")
    code = "import os, lenet.worker.work as w; print(os.environ['LD_PRELOAD'], w.is_loaded(os.environ['LIBRARY']))"
    monkeypatch.setenv("LIBRARY", library)
    with worker((sys.executable, "-c", code), b"", tmp_path / "log", TimeLimits(), preloaded=library) as started:
        assert list(started.lines()) == []
    found = library == "libBrokenLocale.so.1"
    assert (tmp_path / "log").read_text().splitlines()[-1] == f"{library}:libm.so.6 {found}"
