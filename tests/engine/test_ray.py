"""A real Ray cluster on this machine: a head that lends nothing and two nodes, one of which is killed."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from itertools import pairwise

import psutil
import pytest

from lenet.cases.case import Case, Mode
from lenet.cases.matrix import Matrix
from lenet.engine import TimeLimits
from lenet.machine.card import describe
from lenet.store.record import Status
from lenet.store.run import Store

ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")

from test_local import PREAMBLE  # noqa: E402

from lenet.engine.ray import RayEngine  # noqa: E402

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore")]  # Ray's own deprecations and open sockets


RAYLET = """
import psutil
RAYLET = psutil.Process(os.getppid()).ppid()  # the worker's parent is Ray's, whose parent is the node's raylet
"""


def raylet(node):
    return node.all_processes["raylet"][0].process.pid if "raylet" in node.all_processes else None


@pytest.fixture(scope="module")
def cluster(_own_cache):
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        made.add_node(num_cpus=1)
    made.wait_for_nodes()
    ray.init(address=made.address, log_to_driver=False, logging_level="ERROR")
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture
def go(cluster, tmp_path, digits):
    """Run cases with a worker made of `body`."""

    def run(body, cases):
        script = tmp_path / "worker.py"
        script.write_text(PREAMBLE + RAYLET + textwrap.dedent(body), encoding="utf-8")
        store = Store.create(tmp_path / "run", Matrix(), cases, {"digits": digits.card}, describe())
        engine = RayEngine(TimeLimits(60, 60), command=(sys.executable, str(script)))
        return engine.run(cases, {"digits": digits}, store), store

    return run


def repetitions(count):
    return [Case(dataset="digits", repetition=index) for index in range(count)]


def test_cases_go_over_both_nodes_one_at_a_time_each(go, tmp_path, events_of):
    cases = repetitions(6)
    records, store = go(
        f"""
        began = time.time()
        print("OMP", os.environ.get("OMP_NUM_THREADS"))
        good(); time.sleep(0.5)
        with open({str(tmp_path / "log")!r}, "a") as file:
            file.write(f"{{RAYLET}} {{began}} {{time.time()}}\\n")
        """,
        cases,
    )
    assert [record.status for record in records] == [Status.OK] * 6
    assert {record.case_id for record in store.records()} == {case.id for case in cases}
    assert store.missing() == []
    spans = {}
    for line in (tmp_path / "log").read_text().splitlines():
        node, began, ended = line.split()
        spans.setdefault(node, []).append((float(began), float(ended)))
    assert len(spans) == 2, "both nodes took part"
    for each in spans.values():
        each.sort()
        assert all(first[1] <= second[0] for first, second in pairwise(each))
    assert [event["event"] for event in events_of(store, cases[0])][:2] == ["started", "steps"]
    assert "OMP None" in store.log_path(cases[0]).read_text(), "Ray's own OMP_NUM_THREADS is taken away again"


def test_a_bad_case_is_a_record_and_the_others_go_on(go):
    body = "os.kill(os.getpid(), signal.SIGSEGV) if case['repetition'] == 1 else good()"
    records, _ = go(body, repetitions(4))
    assert sorted((record.case.repetition, record.status.value) for record in records) == [
        (0, "ok"), (1, "crashed"), (2, "ok"), (3, "ok"),
    ]  # fmt: skip


def test_a_target_that_no_node_has_is_unavailable(go):
    (record,), _ = go("good()", [Case(dataset="digits", device_target="Ascend")])
    assert record.status is Status.UNAVAILABLE
    assert "no node of the cluster has Ascend" in record.reason


def test_a_killed_nodes_case_is_carried_out_on_another(go, cluster, tmp_path):
    """The raylet dies mid-case as of a power cut: nothing is said, the case is placed again."""
    marker = tmp_path / "marker"
    killed = []

    def kill():
        while not marker.exists() or not (node := marker.read_text().strip()):
            time.sleep(0.05)
        (found,) = [each for each in cluster.list_all_nodes() if raylet(each) == int(node)]
        killed.append(node)
        cluster.remove_node(found, allow_graceful=False)

    threading.Thread(target=kill, daemon=True).start()
    records, store = go(
        f"""
        node, path = str(RAYLET), {str(marker)!r}
        emit(STARTED)
        if case["repetition"] == 1 and not os.path.exists(path):
            open(path, "w").write(node)
            time.sleep(60)
        print("node", node)
        emit(json.dumps({{"event": "compiled", "seconds": 1}}))
        for first in range(4):
            steps(first)
        emit(EVALUATED); emit(FINISHED)
        """,
        repetitions(4),
    )
    assert len(killed) == 1
    assert sorted(record.case.repetition for record in records) == [0, 1, 2, 3]
    assert {record.status for record in records} == {Status.OK}
    (again,) = [record for record in records if record.case.repetition == 1]
    assert f"node {killed[0]}" not in store.log_path(again.case).read_text()
    cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()


def test_a_node_that_says_nothing_more_counts_as_lost(go, tmp_path, monkeypatch):
    """What carries the case out there is stopped: for Ray the node lives."""
    monkeypatch.setattr("lenet.engine.ray.SILENT_SECONDS", 6.0)
    marker = tmp_path / "marker"
    stopped = []

    def stop():
        while not marker.exists() or not (process := marker.read_text().strip()):
            time.sleep(0.05)
        stopped.append(psutil.Process(int(process)))
        stopped[0].suspend()

    threading.Thread(target=stop, daemon=True).start()
    try:
        records, store = go(
            f"""
            path = {str(marker)!r}
            emit(STARTED)
            if case["repetition"] == 1 and not os.path.exists(path):
                steps(0); time.sleep(3)
                open(path, "w").write(str(os.getppid()))
                time.sleep(60)
            for first in range(4):
                steps(first)
            emit(EVALUATED); emit(FINISHED)
            """,
            repetitions(4),
        )
    finally:
        for process in stopped:
            with contextlib.suppress(psutil.NoSuchProcess):  # it was ended when its node was given up
                process.kill()
    assert len(stopped) == 1
    assert sorted(record.case.repetition for record in records) == [0, 1, 2, 3]
    assert {record.status for record in records} == {Status.OK}
    (again,) = [record for record in records if record.case.repetition == 1]
    attempts = {event["attempt"] for event in events_lines(store, again.case)}
    assert len(attempts) == 2, "what the silent node had said stays, apart from what the record is of"


def events_lines(store, case):
    lines = map(json.loads, (store.path / "events.jsonl").read_text().splitlines())
    return [line for line in lines if line["case_id"] == case.id]


MATRIX = """
batch_sizes = [32, 64]
profiles = ["onednn_isa=AVX2+launch_blocking"]
datasets = ["digits"]
[plan]
windows = 1
warmup_steps = 2
window_steps = 3
window_seconds = 0
resident_windows = 0
evaluation_images = 64
"""


@pytest.mark.mindspore
def test_the_command_carries_a_real_matrix_over_two_nodes(cluster, tmp_path):
    """The quick matrix's modes and batch sizes with real workers, in few steps."""
    (tmp_path / "small.toml").write_text(MATRIX)
    done = subprocess.run(
        [sys.executable, "-m", "lenet.cli", "run", "--engine", "ray", "--matrix", "small.toml", "--output", "run"],
        cwd=tmp_path, env={**os.environ, "RAY_ADDRESS": cluster.address}, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done
    records = Store.open(tmp_path / "run").records()
    assert len(records) == 6
    assert [(record.status, record.reason) for record in records if record.status is not Status.OK] == []
    assert {record.case.mode for record in records} == set(Mode)
    assert "[6/6]" in done.stderr
    graph, jit = (
        next(record for record in records if record.case.mode is mode and record.case.hyperparameters.batch_size == 64)
        for mode in (Mode.GRAPH, Mode.JIT)
    )
    assert graph.weights_sha256["initial"] == jit.weights_sha256["initial"]
