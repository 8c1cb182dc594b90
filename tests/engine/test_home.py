"""What a node sends home is kept, or becomes an invalid record."""

from __future__ import annotations

import json

import pytest

from lenet.cases.case import Case
from lenet.engine import SilentObserver
from lenet.engine.home import Home
from lenet.engine.node import Arrived, Heard, Result
from lenet.engine.placement import Placed
from lenet.machine.card import describe
from lenet.store.record import Status

CASE = Case(dataset="digits")
COMPILED = {"event": "compiled", "seconds": 1.5}
STEPS = {"event": "steps", "epoch": 1, "first_step": 0, "steps": 1, "images": 32, "seconds": 0.5, "warmup": False,
         "losses": [2.5]}  # fmt: skip
NODE = "0123456789abcdef0123"


class Watcher(SilentObserver):
    def __init__(self):
        self.seen = []

    def case_started(self, case, done, total, node=""):
        self.seen.append(("started", done, total, node))

    def event(self, case, event):
        self.seen.append(("event", event.event))

    def case_finished(self, case, record):
        self.seen.append(("finished", record.status))


@pytest.fixture
def at_home(digits, new_store):
    store = new_store([CASE], digits)
    watcher = Watcher()
    home = Home([CASE], {"digits": digits}, store, watcher, lambda node: f"at {node[:2]}")
    placed = Placed(CASE, NODE, 1, 1)
    home.started(placed)
    return home, placed, store, watcher


def lines(*events, attempt="first", case_id=CASE.id):
    return b"".join(json.dumps({"case_id": case_id, "attempt": attempt, **each}).encode() + b"\n" for each in events)


def arrived(machine=None):
    return Arrived((machine or describe()).model_dump_json())


@pytest.fixture
def result(plain_record):
    def create(events=b"", **changes):
        fields = {"machine_id": describe().id, "attempt": "first", **changes}
        return Result(plain_record(CASE).model_copy(update=fields).model_dump_json(), events, b"the log")

    return create


def test_what_a_node_says_is_written_and_shown_while_the_case_is_under_way(at_home, result, events_of):
    home, placed, store, watcher = at_home
    other = describe().model_copy(update={"cpu": "Another CPU"})
    home.hear(placed, arrived(other))
    home.hear(placed, Heard(b""))
    home.hear(placed, Heard(lines(COMPILED)))
    assert watcher.seen == [("started", 0, 1, "at 01"), ("event", "compiled")]
    assert [event["event"] for event in events_of(store, CASE)] == ["compiled"]
    assert store.records() == []
    home.keep(placed, result(lines(STEPS), machine_id=other.id))
    (record,) = store.records()
    assert (record.status, record.machine_id, record.node) == (Status.OK, other.id, NODE[:12])
    assert [event.event for event in store.events(CASE)] == ["compiled", "steps"]
    assert store.log_path(CASE).read_bytes() == b"the log"
    assert store.cards() == {describe().id: describe(), other.id: other}
    assert watcher.seen[2:] == [("event", "steps"), ("finished", Status.OK)]


def test_this_machines_card_is_in_the_manifest_already(at_home, result):
    home, placed, store, _ = at_home
    home.hear(placed, arrived())
    home.keep(placed, result())
    assert not list(store.path.glob("machine-*.json"))


@pytest.mark.parametrize("bad", ["text", ValueError("it broke"), None, Heard(b""), Result("{", b"", b"")])
def test_a_result_that_cannot_be_read_is_an_invalid_record(bad, at_home):
    home, placed, store, _ = at_home
    home.keep(placed, bad)
    (record,) = store.records()
    assert record.status is Status.INVALID
    assert "cannot be read" in record.reason


@pytest.mark.parametrize(
    "changes",
    [{"case": Case(dataset="digits", repetition=1)}, {"machine_id": "../../elsewhere"}, {"attempt": "another"}],
    ids=str,
)
def test_a_record_of_another_case_machine_or_attempt_is_not_taken(changes, at_home, result):
    home, placed, store, _ = at_home
    home.hear(placed, Heard(lines(COMPILED)))
    home.keep(placed, result(**changes))
    (record,) = store.records()
    assert record.status is Status.INVALID
    assert "it is the record of another" in record.reason
    assert record.attempt == "first", "what was heard is this record's"


GARBAGE = {
    "no event": b"not json\n",
    "no object": b"[1]\n",
    "no case": b'{"event":"compiled","seconds":1}\n',
    "no text": b"\xff\n",
    "unknown event": lines({"event": "boasted"}),
    "no number": lines({**COMPILED, "seconds": "x"}),
    "another case": lines(COMPILED, case_id=Case(dataset="digits", repetition=1).id),
    "two attempts": lines(COMPILED) + lines(COMPILED, attempt="second"),
    "too deep": b"[" * 100_000 + b"\n",
}


@pytest.mark.parametrize("last", [False, True], ids=["under way", "with the record"])
@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_among_the_events(what, last, at_home, result):
    home, placed, store, _ = at_home
    if not last:
        home.hear(placed, Heard(GARBAGE[what]))
        home.hear(placed, Heard(lines(STEPS)))
    home.keep(placed, result(GARBAGE[what] if last else b""))
    (record,) = store.records()
    assert record.status is Status.INVALID
    assert "cannot be read" in record.reason
    assert record.windows == (), "after something odd nothing is taken"
    for event in (store.path / "events.jsonl").read_text().splitlines() if what == "two attempts" else ():
        assert json.loads(event)["attempt"] == "first"


@pytest.mark.parametrize("odd", [Arrived("{"), Arrived('{"cpu": "x"}'), "text", None], ids=repr)
def test_what_is_nothing_that_a_node_says(odd, at_home, result):
    home, placed, store, _ = at_home
    home.hear(placed, odd)
    home.keep(placed, result())
    assert [record.status for record in store.records()] == [Status.INVALID]


@pytest.mark.parametrize(("unavailable", "status"), [(True, Status.UNAVAILABLE), (False, Status.CRASHED)])
def test_what_is_given_up_is_a_record_with_its_reason(unavailable, status, at_home):
    home, _, store, _ = at_home
    home.give_up(CASE, "no node", unavailable=unavailable)
    (record,) = store.records()
    assert (record.status, record.reason) == (status, "no node")


def test_what_a_lost_node_had_said_stays_and_the_record_is_of_the_last(at_home, result):
    home, placed, store, watcher = at_home
    home.hear(placed, Heard(lines(COMPILED, attempt="lost")))
    again = Placed(CASE, "fedcba", 2, 2)
    home.started(again)
    home.hear(again, arrived())
    home.hear(again, Heard(lines(STEPS, attempt="second")))
    home.keep(again, result(attempt="second"))
    (record,) = store.records()
    assert (record.status, record.attempt, record.node) == (Status.OK, "second", "fedcba")
    assert [event.event for event in store.events(CASE)] == ["steps"]
    assert (store.path / "events.jsonl").read_text().count('"attempt":"lost"') == 1
    assert watcher.seen[2] == ("started", 0, 1, "at fe")


def test_what_is_given_up_keeps_what_was_heard_of_it_last(at_home):
    home, placed, store, _ = at_home
    other = describe().model_copy(update={"cpu": "Another CPU"})
    home.hear(placed, arrived(other))
    home.hear(placed, Heard(lines(STEPS)))
    home.give_up(CASE, "lost", unavailable=False)
    (record,) = store.records()
    assert (record.status, record.machine_id, record.node) == (Status.CRASHED, other.id, NODE[:12])
    assert [window.images for window in record.windows] == [32]
    assert [event.event for event in store.events(CASE)] == ["steps"]
