"""The engine on a real Ray cluster: which case goes where, and what is lost with a node."""

from __future__ import annotations

import contextlib
import json
import os
import random
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations

import psutil
import pytest

from lenet.cases.case import Case
from lenet.cases.matrix import Matrix
from lenet.engine import TimeLimits
from lenet.errors import UsageError
from lenet.machine.card import describe
from lenet.store.record import Status
from lenet.store.run import Store

pytest.importorskip("ray", reason="the extra `ray` is not installed")

from test_local import PREAMBLE

from lenet.engine.cluster import ATTEMPTS
from lenet.engine.ray import RayEngine

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore")]  # Ray's own deprecations and open sockets

NODE = """
NODE, DEVICES = os.environ["LENET_TEST_NODE"], os.environ.get("CUDA_VISIBLE_DEVICES") or "cpu"
"""


@pytest.fixture
def go(cluster, tmp_path, digits):
    """Run cases with a worker made of `body`; returns records and store."""

    def run(body, cases):
        script = tmp_path / "worker.py"
        script.write_text(PREAMBLE + NODE + textwrap.dedent(body), encoding="utf-8")
        store = Store.create(tmp_path / "run", Matrix(), cases, {"digits": digits.card}, describe())
        engine = RayEngine(TimeLimits(60, 60), command=(sys.executable, str(script)))
        return engine.run(cases, {"digits": digits}, store), store

    return run


@pytest.fixture
def stand_in(monkeypatch):
    """Let nodes run this generator instead of `run_group`: defined in a test, Ray sends it along."""
    return lambda generator: monkeypatch.setattr("lenet.engine.cluster.run_group", generator)


def repetitions(count, target="CPU", **fields):
    return [Case(dataset="digits", device_target=target, repetition=index, **fields) for index in range(count)]


def await_text(path):
    """What a worker has written into the file."""
    while not path.exists() or not (text := path.read_text()).endswith("\n"):
        time.sleep(0.05)
    return text.strip()


def attempts(store, case):
    """The events of each attempt at the case, in order."""
    found = {}
    for line in map(json.loads, (store.path / "events.jsonl").read_text().splitlines()):
        if line["case_id"] == case.id:
            found.setdefault(line["attempt"], []).append(line["event"])
    return list(found.values())


def devices_used_twice(log):
    """Pairs of cases that used a device of a node at the same time."""
    spans = [(node, set(devices.split(",")), float(began), float(ended)) for node, devices, began, ended in log]
    return [
        (first, second)
        for first, second in combinations(spans, 2)
        if first[0] == second[0] and first[1] & second[1] and first[2] < second[3] and second[2] < first[3]
    ]


LOGGED = """
began = time.time()
time.sleep({seconds}); good()
with open({log!r}, "a") as file:
    file.write(f"{{NODE}} {{DEVICES}} {{began}} {{time.time()}}\\n")
"""


def logged(log, seconds="0.5"):
    """A worker that logs where and when it ran."""
    return LOGGED.format(log=str(log), seconds=seconds)


def read_log(log):
    return [line.split() for line in log.read_text().splitlines()]


def test_cases_go_to_all_nodes_one_at_a_time_each(go, tmp_path):
    """No case ends before both nodes have begun one: they work at the same time."""
    cases = repetitions(6)
    meet = f"""
        from pathlib import Path
        print("OMP", os.environ.get("OMP_NUM_THREADS"))
        Path({str(tmp_path)!r}, f"at-{{NODE}}").touch()
        while len(list(Path({str(tmp_path)!r}).glob("at-*"))) < 2:
            time.sleep(0.05)
    """
    records, store = go(textwrap.dedent(meet) + logged(tmp_path / "log"), cases)
    assert [record.status for record in records] == [Status.OK] * 6
    assert {record.case_id for record in store.records()} == {case.id for case in cases}
    log = read_log(tmp_path / "log")
    assert {node for node, *_ in log} == {"one", "two"}
    assert devices_used_twice(log) == []
    assert attempts(store, cases[0])[0][:2] == ["started", "steps"]
    assert "OMP None" in store.log_path(cases[0]).read_text(), "Ray's own OMP_NUM_THREADS is removed"


def test_each_device_has_one_case_and_a_data_parallel_case_has_all_its_devices_on_one_node(go, tmp_path):
    cases = [*repetitions(5, "GPU"), *repetitions(2, "GPU", world_size=2), *repetitions(1)]
    records, _ = go(logged(tmp_path / "log", "1.0"), cases)
    assert [record.status for record in records] == [Status.OK] * len(cases)
    log = read_log(tmp_path / "log")
    assert len(log) == len(cases)
    assert devices_used_twice(log) == []
    together = [(node, devices) for node, devices, *_ in log if "," in devices]
    assert together == [("two", "0,1")] * 2
    assert {(node, devices) for node, devices, *_ in log} >= {("one", "0"), ("two", "0"), ("two", "1")}


def test_a_bad_case_is_a_record_and_the_others_run(go):
    body = "os.kill(os.getpid(), signal.SIGSEGV) if case['repetition'] == 1 else good()"
    records, _ = go(body, repetitions(4))
    assert sorted((record.case.repetition, record.status.value) for record in records) == [
        (0, "ok"), (1, "crashed"), (2, "ok"), (3, "ok"),
    ]  # fmt: skip


def test_devices_that_no_node_has_are_unavailable(go):
    cases = [*repetitions(1, "Ascend"), *repetitions(1, "GPU", world_size=4), *repetitions(1)]
    records, _ = go("good()", cases)
    assert {record.case.id: (record.status, record.reason) for record in records} == {
        cases[0].id: (Status.UNAVAILABLE, "no node of the cluster has Ascend"),
        cases[1].id: (Status.UNAVAILABLE, "no node of the cluster has 4 GPUs"),
        cases[2].id: (Status.OK, ""),
    }


def test_a_killed_nodes_case_runs_again_on_another(go, cluster, tmp_path):
    """The raylet dies in the middle of a case as of a power cut."""
    cluster.add("victim", num_cpus=1)
    marker = tmp_path / "marker"

    def kill():
        await_text(marker)
        cluster.kill("victim")

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    records, store = go(
        f"""
        emit(STARTED)
        if NODE == "victim":
            time.sleep(1.5)  # what was reported is sent
            open({str(marker)!r}, "w").write(f"{{case['repetition']}}\\n")
            time.sleep(60)
        time.sleep(1); good()
        """,
        repetitions(6),
    )
    killer.join()
    assert sorted(record.case.repetition for record in records) == [0, 1, 2, 3, 4, 5]
    assert {record.status for record in records} == {Status.OK}
    (again,) = [record for record in records if record.case.repetition == int(await_text(marker))]
    assert [each[0] for each in attempts(store, again.case)] == ["started", "started"]
    assert [event.event for event in store.events(again.case)][-1] == "finished"


def test_a_silent_node_is_lost_though_ray_sees_it_alive(go, tmp_path, monkeypatch):
    """The process that runs the case there is stopped."""
    monkeypatch.setattr("lenet.engine.cluster.SILENT_SECONDS", 6.0)
    marker = tmp_path / "marker"
    stopped = []

    def stop():
        stopped.append(psutil.Process(int(await_text(marker))))
        stopped[0].suspend()

    threading.Thread(target=stop, daemon=True).start()
    try:
        records, store = go(
            f"""
            if case["repetition"] == 1 and not os.path.exists({str(marker)!r}):
                emit(STARTED); steps(0); time.sleep(3)
                open({str(marker)!r}, "w").write(f"{{os.getppid()}}\\n")
                time.sleep(60)
            good()
            """,
            repetitions(4),
        )
    finally:
        for process in stopped:
            with contextlib.suppress(psutil.NoSuchProcess):  # it was ended with its node
                process.kill()
    assert len(stopped) == 1
    assert sorted(record.case.repetition for record in records) == [0, 1, 2, 3]
    assert {record.status for record in records} == {Status.OK}
    (again,) = [record for record in records if record.case.repetition == 1]
    first, second = attempts(store, again.case)
    assert first == ["started", "steps"], "what the silent node had sent stays"
    assert second[-1] == "finished"


