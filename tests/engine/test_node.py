"""A node's side, in processes of its own and without Ray."""

from __future__ import annotations

import signal
import sys
import textwrap
import time
from itertools import combinations

import psutil
import pytest
from processes import NODES, Processes
from test_local import PREAMBLE

from lenet.cases.case import Case
from lenet.engine import TimeLimits
from lenet.engine.node import Arrived, Heard, Result
from lenet.engine.placement import Placed
from lenet.engine.spread import Said
from lenet.store.record import NODE_LENGTH
from lenet.store.run import Store

FIRST = next(iter(NODES))


@pytest.fixture
def start(tmp_path, digits):
    """Start a case on a node with a worker made of `body`."""
    started = []

    def go(body, limits=None):
        script = tmp_path / "worker.py"
        script.write_text(PREAMBLE + textwrap.dedent(body), encoding="utf-8")
        nodes = Processes(digits, (sys.executable, str(script)), limits or TimeLimits(60, 60), tmp_path)
        nodes.start(Placed(Case(dataset="digits"), FIRST, 1, 1))
        started.extend(nodes.processes)
        return nodes

    yield go
    for process in started:
        process.kill()


def heard_until(nodes, word):
    """What the node says until an event of that name is among it."""
    said = []
    while not said or not (isinstance(said[-1], Heard) and word in said[-1].events):
        (message,) = nodes.wait()
        assert isinstance(message, Said), message
        said.append(message.content)
    return said


def test_a_run_over_two_nodes_is_whole(spread_run):
    store = Store.open(spread_run)
    records = store.records()
    assert store.missing() == []
    assert {record.node for record in records} == {node[:NODE_LENGTH] for node in NODES}
    assert {record.machine_id for record in records} == store.cards().keys()
    assert len(store.cards()) == 2
    by_start = sorted(records, key=lambda record: record.started_at)
    assert any(a.finished_at > b.started_at for a, b in combinations(by_start, 2)), "the nodes work at the same time"


def test_what_the_worker_says_comes_while_it_works_and_its_last_word_with_the_record(start):
    nodes = start("emit(STARTED); steps(0); time.sleep(3); steps(1); emit(EVALUATED); emit(FINISHED); time.sleep(3)")
    said = heard_until(nodes, b'"evaluated"')
    assert isinstance(said[0], Arrived)
    assert b'"evaluated"' not in said[1].events, "it came with the rest"
    assert any(each.events == b"" for each in said[1:]), "a sign of life while nothing is said"
    told = [line for each in said[1:] for line in each.events.splitlines()]
    assert len(told) == 4, told
    rest = []
    while not rest or not isinstance(rest[-1], Result):
        (message,) = nodes.wait()
        rest.append(message.content if isinstance(message, Said) else message.result)
    assert [each.events for each in rest[:-1]] == [b""] * len(rest[:-1])
    assert len(rest) > 1, "the worker was still there"
    assert b'"finished"' in rest[-1].events
    assert len(rest[-1].events.splitlines()) == 1


def test_a_node_that_is_interrupted_ends_its_worker_and_leaves_nothing(start, tmp_path):
    pid_file = tmp_path / "pid"
    nodes = start(f"open({str(pid_file)!r}, 'w').write(str(os.getpid())); emit(STARTED); steps(0); time.sleep(600)")
    heard_until(nodes, b'"steps"')
    worker = psutil.Process(int(pid_file.read_text()))
    (node,) = nodes.processes
    node.send_signal(signal.SIGINT)
    assert node.wait(timeout=30) != 0
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
    deadline = time.monotonic() + 5
    while (left := list((tmp_path / FIRST).glob("lenet-bench-*/"))) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []
