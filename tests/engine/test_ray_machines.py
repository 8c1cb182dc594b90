"""Ray over machines with addresses of their own, one of which loses its power or its network during a case."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from lenet.commands.verify import verify
from lenet.store.events import Steps
from lenet.store.record import Status
from lenet.store.run import Store

pytest.importorskip("ray", reason="the extra `ray` is not installed")

from namespaces import Machines, missing

HERE = Path(__file__).parent
CASES = 4
WINDOWS = 40
MATRIX = f"""
modes = ["graph"]
batch_sizes = [64]
datasets = ["digits"]
repeat = {CASES}
[plan]
warmup_steps = 6
windows = {WINDOWS}
window_steps = 5
window_seconds = 0.3
resident_windows = 0
"""

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(bool(missing()), reason=missing() or "they can be made"),
]


def load(name):
    spec = importlib.util.spec_from_file_location(name, HERE.parent / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


checks = load("checks")


@pytest.fixture(scope="module")
def machines():
    """A head without devices, and a node that stays."""
    with Machines() as made:
        made.start_ray(made.add(), cpus=0)
        made.start_ray(made.add(), cpus=1)
        yield made


@pytest.fixture
def victim(machines):
    """A node that will be lost: other hardware than the one that stays, for it has one core."""
    number = machines.add()
    machines.start_ray(number, cpus=1, cores="0")
    yield number
    machines.kill(number)


@pytest.fixture
def bench(machines, tmp_path):
    """Start `lenet-bench` on the head."""
    started = []

    def start(*arguments, stderr=subprocess.PIPE):
        (tmp_path / "matrix.toml").write_text(MATRIX)
        process = machines.start(
            1, [sys.executable, str(HERE / "numpy_bench.py"), *arguments], cwd=tmp_path,
            stdout=subprocess.PIPE, stderr=stderr, text=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


EARLY = WINDOWS - 8
"""A case with at most so many windows here runs for more than another second, although they arrive a second late.

That holds for most of a case, start included: however far the nodes are out of step, at some moment it holds for both.
"""


def running(folder, most=1000):
    """By case, the attempts of which some windows are here, at most so many, and no record."""
    found, windows = {}, Counter()
    with contextlib.suppress(FileNotFoundError):
        for line in (folder / "events.jsonl").read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n") and (event := json.loads(line))["event"] == "steps":
                found[event["case_id"]] = event["attempt"]
                windows[event["attempt"]] += 1
    return {
        case: name
        for case, name in found.items()
        if windows[name] <= most and not (folder / "records" / f"{case}.json").exists()
    }


def await_both_nodes(folder, process):
    """Wait until two records are here and each node runs another case that it is not about to end."""
    deadline = time.monotonic() + 60
    while not (len(found := running(folder, EARLY)) == 2 and len(list((folder / "records").iterdir())) >= 2):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def check_the_rest(folder, process, interrupted):
    """Nothing is lost or doubled, and the lost node's case ran again on the other one. Returns the progress shown."""
    output, progress = process.communicate(timeout=120)
    assert process.returncode == 0, (output, progress)
    records = checks.whole(folder, Status.OK)
    assert len(records) == CASES
    assert [str(each) for each in verify(folder).violations] == []
    by_case = {record.case_id: record for record in records}
    (again,) = [case for case, attempt in interrupted.items() if by_case[case].attempt != attempt]
    (stayed,) = [case for case in interrupted if case != again]
    assert by_case[again].node == by_case[stayed].node, "it ran again on the node that is left"
    assert {record.node for record in records if record.machine_id != by_case[again].machine_id} != set()
    log = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    lost = [event for event in log if event["attempt"] == interrupted[again]]
    assert [event["event"] for event in lost if event["event"] in ("finished", "failed")] == []
    assert len(lost) >= 2, "what the lost node had sent stays"
    events = list(Store.open(folder).events(by_case[again].case))
    assert sum(event.steps for event in events if isinstance(event, Steps)) == sum(
        window.steps for window in by_case[again].windows
    )
    return progress


def test_a_node_that_loses_its_power(machines, victim, bench, tmp_path):
    process = bench("run", "--engine", "ray", "--matrix", "matrix.toml", "--output", "run")
    interrupted = await_both_nodes(tmp_path / "run", process)
    machines.kill(victim)
    progress = check_the_rest(tmp_path / "run", process, interrupted)
    assert f"[{CASES}/{CASES}]" in progress


def test_a_node_whose_network_is_cut(machines, victim, bench, tmp_path):
    process = bench("run", "--engine", "ray", "--matrix", "matrix.toml", "--output", "run")
    interrupted = await_both_nodes(tmp_path / "run", process)
    machines.cut(victim)
    check_the_rest(tmp_path / "run", process, interrupted)
    assert machines.alive(victim), "it was killed, not cut off"


def test_control_c_keeps_finished_records_and_says_how_to_resume(machines, bench, tmp_path, monkeypatch):
    """The live view names the node and the progress of its case; the interrupted worker ends on the node."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    folder, (screen, terminal) = tmp_path / "run", pty.openpty()
    asked = ("run", "--engine", "ray", "--matrix", "matrix.toml", "--repeat", "3", "--output", "run")
    process = bench(*asked, stderr=terminal)
    os.close(terminal)
    shown, interrupted = b"", False
    with contextlib.suppress(OSError):  # the terminal's end
        while piece := os.read(screen, 65536):
            shown += piece
            if not interrupted and b"[1/3]" in shown and running(folder):
                process.send_signal(signal.SIGINT)
                interrupted = True
    os.close(screen)
    assert process.wait(timeout=30) == 130, shown
    words = " ".join(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", " ", shown.decode()).split())
    assert re.search(r"10\.77\.0\.2: CPU graph b64 .{0,40}epoch \d+, step \d+, [\d,]+ img/s", words), words
    assert "[1/3] CPU · graph · batch 64 · digits on 10.77.0.2:" in words, words
    assert "stopped: 1 of 3 records are in run; resume with: lenet-bench run --engine ray --resume run" in words
    before = checks.snapshot(folder)
    assert len(before) == 1
    assert workers(machines.folder) == [], "one is left on the node"

    again = bench("run", "--resume", "run", "--engine", "ray")
    output, progress = again.communicate(timeout=120)
    assert again.returncode == 0, (output, progress)
    assert "2 cases, 1 done before" in progress
    checks.nothing_lost(before, folder)
    assert len(checks.whole(folder, Status.OK)) == 3
    assert [str(each) for each in verify(folder).violations] == []


def workers(folder):
    """The processes that train in NumPy on machines with this folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            here = process.environ().get("TMPDIR", "").startswith(str(folder))
            if here and any("numpy_worker.py" in word for word in process.cmdline()):
                found.append(process.pid)
    return found
