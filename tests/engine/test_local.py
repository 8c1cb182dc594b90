"""The engine against workers that misbehave: real processes, real signals, real pipes."""

from __future__ import annotations

import os
import sys
import textwrap
import time

import psutil
import pytest

from lenet.cases.case import Case, Hyperparameters, Plan, RuntimeProfile
from lenet.commands.verify import verify
from lenet.engine import SilentObserver, TimeLimits
from lenet.engine.local import LocalEngine
from lenet.store.events import Finished
from lenet.store.record import Status
from lenet.store.run import Store

PREAMBLE = """
import json, os, signal, subprocess, sys, time
fd = int(sys.argv[1])
case = json.loads(sys.stdin.read())["case"]
def emit(line):
    os.write(fd, line.encode() + b"\\n")
STARTED = json.dumps({"event": "started", "initial_weights_sha256": "0" * 64, "software":
    {"framework_version": "2", "python_version": "3", "numpy_version": "1"}})
def steps(first, loss=2.5):
    emit(json.dumps({"event": "steps", "epoch": 1, "first_step": first, "steps": 1, "images": 32, "seconds": 0.5,
        "warmup": first < 2, "losses": [loss]}))
EVALUATED = json.dumps({"event": "evaluated", "epoch": 0, "steps": 4, "training_seconds": 2.0, "seconds": 0.1,
    "images": 512, "correct": 300, "distinct_answers": 10})
PHASES = {name + "_seconds": 1.0 for name in ("import_and_setup", "compile_and_first_step", "training", "evaluation",
    "resident", "other")}
FINISHED = json.dumps({"event": "finished", "phases": {**PHASES, "wall_seconds": 6.0}, "final_weights_sha256": "1" * 64,
    "losses_sha256": "2" * 64, "peak_memory_bytes": 1000})
def good():
    emit(STARTED)
    for first in range(4):
        steps(first)
    emit(EVALUATED); emit(FINISHED)
"""


@pytest.fixture
def run(tmp_path, digits, new_store):
    """Run one case with a worker made of `body`; returns its record and the store."""

    def go(body, limits=None, cases=None):
        script = tmp_path / "worker.py"
        script.write_text(PREAMBLE + textwrap.dedent(body), encoding="utf-8")
        cases = cases or [Case(dataset="digits")]
        store = new_store(cases, digits)
        engine = LocalEngine(limits or TimeLimits(30, 30), command=(sys.executable, str(script)))
        records = engine.run(cases, {"digits": digits}, store)
        assert store.records() == records, "what run returns is what is on disk"
        return records[0], store

    return go


def test_a_good_worker(run):
    record, _ = run("good()")
    assert record.status is Status.OK, record
    assert record.summary.throughput.median == 64
    assert record.summary.throughput.windows == 2
    assert record.summary.accuracy == 300 / 512
    assert record.summary.final_loss == 2.5
    assert record.summary.peak_memory_bytes == 1000
    assert record.exit_code == 0


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGKILL", "SIGABRT"])
def test_a_worker_that_dies_of_a_signal_keeps_what_it_had_measured(run, name):
    record, _ = run(f"""
        emit(STARTED); steps(0); steps(1); steps(2)
        print("last words", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.{name})
    """)
    assert record.status is Status.CRASHED
    assert name in record.reason
    assert "last words" in record.stderr_tail
    assert len(record.windows) == 3


def test_a_real_segmentation_fault(run):
    record, _ = run("import ctypes; emit(STARTED); ctypes.string_at(0)")
    assert record.status is Status.CRASHED
    assert "SIGSEGV" in record.reason


def test_a_worker_that_exits_without_a_word(run):
    record, _ = run("print('why'); sys.exit(3)")
    assert record.status is Status.CRASHED
    assert "exit code 3" in record.reason
    assert "why" in record.stderr_tail


def test_a_crash_after_everything_was_reported_loses_nothing(run):
    record, _ = run("good(); os.kill(os.getpid(), signal.SIGSEGV)")
    assert record.status is Status.OK
    assert "SIGSEGV" in record.reason


def test_a_worker_that_reports_half_is_invalid(run):
    record, _ = run("emit(STARTED); steps(0)")
    assert record.status is Status.INVALID


