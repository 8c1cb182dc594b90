"""Groups on a real Ray cluster: workers that take turns on a node, and what is lost with the node."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest

from lenet.cases.case import Case, Hyperparameters, Plan
from lenet.commands.measurement import begin
from lenet.commands.verify import verify
from lenet.engine import SilentObserver, TimeLimits
from lenet.store.record import Status
from lenet.store.run import Store

pytest.importorskip("ray", reason="the extra `ray` is not installed")

from test_ray import attempts

from lenet.engine.cluster import ATTEMPTS
from lenet.engine.ray import RayEngine

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore")]  # Ray's own deprecations and open sockets

PLAN = Plan(warmup_steps=6, window_steps=4, window_seconds=0.1, windows=10, resident_windows=1)
LONG = PLAN.model_copy(update={"windows": 80})


def case_of(batch_size, repetition=0, plan=PLAN):
    return Case(
        dataset="digits", repetition=repetition, plan=plan, hyperparameters=Hyperparameters(batch_size=batch_size)
    )


@pytest.fixture
def go(cluster, tmp_path, digits, faulty_worker):
    """Run cases; `fault` is code that the worker of batch size 32 executes in its 20th step."""

    def run(cases, fault="", observer=None, **options):
        store = begin(cases, lambda name: digits, tmp_path / "run").store
        options = {"interleave": "windows", **options}
        engine = RayEngine(TimeLimits(120, 60), observer, faulty_worker(fault), **options)
        records = engine.run(cases, {"digits": digits}, store)
        assert sorted(record.case_id for record in records) == sorted(case.id for case in cases)
        store.release()
        assert [str(each) for each in verify(store.path).violations] == []
        return {record.case: record for record in records}, store

    return run


class Watches(SilentObserver):
    def __init__(self):
        self.groups, self.turns = [], []

    def group_started(self, cases, node=""):
        self.groups.append((list(cases), node))

    def turn(self, case, cycle, cycles):
        self.turns.append(case)


def test_a_repetition_is_what_a_node_gets(go):
    cases = [case_of(size, repetition) for repetition in range(2) for size in (32, 64, 128)]
    observer = Watches()
    records, _ = go(cases, observer=observer)
    assert {record.status for record in records.values()} == {Status.OK}
    places = {(record.case.repetition, record.group, record.node) for record in records.values()}
    assert len(places) == 2, "the cases of a repetition share group and node"
    assert len({node for *_, node in places}) == 2, "each node has one"
    assert "" not in {group for _, group, _ in places}
    for record in records.values():
        assert {window.turn is None for window in record.windows if not window.warmup} == {False}
    assert sorted(len(group) for group, node in observer.groups if node) == [3, 3]
    assert set(observer.turns) <= set(cases)
    assert observer.turns


@pytest.mark.parametrize(("options", "sizes"), [({"alive": 2}, [1, 2]), ({"interleave": "rounds"}, [1, 1, 1])])
def test_options(go, options, sizes):
    records, _ = go([case_of(size) for size in (32, 64, 128)], **options)
    groups = [record.group or record.case_id for record in records.values()]
    assert sorted(groups.count(group) for group in set(groups)) == sizes


def test_what_is_finished_when_a_node_loses_its_power_stays_and_the_others_go_elsewhere(go, cluster, tmp_path):
    cluster.add("lost", num_cpus=1)
    victim = cluster.id("lost")
    cases = [case_of(size, repetition, plan) for repetition in range(3) for size, plan in ((32, PLAN), (64, LONG))]
    seen = []

    def kill():
        """As soon as one member of the group on the node is finished."""
        deadline = time.monotonic() + 120
        while not seen and time.monotonic() < deadline:
            with contextlib.suppress(OSError, ValueError):
                records = Store.open(tmp_path / "run").records()
                seen.extend(record for record in records if record.node == victim)
            time.sleep(0.05)
        cluster.kill("lost")

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    records, store = go(cases)
    killer.join()
    assert {record.status for record in records.values()} == {Status.OK}
    (kept,) = seen
    assert kept.case.hyperparameters.batch_size == 32
    assert store.record(kept.case) == kept
    assert len(attempts(store, kept.case)) == 1, "what was finished is not measured again"
    other = records[case_of(64, kept.case.repetition, LONG)]
    assert other.node != victim
    first, second = attempts(store, other.case)
    assert "finished" not in first
    assert second[-1] == "finished"


def test_a_member_that_ends_its_node_process_again_and_again_fails_alone(go):
    fault = "time.sleep(2.5)\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(60)"
    cases = [case_of(size, plan=LONG) for size in (32, 64)]
    records, store = go(cases, fault)
    bad, good = (records[case] for case in cases)
    assert (bad.status, good.status) == (Status.CRASHED, Status.OK)
    assert f"lost with its process or node {ATTEMPTS} times" in bad.reason
    assert len(attempts(store, bad.case)) == ATTEMPTS
