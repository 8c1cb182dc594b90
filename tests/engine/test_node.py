"""A node's side, in processes of its own and without Ray."""

from __future__ import annotations

import contextlib
import signal
import sys
import textwrap
import time

import nodes
import psutil
import pytest
from test_local import PREAMBLE

from lenet.cases.case import Case
from lenet.engine import node as node_module
from lenet.engine.busy import BusyError
from lenet.engine.environments import releases
from lenet.engine.node import NodeTask, Outbox, parse, run_case
from lenet.engine.process import TimeLimits
from lenet.store.events import Compiled, Failed
from lenet.store.record import NODE_LENGTH, Status
from lenet.store.run import Store

NODE = next(iter(nodes.NODES))


@pytest.fixture
def start(tmp_path, digits):
    """Start a case on a node with a worker made of `body`; returns the node's process and its messages."""
    with contextlib.ExitStack() as stack:

        def go(body, limits=None):
            script = tmp_path / "worker.py"
            script.write_text(PREAMBLE + textwrap.dedent(body), encoding="utf-8")
            process = stack.enter_context(nodes.process(NODE, tmp_path))
            command = (sys.executable, str(script))
            return process, map(parse, nodes.messages(process, Case(dataset="digits"), digits, command, limits))

        yield go


def names(message):
    return [event.event for event in message.events]


def until(messages, name):
    """The messages up to the one with an event of that name."""
    taken = []
    for message in messages:
        taken.append(message)
        if name in names(message):
            return taken
    raise AssertionError(taken)


def test_a_run_over_two_nodes_is_whole(spread_run):
    store = Store.open(spread_run)
    records = store.records()
    assert store.missing() == []
    assert {record.node for record in records} == {node[:NODE_LENGTH] for node in nodes.NODES}
    assert {record.machine_id for record in records} == store.cards().keys()
    assert len(store.cards()) == 2


def test_events_are_sent_while_the_worker_works_and_its_last_one_with_the_record(start):
    _, messages = start(
        "emit(STARTED); steps(0); time.sleep(3); steps(1); emit(EVALUATED); emit(FINISHED); time.sleep(3)"
    )
    first, *rest = until(messages, "evaluated")
    assert first.machine is not None
    assert names(first) == []
    assert "evaluated" not in names(rest[0]), "it was not sent while the worker worked"
    assert any(names(message) == [] for message in rest), "no sign of life while the worker is silent"
    assert [name for message in rest for name in names(message)] == ["started", "steps", "steps", "evaluated"]
    *between, last = messages
    assert len(between) > 1, "the worker was still there"
    assert [names(message) for message in between] == [[]] * len(between)
    assert [message.record for message in between] == [None] * len(between)
    assert names(last) == ["finished"]
    assert last.record.status is Status.OK


def test_only_the_end_of_a_long_log_is_sent(start):
    _, messages = start("sys.stdout.write('x' * (17 * 2**20) + 'the end'); sys.stdout.flush(); good()")
    *_, last = messages
    assert len(last.log) == node_module.MAX_LOG_BYTES == 16 * 2**20
    assert last.log.endswith(b"xthe end")


def test_a_node_that_is_interrupted_ends_its_worker_and_leaves_nothing(start, tmp_path):
    pid_file = tmp_path / "pid"
    process, messages = start(
        f"open({str(pid_file)!r}, 'w').write(str(os.getpid())); emit(STARTED); steps(0); time.sleep(600)"
    )
    until(messages, "steps")
    worker = psutil.Process(int(pid_file.read_text()))
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) != 0
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
    deadline = time.monotonic() + 5
    while (left := list((tmp_path / NODE).glob("lenet-bench-*/"))) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []


def test_the_last_event_of_a_worker_stays_until_the_record_is_there():
    outbox, case = Outbox(), Case()
    compiled, failed = Compiled(seconds=1.0), Failed(status=Status.CRASHED, reason="why")
    outbox.event(case, compiled)
    outbox.event(case, failed)
    outbox.event(case, compiled)
    outbox.notify("x" * 5000)
    assert outbox.take().events == (compiled,)
    assert outbox.take().events == ()
    assert outbox.take(last=True).events == (failed, compiled)


def task(digits, **fields):
    usual = {"limits": TimeLimits(60, 60), "busy": "wait", "command": None, "omp_threads": None}
    asked = NodeTask(dataset=digits.card, **{"case": Case(dataset="digits"), **usual, **fields})
    contents = {name: (digits.folder / name).read_bytes() for name in nodes.NAMES}
    return asked.model_dump_json().encode(), contents


def test_a_release_is_installed_on_the_node_and_not_counted_as_the_cases_time(digits, monkeypatch, numpy_worker):
    """The notice is sent while pip works, and the record begins afterwards."""

    def slow(framework, version, notify):
        notify(f"making an environment for {framework.value}=={version}")
        time.sleep(2.5)
        return "/nowhere/python"

    monkeypatch.setattr(releases, "interpreter", slow)
    began = time.time()
    case = Case(dataset="digits", framework_version="1.2.3")
    messages = [parse(each) for each in run_case(*task(digits, case=case, command=numpy_worker))]
    notices = [message.notices for message in messages]
    assert ("making an environment for mindspore==1.2.3",) in notices[:-1]
    record = messages[-1].record
    assert record.status is Status.CRASHED
    assert "/nowhere/python" in record.reason
    assert record.started_at.timestamp() - began > 2.0


def test_a_busy_node_reports_whom_it_waits_for(digits, hold_cpu, numpy_worker):
    other = hold_cpu()
    notices, record = [], None
    for each in run_case(*task(digits, command=numpy_worker)):
        message = parse(each)
        notices += message.notices
        record = message.record
        if notices:
            other.kill()
    assert f"process {other.pid}" in notices[0]
    assert "cpu is free after" in notices[1]
    assert record.status is Status.OK


def test_a_busy_node_refuses(digits, hold_cpu):
    with pytest.raises(BusyError, match=f"process {hold_cpu().pid}"):
        list(run_case(*task(digits, busy="refuse")))