@pytest.mark.parametrize(
    "garbage",
    [
        "not json",
        "[1]",
        '{"event": "steps"}',
        '{"event": "unheard of"}',
        '{"event":"compiled","seconds":NaN}',
        "{" * 9999,
    ],
)
def test_garbage_on_the_event_pipe_is_invalid(run, garbage):
    record, _ = run(f"emit(STARTED); emit({garbage!r}); time.sleep(60)")
    assert record.status is Status.INVALID
    assert "not an event" in record.reason


def test_garbage_on_standard_output_is_only_logged(run):
    record, store = run("sys.stdout.buffer.write(bytes(range(256)) * 1000); sys.stdout.flush(); good()")
    assert record.status is Status.OK
    assert store.log_path(record.case).stat().st_size >= 256_000


def _runs(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_silent_worker_is_killed_with_its_children(run, tmp_path):
    began = time.monotonic()
    record, _ = run(
        f"""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        loner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
        open({str(tmp_path / "pids")!r}, "w").write(f"{{child.pid}} {{loner.pid}}")
        emit(STARTED); time.sleep(60)
        """,
        TimeLimits(None, 2.0),
    )
    assert record.status is Status.TIMED_OUT
    assert "no sign of life for 2 s" in record.reason
    assert time.monotonic() - began < 20
    for pid in (tmp_path / "pids").read_text().split():
        while _runs(int(pid)):  # killed it is, but a busy machine may take a moment over it
            assert time.monotonic() - began < 30, "left behind"
            time.sleep(0.02)


def test_a_worker_that_hangs_while_it_prints_meets_the_wall_limit(run):
    began = time.monotonic()
    record, _ = run(
        """
        emit(STARTED)
        first = 0
        while True:
            steps(first); first += 1
        """,
        TimeLimits(2.0, 30.0),
    )
    assert record.status is Status.TIMED_OUT
    assert "not finished after 2 s" in record.reason
    assert time.monotonic() - began < 20


def test_a_worker_whose_child_outlives_it_is_no_hang(run):
    began = time.monotonic()
    record, _ = run("good(); subprocess.Popen(['sleep', '60'], pass_fds=(fd,))")
    assert record.status is Status.OK
    assert time.monotonic() - began < 20


def test_a_child_in_a_session_of_its_own_is_ended_with_the_worker_that_died(run, tmp_path):
    pid_file = tmp_path / "stray"
    before = psutil.Process().num_fds()
    record, _ = run(f"""
        emit(STARTED)
        stray = subprocess.Popen(["sleep", "60"], pass_fds=(fd,), start_new_session=True)
        open({str(pid_file)!r}, "w").write(str(stray.pid))
        os._exit(5)
    """)
    assert record.status is Status.CRASHED
    deadline = time.monotonic() + 20
    while _runs(int(pid_file.read_text())) or psutil.Process().num_fds() > before + 1:  # + 1: the store's lock
        assert time.monotonic() < deadline, "left behind"
        time.sleep(0.02)


def test_one_bad_case_does_not_end_the_run(run):
    cases = [Case(dataset="digits", repetition=index) for index in range(3)]
    body = "os.kill(os.getpid(), signal.SIGKILL) if case['repetition'] == 1 else good()"
    _, store = run(body, cases=cases)
    assert [record.status for record in store.records()] == [Status.OK, Status.CRASHED, Status.OK]


def test_a_failed_event_gives_status_and_reason(run):
    record, _ = run("""
        emit(json.dumps({"event": "failed", "status": "out of memory", "reason": "no room"})); sys.exit(1)
    """)
    assert (record.status, record.reason) == (Status.OUT_OF_MEMORY, "no room")


def test_a_constant_answer_after_whole_epochs_is_a_plateau(run):
    constant = "EVALUATED = EVALUATED.replace('\"distinct_answers\": 10', '\"distinct_answers\": 1'); good()"
    record, _ = run(constant, cases=[Case(dataset="digits", plan=Plan(epochs=1))])
    assert record.status is Status.PLATEAU


def test_a_constant_answer_of_a_speed_measurement_is_said_but_ok(run):
    constant = "EVALUATED = EVALUATED.replace('\"distinct_answers\": 10', '\"distinct_answers\": 1'); good()"
    record, _ = run(constant)
    assert record.status is Status.OK
    assert "constant answer" in record.reason


def test_a_batch_larger_than_the_data_is_invalid_without_a_worker(run):
    record, _ = run("good()", cases=[Case(dataset="digits", hyperparameters=Hyperparameters(batch_size=1000))])
    assert record.status is Status.INVALID
    assert "1000" in record.reason


def test_a_worker_that_cannot_start(digits, new_store):
    case = Case(dataset="digits")
    store = new_store([case], digits)
    (record,) = LocalEngine(command=("/nowhere/python",)).run([case], {"digits": digits}, store)
    assert record.status is Status.CRASHED
    assert "cannot be started" in record.reason


def test_control_c_ends_the_worker_and_keeps_finished_records(tmp_path, digits, new_store):
    class Impatient:
        def case_started(self, case, index, total): ...

        def event(self, case, event):
            if case.repetition == 1:
                raise KeyboardInterrupt

        def case_finished(self, case, record): ...

    pid_file = tmp_path / "pid"
    script = tmp_path / "worker.py"
    body = f"open({str(pid_file)!r}, 'w').write(str(os.getpid())); good(); case['repetition'] and time.sleep(60)"
    script.write_text(PREAMBLE + body, encoding="utf-8")
    cases = [Case(dataset="digits", repetition=index) for index in range(3)]
    store = new_store(cases, digits)
    engine = LocalEngine(observer=Impatient(), command=(sys.executable, str(script)))
    with pytest.raises(KeyboardInterrupt):
        engine.run(cases, {"digits": digits}, store)
    assert not psutil.pid_exists(int(pid_file.read_text()))
    reopened = Store.open(store.path)
    assert [record.case.repetition for record in reopened.records()] == [0]
    assert [case.repetition for case in reopened.missing()] == [1, 2]


def test_an_interruption_while_a_worker_ends_keeps_its_record(digits, new_store, numpy_worker):
    """The case is finished: measured again, it would have a finished attempt without a record."""

    class Interrupter(SilentObserver):
        def event(self, case, event):
            if isinstance(event, Finished):
                raise KeyboardInterrupt

    case = Case(dataset="digits", hyperparameters=Hyperparameters(batch_size=64), plan=Plan(epochs=1))
    store = new_store([case], digits)
    with pytest.raises(KeyboardInterrupt):
        LocalEngine(observer=Interrupter(), command=numpy_worker).run([case], {"digits": digits}, store)
    (record,) = Store.open(store.path).records()
    assert record.status is Status.OK
    assert [str(each) for each in verify(store.path).violations] == []


def test_a_worker_whose_parent_was_killed_ends_by_itself(tmp_path, digits):
    """The real worker's event pipe is closed by the reader: it stops instead of training on for nobody."""
    import subprocess

    from lenet.worker.work import Assignment

    read_end, write_end = os.pipe()
    case = Case(dataset="digits", plan=Plan(epochs=100))
    assignment = Assignment(case=case, dataset_folder=digits.folder, dataset=digits.card)
    command = [sys.executable, "-m", "lenet.worker", str(write_end)]
    worker = subprocess.Popen(
        command, stdin=subprocess.PIPE, pass_fds=(write_end,), cwd=tmp_path, stderr=subprocess.DEVNULL
    )
    os.close(write_end)
    os.close(read_end)
    worker.communicate(assignment.model_dump_json().encode(), timeout=60)
    assert worker.returncode == 1


def test_the_allocator_of_a_profile_is_loaded_before_the_worker(run, monkeypatch):
    monkeypatch.delenv("LD_PRELOAD", raising=False)
    cases = [Case(dataset="digits", profile=RuntimeProfile.parse("allocator=tcmalloc")), Case(dataset="digits")]
    _, store = run("print('preloaded', os.environ.get('LD_PRELOAD'), flush=True)\ngood()", cases=cases)
    logs = [store.log_path(case).read_text(encoding="utf-8").splitlines() for case in cases]
    assert "preloaded libtcmalloc_minimal.so.4" in logs[0]
    assert "preloaded None" in logs[1]
