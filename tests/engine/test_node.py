"""A node's side, in processes of its own and without Ray."""

from __future__ import annotations

import contextlib
import signal
import sys
import textwrap
import time
from concurrent.futures import CancelledError
from itertools import takewhile

import nodes
import psutil
import pytest
from test_local import PREAMBLE

from lenet.cases.case import Case, Hyperparameters, Plan
from lenet.engine import node as node_module
from lenet.engine.busy import BusyError
from lenet.engine.environments import releases
from lenet.engine.messages import MemberTurn, NodeTask, parse
from lenet.engine.node import Outbox, run_group
from lenet.engine.process import TimeLimits
from lenet.store.events import Compiled, Failed
from lenet.store.record import NODE_LENGTH, Status
from lenet.store.run import Store

NODE = next(iter(nodes.NODES))
PLAN = Plan(warmup_steps=6, window_steps=4, window_seconds=0.1, windows=10, resident_windows=1)


@pytest.fixture
def start(tmp_path, digits):
    """Start a case on a node with a worker made of `body`; returns the node's process and its messages."""
    with contextlib.ExitStack() as stack:

        def go(body, limits=None):
            script = tmp_path / "worker.py"
            script.write_text(PREAMBLE + textwrap.dedent(body), encoding="utf-8")
            process = stack.enter_context(nodes.process(NODE, tmp_path))
            command = (sys.executable, str(script))
            return process, map(parse, nodes.messages(process, (Case(dataset="digits"),), digits, command, limits))

        yield go


def names(message):
    return [report.event.event for report in message.reports if report.kind == "event"]


def results(message):
    return [report for report in message.reports if report.kind == "result"]


def the_result(messages):
    """The only result that is sent, with its record and its log."""
    (result,) = [result for message in messages for result in results(message)]
    return result


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
    after = list(messages)
    between = list(takewhile(lambda message: not names(message), after))
    last, *rest = after[len(between) :]
    assert len(between) > 1, "the worker was still there"
    assert [results(message) for message in between] == [[]] * len(between)
    assert names(last) == ["finished"]
    assert the_result([last]).record.status is Status.OK
    assert [message.reports for message in rest] == [()] * len(rest), "signs of life until the engine has ended"


def test_only_the_end_of_a_long_log_is_sent(start):
    _, messages = start("sys.stdout.write('x' * (17 * 2**20) + 'the end'); sys.stdout.flush(); good()")
    log = the_result(messages).log
    assert len(log) == node_module.MAX_LOG_BYTES == 16 * 2**20
    assert log.endswith(b"xthe end")


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


def test_the_last_event_of_a_worker_stays_until_the_record_is_there(plain_record):
    case = Case()
    outbox = Outbox([case], lambda case: b"log")
    outbox.event(case, Compiled(seconds=1.0))
    outbox.event(case, Failed(status=Status.CRASHED, reason="why"))
    outbox.event(case, Compiled(seconds=2.0))
    outbox.notify("x" * 5000)
    assert names(outbox.take()) == ["compiled"]
    assert names(outbox.take()) == []
    outbox.case_finished(case, plain_record(case))
    last = outbox.take()
    assert names(last) == ["failed", "compiled"]
    assert the_result([last]).log == b"log"


def test_a_cancelled_group_starts_no_worker_and_gives_no_turn():
    case = Case()
    outbox = Outbox([case], lambda case: b"log")
    outbox.case_started(case, 0, 1)
    outbox.turn(case, 0, 1)
    outbox.cancel()
    with pytest.raises(CancelledError):
        outbox.case_started(case, 0, 1)
    with pytest.raises(CancelledError):
        outbox.turn(case, 0, 1)


def test_a_message_has_at_most_one_record_and_the_last_turn(plain_record):
    """A log is long: those of a whole group would make a message that is refused."""
    cases = [Case(repetition=index) for index in range(3)]
    outbox = Outbox(cases, lambda case: b"log")
    outbox.turn(cases[0], 4, 9)
    outbox.turn(cases[2], 5, 9)
    for case in cases:
        outbox.event(case, Compiled(seconds=1.0))
        outbox.case_finished(case, plain_record(case))
    taken = [outbox.take() for _ in range(4)]
    assert [[report.member for report in message.reports] for message in taken] == [[0, 0], [1, 1], [2, 2], []]
    assert [message.turn for message in taken] == [MemberTurn(member=2, cycle=5, cycles=9), None, None, None]


