"""The worker and its ranks as processes, without MindSpore: a small msrun starts ranks that send canned events over the
real socket. `test_launch.py` does it with MindSpore.
"""

from __future__ import annotations

import sys
import textwrap
import time

import psutil
import pytest

from lenet.cases.case import Case
from lenet.engine import TimeLimits
from lenet.engine.local import LocalEngine
from lenet.store.record import Status

RANK = """
import os, signal, sys, time
from lenet.store.events import Compiled, Evaluated, Failed, Finished, Started, Steps
from lenet.worker.ranks.process import Channel
from lenet.store.record import Phases, Software, Status
rank = int(os.environ["RANK_ID"])
channel = Channel(rank)
software = Software(framework_version="2", python_version="3", numpy_version="1")
def start():
    channel.emit(Started(software=software, initial_weights_sha256="0" * 64))
def steps(first, seconds=0.5, images=16):
    channel.emit(Steps(epoch=1, first_step=first, steps=1, images=images, seconds=seconds, warmup=first < 2,
        losses=(2.0 + rank,)))
def finish(weights="1" * 64):
    channel.emit(Evaluated(epoch=0, steps=4, training_seconds=2, seconds=0.1, images=512, correct=300,
        distinct_answers=10))
    names = ("import_and_setup", "compile_and_first_step", "training", "evaluation", "resident", "other")
    phases = Phases(wall_seconds=0.06, **{f"{name}_seconds": 0.01 for name in names})
    channel.emit(Finished(phases=phases, final_weights_sha256=weights, losses_sha256="2" * 64,
        peak_memory_bytes=1000))
"""

WORKER = """
import os, sys
os.environ["PATH"] = {bin!r} + os.pathsep + os.environ["PATH"]
os.environ["FAKE_RANK"] = {rank!r}
from lenet.worker.__main__ import main
raise SystemExit(main())
"""


@pytest.fixture
def run(tmp_path, digits, new_store, fake_msrun):
    """A two-rank case whose ranks do `body`."""

    def go(body, limits=None, preamble=RANK):
        rank = tmp_path / "canned.py"
        rank.write_text(preamble + textwrap.dedent(body), encoding="utf-8")
        worker = tmp_path / "worker.py"
        worker.write_text(WORKER.format(bin=str(fake_msrun), rank=str(rank)), encoding="utf-8")
        case = Case(dataset="digits", world_size=2)
        engine = LocalEngine(limits or TimeLimits(60, 60), command=(sys.executable, str(worker)))
        (record,) = engine.run([case], {"digits": digits}, new_store([case], digits))
        return record

    return go


def test_two_good_ranks_are_one_record(run):
    record = run("""
        start()
        for first in range(4):
            steps(first, seconds=0.5 + rank)
        finish()
    """)
    assert record.status is Status.OK, record
    assert record.summary.throughput.median == pytest.approx(32 / 0.5)
    assert record.summary.final_loss == 2.5
    assert record.summary.peak_memory_bytes == 2000
    parts = record.phases.model_dump()
    wall = parts.pop("wall_seconds")
    assert sum(parts.values()) == pytest.approx(wall), "until msrun has ended"
    assert wall > 0.3
    assert record.exit_code == 0


def test_all_ranks_get_the_value_of_rank_0(run):
    record = run("""
        start()
        agreed = [channel.agree(10.0 * rank + turn) for turn in range(3)]
        assert agreed == [0.0, 1.0, 2.0], agreed
        for first in range(4):
            steps(first, seconds=1 + agreed[2])
        finish()
    """)
    assert record.status is Status.OK, record
    assert record.windows[0].seconds == 3


@pytest.mark.parametrize("how", ["os.kill(os.getpid(), signal.SIGKILL)", "sys.exit(3)", "raise ValueError('why')"])
def test_a_rank_that_dies_ends_the_case_and_the_other_rank_at_once(run, how, tmp_path):
    began = time.monotonic()
    record = run(f"""
        open({str(tmp_path)!r} + f"/pid{{rank}}", "w").write(str(os.getpid()))
        start(); steps(0); steps(1); steps(2)
        print("rank", rank, "was here", flush=True)
        time.sleep(0.5)
        if rank == 1:
            {how}
        time.sleep(60)
    """)
    assert record.status is Status.CRASHED
    assert "rank 1 of 2 died" in record.reason
    assert len(record.windows) == 3
    assert "rank 0 was here" in record.stderr_tail
    assert "rank 1 was here" in record.stderr_tail
    assert record.stderr_tail.rstrip().endswith("== end of worker_1.log")
    assert time.monotonic() - began < 30
    pid = int((tmp_path / "pid0").read_text())
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_rank_that_dies_before_it_reports_crashes_the_case(run):
    record = run("os._exit(5)")
    assert record.status is Status.CRASHED
    assert "died before it had reported the whole case" in record.reason


def test_ranks_that_never_connect_crash_the_case(run):
    record = run("raise SystemExit(5)", preamble="")
    assert record.status is Status.CRASHED
    assert record.reason == "the ranks' launcher msrun ended with exit code 1 before they had reported"


def test_a_failure_of_one_rank_is_that_of_the_case(run):
    record = run("""
        start()
        if rank == 1:
            channel.emit(Failed(status=Status.DIVERGED, reason="nan"))
        time.sleep(60)
    """)
    assert (record.status, record.reason) == (Status.DIVERGED, "rank 1 of 2: nan")


def test_ranks_with_different_weights_are_invalid(run):
    record = run("start(); steps(0); finish(str(rank) * 64)")
    assert record.status is Status.INVALID
    assert "do not end with the same weights" in record.reason


def test_a_silent_rank_exceeds_the_engines_limit_and_all_are_killed(run, tmp_path):
    record = run(
        f"""
        open({str(tmp_path)!r} + f"/pid{{rank}}", "w").write(str(os.getpid()))
        start()
        time.sleep(60)
        """,
        TimeLimits(None, 6.0),
    )
    assert record.status is Status.TIMED_OUT
    for rank in (0, 1):
        pid = int((tmp_path / f"pid{rank}").read_text())
        assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_without_its_worker_a_rank_ends_by_itself(run, tmp_path):
    """The worker is killed without a chance to tidy up; its ranks are in sessions of their own."""
    record = run(f"""
        open({str(tmp_path)!r} + f"/pid{{rank}}", "w").write(str(os.getpid()))
        start()
        time.sleep(0.5)
        if rank == 0:
            import psutil
            # By `info`: a process that ends meanwhile, of another test's, has none.
            named = [(each, " ".join(each.info["cmdline"] or ())) for each in psutil.process_iter(["cmdline"])]
            (worker,) = [each for each, words in named if "worker.py" in words and {str(tmp_path)!r} in words]
            worker.kill()
        time.sleep(60)
    """)
    assert record.status is Status.CRASHED
    assert "SIGKILL" in record.reason
    processes = []
    for rank in (0, 1):
        pid = int((tmp_path / f"pid{rank}").read_text())
        if psutil.pid_exists(pid):
            processes.append(psutil.Process(pid))
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert [each for each in alive if each.status() != psutil.STATUS_ZOMBIE] == []
