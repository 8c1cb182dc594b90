"""What a node sends home is kept, or becomes an invalid record."""

from __future__ import annotations

import json

import pytest

from lenet.case import Case
from lenet.engine import SilentObserver
from lenet.engine.home import Home, Result
from lenet.engine.placement import Placed
from lenet.machine import describe
from lenet.record import Status

EVENT = {"event": "compiled", "seconds": 1.5}


class Watcher(SilentObserver):
    def __init__(self):
        self.seen = []

    def case_started(self, case, index, total):
        self.seen.append(("started", index, total))

    def event(self, case, event):
        self.seen.append(("event", event["event"]))

    def case_finished(self, case, record):
        self.seen.append(("finished", record.status))


@pytest.fixture
def at_home(digits, new_store):
    case = Case(dataset="digits")
    store = new_store([case], digits)
    watcher = Watcher()
    home = Home([case], {"digits": digits}, store, watcher)
    placed = Placed(case, "node", 1, 1)
    home.started(placed)
    return home, placed, store, watcher


@pytest.fixture
def result(plain_record):
    def create(machine=None, **changes):
        machine = machine or describe()
        record = plain_record(Case(dataset="digits")).model_copy(update={"machine_id": machine.id, **changes})
        event = json.dumps({"case_id": record.case_id, **EVENT}).encode() + b"\n"
        return Result(record.model_dump_json(), machine.model_dump_json(), event, b"the log")

    return create


def test_record_events_log_and_the_other_machines_card_are_kept(at_home, result, events_of):
    home, placed, store, watcher = at_home
    other = describe().model_copy(update={"cpu": "Another CPU"})
    home.keep(placed, result(other))
    (record,) = store.records()
    assert (record.status, record.machine_id) == (Status.OK, other.id)
    assert [{k: v for k, v in event.items() if k != "case_id"} for event in events_of(store, placed.case)] == [EVENT]
    assert store.log_path(placed.case).read_bytes() == b"the log"
    assert (store.path / f"machine-{other.id}.json").exists()
    assert watcher.seen == [("started", 0, 1), ("event", "compiled"), ("finished", Status.OK)]


def test_this_machines_card_is_in_the_manifest_already(at_home, result):
    home, placed, store, _ = at_home
    home.keep(placed, result())
    assert not list(store.path.glob("machine-*.json"))


@pytest.mark.parametrize("bad", ["text", ValueError("it broke"), None, Result("{", "{}", b"", b"")])
def test_what_cannot_be_read_is_an_invalid_record(bad, at_home):
    home, placed, store, _ = at_home
    home.keep(placed, bad)
    (record,) = store.records()
    assert record.status is Status.INVALID
    assert "cannot be read" in record.reason


@pytest.mark.parametrize(
    "changes", [{"case": Case(dataset="digits", repetition=1)}, {"machine_id": "../../elsewhere"}], ids=str
)
def test_a_record_of_another_case_or_machine_is_not_taken(changes, at_home, result):
    home, placed, store, _ = at_home
    home.keep(placed, result(**changes))
    (record,) = store.records()
    assert record.status is Status.INVALID
    assert "another case or machine" in record.reason


@pytest.mark.parametrize("events", [b"not json\n", b"[1]\n", b'{"event": "compiled"}\n', b"\xff\n"])
def test_garbage_among_the_events(events, at_home, result):
    home, placed, store, _ = at_home
    good = result()
    home.keep(placed, Result(good.record, good.machine, events, good.log))
    (record,) = store.records()
    assert record.status is Status.INVALID


@pytest.mark.parametrize(("unavailable", "status"), [(True, Status.UNAVAILABLE), (False, Status.CRASHED)])
def test_what_is_given_up_is_a_record_with_its_reason(unavailable, status, at_home):
    home, placed, store, _ = at_home
    home.give_up(placed.case, "no node", unavailable=unavailable)
    (record,) = store.records()
    assert (record.status, record.reason) == (status, "no node")