def test_a_case_that_is_lost_with_its_process_again_and_again_is_given_up(go):
    records, store = go(
        """
        if case["repetition"] == 1:
            emit(STARTED); steps(0); time.sleep(2.5)
            os.kill(os.getppid(), signal.SIGKILL); time.sleep(60)
        good()
        """,
        repetitions(3),
    )
    assert sorted((record.case.repetition, record.status.value) for record in records) == [
        (0, "ok"), (1, "crashed"), (2, "ok"),
    ]  # fmt: skip
    (crashed,) = [record for record in records if record.case.repetition == 1]
    assert f"lost with its process or node {ATTEMPTS} times" in crashed.reason
    assert attempts(store, crashed.case) == [["started", "steps"]] * ATTEMPTS
    assert len(crashed.windows) == 1


def test_a_run_ends_when_the_only_node_with_a_device_is_lost(go, cluster, tmp_path):
    cluster.add("ascend", num_cpus=0, resources={"NPU": 1})
    marker = tmp_path / "marker"

    def kill():
        await_text(marker)
        cluster.kill("ascend")

    threading.Thread(target=kill, daemon=True).start()
    body = f"""
        emit(STARTED)
        if case["device_target"] == "Ascend":
            time.sleep(1.5); open({str(marker)!r}, "w").write("here\\n"); time.sleep(60)
        good()
    """
    with pytest.raises(UsageError, match="no node with the devices of 2 cases is left"):
        go(body, [*repetitions(2, "Ascend"), *repetitions(2)])
    records = Store.open(tmp_path / "run").records()
    assert [(record.case.device_target.value, record.status) for record in records] == [("CPU", Status.OK)] * 2


def test_nodes_that_cannot_even_start_a_case_get_no_more(go, stand_in):
    def dies(task, *contents):
        import os

        os._exit(1)
        yield b""

    stand_in(dies)
    with pytest.raises(UsageError, match="no node with the devices of 3 cases is left"):
        go("good()", repetitions(3))


def test_a_node_that_sends_garbage_has_its_case_ended_and_gets_the_next(go, stand_in):
    def boasts(task, *contents):
        import time

        yield b'{"events": "many"}'
        time.sleep(600)

    stand_in(boasts)
    began = time.monotonic()
    records, _ = go("good()", repetitions(4))
    assert [record.status for record in records] == [Status.INVALID] * 4
    assert {"cannot be read" in record.reason for record in records} == {True}
    assert time.monotonic() - began < 60


def test_what_a_node_raises_is_the_reason(go, stand_in):
    def fails(task, *contents):
        yield b"{}"
        raise OSError(28, "No space left on device")

    stand_in(fails)
    (record,), _ = go("good()", repetitions(1))
    assert (record.status, record.reason) == (Status.INVALID, "OSError: No space left on device")


def test_whatever_is_lost_every_case_ends_once(go, cluster, tmp_path):
    """Nodes are killed and added at random moments; LENET_TEST_SEED repeats them."""
    seed = int(os.environ.get("LENET_TEST_SEED", random.randrange(2**32)))
    print(f"LENET_TEST_SEED={seed}")
    chance = random.Random(seed)
    log = tmp_path / "log"
    cases = [*repetitions(6, "GPU"), *repetitions(6), *repetitions(3, "GPU", world_size=2)]
    chance.shuffle(cases)
    cluster.add("first", num_cpus=1, num_gpus=2)
    with ThreadPoolExecutor(1) as thread:  # Ray starts nodes in the main thread only
        running = thread.submit(go, logged(log, "0.5 + case['repetition'] % 3"), cases)
        await_text(log)
        for name, next_name in (("first", "second"), ("second", "third")):
            time.sleep(chance.uniform(0.5, 3))
            cluster.kill(name)
            cluster.add(next_name, num_cpus=1, num_gpus=2)
        records, store = running.result()
    cluster.kill("third")
    assert sorted(record.case_id for record in records) == sorted(case.id for case in cases)
    assert [record.status for record in records] == [Status.OK] * len(cases), "two losses end no case"
    assert store.missing() == []
    assert devices_used_twice(read_log(log)) == []
    for record in records:
        events = [event.event for event in store.events(record.case)]
        assert (events[0], events[-1]) == ("started", "finished")
