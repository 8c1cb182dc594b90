"""The clock is set back or forward, or is another machine's: times stay in order and an honest run is not accused."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pytest
from pydantic import ValidationError

from lenet.cases.case import Case, Plan
from lenet.cases.matrix import Matrix
from lenet.commands.measurement import begin, open_run
from lenet.commands.verify import verify
from lenet.engine import SilentObserver
from lenet.engine.local import LocalEngine
from lenet.engine.messages import MemberResult, NodeMessage
from lenet.engine.remote import RemoteGroup
from lenet.machine.card import describe
from lenet.store.record import Record, Status
from lenet.store.run import Store

PLAN = Plan(warmup_steps=2, window_steps=2, window_seconds=0.01, windows=3, resident_windows=1, evaluation_images=64)
NOON = datetime(2026, 1, 2, 12, tzinfo=timezone.utc)
CHANGES = {
    "back": lambda number: NOON - number * timedelta(hours=1),
    "forward": lambda number: NOON + number * timedelta(hours=1),
    "to and fro": lambda number: NOON + (-1) ** number * number * timedelta(minutes=7),
    "stopped": lambda number: NOON,
    "an hour at the end of summer": lambda number: NOON - (timedelta(hours=1) if number > 3 else timedelta()),
}


@pytest.fixture(params=CHANGES)
def clock(request, monkeypatch):
    """The clock of the system, which is set anew before each reading; returns the readings."""
    seen = []

    def read():
        seen.append(CHANGES[request.param](len(seen)))
        return seen[-1]

    monkeypatch.setattr("lenet.store.run.wall_clock", read)
    return seen


@pytest.mark.parametrize("interleave", ["rounds", "windows"])
def test_a_run_and_its_resumption_while_the_clock_is_set(clock, interleave, digits, numpy_worker, tmp_path):
    matrix = Matrix(modes=("graph",), datasets=("digits",), batch_sizes=(32, 64), repeat=2, plan=PLAN)
    run = begin(matrix.cases(), lambda _: digits, tmp_path / "run", matrix=matrix)
    engine = LocalEngine(command=numpy_worker, interleave=interleave)
    engine.run(run.cases[:2], run.datasets, run.store)
    run.store.release()
    again = open_run(tmp_path / "run", lambda _: digits, write=True)
    records = engine.run(again.cases[2:], again.datasets, again.store)
    again.store.release()
    records = Store.open(tmp_path / "run").records()
    assert [record.status for record in records] == [Status.OK] * 4
    assert len(clock) > 4
    assert [str(each) for each in verify(tmp_path / "run").violations] == []
    for before, after in pairwise(sorted(records, key=lambda each: each.started_at)):
        assert before.finished_at <= after.started_at or before.group == after.group != ""
    for record in records:
        assert timedelta() < record.finished_at - record.started_at < timedelta(minutes=30), "by another clock"


def test_what_a_node_sends_begins_after_what_it_sent_before(digits, new_store, plain_record):
    """The node's clock was set back between two groups; the time that the case took stays."""
    case = Case(dataset="digits")
    store = new_store([case], digits)
    remote = RemoteGroup([case], {"digits": digits}, store, SilentObserver(), "node", not_before=NOON)
    early = NOON - timedelta(hours=1)
    sent = plain_record(case).model_copy(
        update={"machine_id": describe().id, "started_at": early, "finished_at": early + timedelta(seconds=7)}
    )
    message = NodeMessage(reports=(MemberResult(member=0, record=sent, log=b""),))
    (record,) = remote.receive(message.model_dump_json().encode())
    assert (record.started_at, record.finished_at) == (NOON, NOON + timedelta(seconds=7))
    assert sent.begun_after(early) is sent


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02T12:00:00Z", NOON),
        ("2026-01-02T20:00:00+08:00", NOON),
        ("2026-01-02T00:00:00.5-12:00", NOON + timedelta(seconds=0.5)),
        ("2026-01-02T12:00:00", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("noon", None),
    ],
)
def test_times_of_every_zone_are_read_and_one_without_a_zone_is_refused(plain_record, text, expected):
    content = {**plain_record(Case()).model_dump(mode="json"), "started_at": text}
    if expected is None:
        with pytest.raises(ValidationError, match="started_at"):
            Record.model_validate(content)
        return
    record = Record.model_validate(content)
    assert record.started_at == expected
    assert '"started_at":"2026-01-02T12:00:00' in record.model_dump_json()
