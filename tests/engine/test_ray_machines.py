"""Ray over machines with addresses of their own, one of which loses its power or its network while a group trains."""

from __future__ import annotations

import contextlib
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
from tests import checks

pytest.importorskip("ray", reason="the extra `ray` is not installed")

from namespaces import Machines, missing

HERE = Path(__file__).parent
GROUPS = 4
CASES = 2 * GROUPS
TURNS = 60
"""About as many has each case, of 0.1 s."""
MATRIX = f"""
modes = ["graph"]
batch_sizes = [32, 64]
datasets = ["digits"]
repeat = {GROUPS}
[plan]
warmup_steps = 6
windows = 20
window_steps = 5
window_seconds = {TURNS * 0.1 / 20}
resident_windows = 0
"""

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(bool(missing()), reason=missing() or "they can be made"),
]


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


EARLY = TURNS - 20
"""Two cases with at most so many windows here run for more than another second, although they arrive a second late.

That holds for most of a group, start included: however far the nodes are out of step, at some moment it holds for both.
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
    """Wait until two groups are here and each node runs another that it is not about to end."""
    deadline = time.monotonic() + 120
    while not (len(found := running(folder, EARLY)) == 4 and len(list((folder / "records").iterdir())) >= 4):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def check_the_rest(folder, process, interrupted):
    """Nothing is lost or doubled, and the lost node's group ran again on the other one. Returns the progress shown."""
    output, progress = process.communicate(timeout=240)
    assert process.returncode == 0, (output, progress)
    records = checks.whole(folder, Status.OK)
    assert len(records) == CASES
    assert [str(each) for each in verify(folder).violations] == []
    by_case = {record.case_id: record for record in records}
    assert len({record.group for record in records}) == GROUPS
    again = [by_case[case] for case, attempt in interrupted.items() if by_case[case].attempt != attempt]
    stayed = [by_case[case] for case, attempt in interrupted.items() if by_case[case].attempt == attempt]
    assert len(again) == len(stayed) == 2
    assert len({record.group for record in again}) == 1, "both members took turns again"
    assert {record.node for record in again} == {record.node for record in stayed}, "on the node that is left"
    assert {record.node for record in records if record.machine_id != again[0].machine_id} != set()
    log = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    for record in again:
        lost = [event for event in log if event["attempt"] == interrupted[record.case_id]]
        assert [event["event"] for event in lost if event["event"] in ("finished", "failed")] == []
        assert len(lost) >= 2, "what the lost node had sent stays"
        events = list(Store.open(folder).events(record.case))
        assert sum(event.steps for event in events if isinstance(event, Steps)) == sum(
            window.steps for window in record.windows
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
    """The live view names the node and the progress of its group; the interrupted workers end on the node."""
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
            if not interrupted and b"[2/6]" in shown and running(folder):
                process.send_signal(signal.SIGINT)
                interrupted = True
    os.close(screen)
    assert process.wait(timeout=30) == 130, shown
    words = " ".join(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", " ", shown.decode()).split())
    assert re.search(r"10\.77\.0\.2: batch 64 .{0,40}epoch \d+, step \d+, [\d,]+ img/s", words), words
    assert re.search(r"10\.77\.0\.2: 2 cases take turns .{0,40}cycle \d+ of \d+, 0:\d\d left", words), words
    assert re.search(r"\[2/6\] CPU · graph · batch (32|64) · digits on 10\.77\.0\.2:", words), words
    assert "stopped: 2 of 6 records are in run; resume with: lenet-bench run --engine ray --resume run" in words
    before = checks.snapshot(folder)
    assert len(before) == 2
    assert workers(machines.folder) == [], "one is left on the node"

    again = bench("run", "--resume", "run", "--engine", "ray")
    output, progress = again.communicate(timeout=240)
    assert again.returncode == 0, (output, progress)
    assert "4 cases, 2 done before" in progress
    checks.nothing_lost(before, folder)
    assert len(checks.whole(folder, Status.OK)) == 6
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
