"""What a node sends is kept, or becomes an invalid record."""

from __future__ import annotations

import json

import pytest

from lenet.cases.case import Case
from lenet.engine import SilentObserver, messages
from lenet.engine.busy import BusyError
from lenet.engine.messages import MemberEvent, MemberResult, MemberTurn, NodeMessage
from lenet.engine.remote import MessageError, RemoteGroup
from lenet.errors import StoreError
from lenet.machine.card import describe
from lenet.store.events import Compiled, Steps
from lenet.store.record import Status

CASE = Case(dataset="digits")
COMPILED = Compiled(seconds=1.5)
STEPS = Steps(epoch=1, first_step=0, steps=1, images=32, seconds=0.5, warmup=False, losses=(2.5,))
NODE = "0123456789abcdef0123"
OTHER = describe().model_copy(update={"cpu": "Another CPU"})


class Watcher(SilentObserver):
    def __init__(self):
        self.seen = []

    def event(self, case, event):
        self.seen.append(event.event)


@pytest.fixture
def store(digits, new_store):
    return new_store([CASE], digits)


@pytest.fixture
def watcher():
    return Watcher()


@pytest.fixture
def remote(digits, store, watcher):
    return RemoteGroup([CASE], {"digits": digits}, store, watcher, NODE, "10.0.0.1")


def message(*reports, events=(), **fields):
    """A message of a node with reports, or with events of its first case."""
    of_first = [MemberEvent(member=0, event=event) for event in events]
    return NodeMessage(reports=(*of_first, *reports), **fields).model_dump_json().encode()


@pytest.fixture
def result(plain_record):
    def create(*events, **changes):
        record = plain_record(CASE).model_copy(update={"machine_id": describe().id, "attempt": "theirs", **changes})
        return message(MemberResult(member=0, record=record, log=b"the \xff log"), events=events)

    return create


def logged(store):
    return [json.loads(line) for line in (store.path / "events.jsonl").read_text(encoding="utf-8").splitlines()]


def test_messages_are_written_and_shown_while_the_case_runs(remote, store, watcher, result):
    assert not remote.began
    assert remote.receive(message(machine=OTHER)) == []
    assert remote.began
    assert remote.receive(message()) == []
    assert remote.receive(message(events=(COMPILED,))) == []
    assert watcher.seen == ["compiled"]
    assert [event["event"] for event in logged(store)] == ["compiled"]
    (record,) = remote.receive(result(STEPS, machine_id=OTHER.id))
    assert remote.cases == []
    assert (record.status, record.machine_id, record.node) == (Status.OK, OTHER.id, NODE[:12])
    store.write_record(record)
    assert [event.event for event in store.events(CASE)] == ["compiled", "steps"], "the record has its events' attempt"
    assert store.log_path(CASE).read_bytes() == b"the \xff log"
    assert store.cards() == {describe().id: describe(), OTHER.id: OTHER}
    assert watcher.seen == ["compiled", "steps"]


def test_this_machines_card_is_in_the_manifest_already(remote, store, result):
    remote.receive(message(machine=describe()))
    assert [record.status for record in remote.receive(result())] == [Status.OK]
    assert not list(store.path.glob("machine-*.json"))


def edited(change):
    content = json.loads(message(machine=describe(), events=(COMPILED, STEPS), notices=("x",)))
    change(content)
    return json.dumps(content).encode()


UNREADABLE = {
    "not JSON": b"text",
    "not an object": b"[1]",
    "not bytes": "text",
    "nothing": None,
    "an object of Python": ValueError("it broke"),
    "not UTF-8": b"\xff",
    "nested deeply": b'{"reports":' + b"[" * 100_000,
    "unknown field": edited(lambda content: content.update(more=1)),
    "half a card": edited(lambda content: content.update(machine={"cpu": "x"})),
    "unknown event": edited(lambda content: content["reports"][0]["event"].update(event="boasted")),
    "no number": edited(lambda content: content["reports"][0]["event"].update(seconds="x")),
    "not finite": edited(lambda content: content["reports"][0]["event"].update(seconds=float("nan"))),
    "unknown report": edited(lambda content: content["reports"].append({"kind": "boast", "member": 0})),
    "half a record": edited(
        lambda content: content["reports"].append({"kind": "result", "member": 0, "record": {}, "log": ""})
    ),
    "an event of a case that it does not run": edited(lambda content: content["reports"][1].update(member=1)),
    "an event of a case before the first": edited(lambda content: content["reports"][1].update(member=-1)),
    "long notice": edited(lambda content: content.update(notices=["x" * 5000])),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_of_a_message_that_cannot_be_read_nothing_is_kept(what, remote, store, watcher):
    remote.receive(message(events=(COMPILED,)))
    with pytest.raises(MessageError, match="cannot be read") as error:
        remote.receive(UNREADABLE[what])
    (record,) = remote.fail(error.value)
    assert record.status is Status.INVALID
    assert "cannot be read" in record.reason
    assert record.windows == ()
    assert [event["event"] for event in logged(store)] == ["compiled"]
    assert watcher.seen == ["compiled"]
    assert store.cards() == {describe().id: describe()}
    store.write_record(record)
    assert [event.event for event in store.events(CASE)] == ["compiled"]


def test_a_message_of_any_length_is_not_even_parsed(remote, monkeypatch):
    monkeypatch.setattr(messages, "MAX_MESSAGE_BYTES", 100)
    with pytest.raises(MessageError, match="101 bytes is too long"):
        remote.receive(b"[" + b" " * 100)


@pytest.mark.parametrize(
    "changes", [{"case": Case(dataset="digits", repetition=1)}, {"machine_id": "../../elsewhere"}], ids=str
)
def test_a_record_of_another_case_or_machine_is_not_taken(changes, remote, store, result):
    with pytest.raises(MessageError, match="another case or machine"):
        remote.receive(result(STEPS, **changes))
    assert not (store.path / "events.jsonl").exists()
    assert not store.log_path(CASE).exists()


def test_what_a_node_raises_is_an_invalid_record_with_its_last_words(remote):
    (record,) = remote.fail(OSError(28, "No space left on device"))
    assert (record.status, record.node) == (Status.INVALID, NODE[:12])
    assert record.reason == "OSError: No space left on device"


def test_a_node_that_refuses_ends_the_run_with_its_name(remote):
    with pytest.raises(BusyError, match=r"^10\.0\.0\.1: someone measures on cpu$"):
        remote.fail(BusyError("someone measures\non cpu"))


def test_a_notice_is_printed_with_the_nodes_name_and_without_control_characters(remote, capsys):
    remote.receive(message(notices=("waiting for\x1b[2Jsomeone\nelse",)))
    assert capsys.readouterr().err == "lenet-bench: 10.0.0.1: waiting for\\x1b[2Jsomeone else\n"


def test_a_full_disk_here_is_not_the_nodes_fault(remote, store):
    (store.path / "events.jsonl").mkdir()
    with pytest.raises(StoreError, match="cannot write"):
        remote.receive(message(events=(COMPILED,)))


def test_a_log_does_not_follow_a_planted_link(remote, store, tmp_path, result):
    (tmp_path / "precious").write_text("mine")
    store.log_path(CASE).symlink_to(tmp_path / "precious")
    with pytest.raises(StoreError, match="not a plain file"):
        remote.receive(result())
    assert (tmp_path / "precious").read_text() == "mine"


def test_a_lost_attempts_events_stay_and_the_record_is_of_the_last(remote, digits, store, watcher, result):
    remote.receive(message(events=(COMPILED,)))
    again = RemoteGroup([CASE], {"digits": digits}, store, watcher, "fedcba")
    again.receive(message(machine=describe()))
    again.receive(message(events=(STEPS,)))
    store.write_record(*again.receive(result()))
    (record,) = store.records()
    assert (record.status, record.node) == (Status.OK, "fedcba")
    assert [event.event for event in store.events(CASE)] == ["steps"]
    assert [event["event"] for event in logged(store)] == ["compiled", "steps"]
    assert len({event["attempt"] for event in logged(store)}) == 2


def test_a_case_that_is_given_up_keeps_what_was_received(remote, store):
    remote.receive(message(machine=OTHER))
    remote.receive(message(events=(STEPS,)))
    store.write_record(*remote.end([CASE], Status.CRASHED, "lost"))
    (record,) = store.records()
    assert (record.status, record.reason, record.machine_id) == (Status.CRASHED, "lost", OTHER.id)
    assert record.node == NODE[:12]
    assert [window.images for window in record.windows] == [32]
    assert [event.event for event in store.events(CASE)] == ["steps"]


def test_a_log_that_is_not_base64_is_not_read(remote, result):
    content = json.loads(result())
    content["reports"][0]["log"] = "?"
    with pytest.raises(MessageError, match="cannot be read"):
        remote.receive(json.dumps(content).encode())


class TestAGroup:
    CASES = tuple(Case(dataset="digits", repetition=index) for index in range(3))

    @pytest.fixture
    def store(self, digits, new_store):
        return new_store(self.CASES, digits)

    @pytest.fixture
    def group(self, digits, store, watcher):
        return RemoteGroup(self.CASES, {"digits": digits}, store, watcher, NODE)

    @pytest.fixture
    def result(self, plain_record):
        def create(member, case=None):
            record = plain_record(case or self.CASES[member]).model_copy(update={"machine_id": describe().id})
            return MemberResult(member=member, record=record, log=b"log")

        return create

    def test_what_is_finished_stays_and_the_rest_is_named(self, group, store, result):
        group.receive(message(MemberEvent(member=1, event=COMPILED), result(1)))
        assert group.cases == [self.CASES[0], self.CASES[2]]
        (given_up,) = group.end([self.CASES[2]], Status.CRASHED, "lost")
        assert (given_up.case, given_up.status) == (self.CASES[2], Status.CRASHED)
        assert group.cases == [self.CASES[0]]
        assert [record.case for record in group.fail(OSError("gone"))] == [self.CASES[0]]

    def test_events_belong_to_their_case(self, group, store, result):
        group.receive(message(*(MemberEvent(member=number, event=COMPILED) for number in (2, 0))))
        assert [event["case_id"] for event in logged(store)] == [self.CASES[2].id, self.CASES[0].id]
        assert len({event["attempt"] for event in logged(store)}) == 2

    @pytest.mark.parametrize("what", ["twice", "after its record", "of another member"])
    def test_a_record_that_cannot_be_is_refused_and_nothing_of_its_message_kept(self, what, group, store, result):
        honest = MemberEvent(member=0, event=COMPILED)
        reports = {
            "twice": (result(1), result(1)),
            "after its record": (result(1), MemberEvent(member=1, event=COMPILED)),
            "of another member": (result(1, self.CASES[2]),),
        }[what]
        with pytest.raises(MessageError, match="cannot be read"):
            group.receive(message(honest, *reports))
        assert not (store.path / "events.jsonl").exists()
        assert group.cases == list(self.CASES)

    def test_a_turn_is_shown(self, group, watcher, monkeypatch):
        seen = []
        monkeypatch.setattr(watcher, "turn", lambda *turn: seen.append(turn))
        group.receive(message(turn=MemberTurn(member=2, cycle=3, cycles=7)))
        group.receive(message(turn=MemberTurn(member=9, cycle=3, cycles=7)))
        assert seen == [(self.CASES[2], 3, 7)]