def task(digits, **fields):
    usual = {"limits": TimeLimits(60, 60), "busy": "wait", "command": None, "omp_threads": None}
    usual |= {"interleave": "windows", "cases": (Case(dataset="digits"),), "datasets": (digits.card,)}
    asked = NodeTask(**{**usual, **fields})
    contents = {name: (digits.folder / name).read_bytes() for name in nodes.NAMES}
    return asked.model_dump_json().encode(), contents


def test_a_release_is_installed_on_the_node_and_not_counted_as_the_cases_time(digits, monkeypatch, numpy_worker):
    """The notice is sent while pip works, and the record begins afterwards."""

    def slow(name, base, requirements, notify, location):
        notify(f"making an environment for {requirements[0]}")
        time.sleep(2.5)
        return "/nowhere/python"

    monkeypatch.setattr(releases.venv, "make", slow)
    began = time.time()
    case = Case(dataset="digits", framework_version="1.2.3")
    messages = [parse(each) for each in run_group(*task(digits, cases=(case,), command=numpy_worker))]
    notices = [message.notices for message in messages]
    assert ("making an environment for mindspore==1.2.3",) in notices[:-1]
    record = the_result(messages).record
    assert record.status is Status.CRASHED
    assert "/nowhere/python" in record.reason
    assert record.started_at.timestamp() - began > 2.0


def test_a_busy_node_reports_whom_it_waits_for(digits, hold_cpu, numpy_worker):
    other = hold_cpu()
    notices, messages = [], []
    for each in run_group(*task(digits, command=numpy_worker)):
        messages.append(message := parse(each))
        notices += message.notices
        if notices:
            other.kill()
    assert f"process {other.pid}" in notices[0]
    assert "cpu is free after" in notices[1]
    assert the_result(messages).record.status is Status.OK


def test_a_busy_node_refuses(digits, hold_cpu):
    with pytest.raises(BusyError, match=f"process {hold_cpu().pid}"):
        list(run_group(*task(digits, busy="refuse")))


class TestAGroup:
    CASES = tuple(
        Case(dataset="digits", plan=PLAN, hyperparameters=Hyperparameters(batch_size=size)) for size in (32, 64, 128)
    )

    def test_takes_turns_on_the_node(self, digits, numpy_worker, tmp_path):
        with nodes.process(NODE, tmp_path) as process:
            messages = list(map(parse, nodes.messages(process, self.CASES, digits, numpy_worker)))
        found = [result for message in messages for result in results(message)]
        assert sorted(result.member for result in found) == [0, 1, 2]
        assert all(result.record.case == self.CASES[result.member] for result in found)
        assert {result.record.status for result in found} == {Status.OK}
        assert len({result.record.group for result in found} - {""}) == 1
        turns = [message.turn for message in messages if message.turn is not None]
        assert turns, "the progress of the group is sent"
        assert [turn.cycle for turn in turns] == sorted(turn.cycle for turn in turns)
        assert turns[-1].cycle < turns[-1].cycles

    def test_a_record_is_sent_while_the_others_train(self, digits, numpy_worker, tmp_path):
        short = PLAN.model_copy(update={"windows": 2, "resident_windows": 0})
        cases = (self.CASES[0], self.CASES[1].model_copy(update={"plan": short}))
        with nodes.process(NODE, tmp_path) as process:
            messages = list(map(parse, nodes.messages(process, cases, digits, numpy_worker)))
        ends = [number for number, message in enumerate(messages) if results(message)]
        assert [results(messages[number])[0].member for number in ends] == [1, 0]
        assert any(message.turn for message in messages[ends[0] + 1 :])

    def test_one_that_is_interrupted_leaves_no_worker(self, digits, numpy_worker, tmp_path):
        with nodes.process(NODE, tmp_path) as process:
            for message in map(parse, nodes.messages(process, self.CASES, digits, numpy_worker)):
                if message.turn is not None:
                    break
            workers = psutil.Process(process.pid).children(recursive=True)
            assert len(workers) == 3
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) != 0
        assert psutil.wait_procs(workers, timeout=20)[1] == []
