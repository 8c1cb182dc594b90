"""Invariants of a run after any fault, for the tests of faults and the soak test."""

from __future__ import annotations

import hashlib
import json
import struct

from lenet.analysis.traces import losses
from lenet.store.events import Finished, Started
from lenet.store.record import Status
from lenet.store.run import Store


def snapshot(folder):
    """The complete records on disk, by name."""
    return {path.name: path.read_bytes() for path in (folder / "records").glob("*.json")}


def nothing_lost(before, folder):
    """Every earlier record is still there, to the byte, or in `superseded/`."""
    now = snapshot(folder)
    aside = {path.read_bytes() for path in (folder / "superseded").glob("*.json")}
    for name, content in before.items():
        assert now.get(name) == content or content in aside, f"the record {name} was lost"


def whole(folder, status=None):
    """The run has one record per case, each agrees with its events, and the log has no incomplete line."""
    store = Store.open(folder)
    records = store.records()
    assert [record.case for record in records] == list(store.manifest.cases), "lost or doubled"
    assert len({record.attempt for record in records}) == len(records), "two records of one attempt"
    assert not list(folder.rglob("*.tmp")), "a temporary file is left"
    text = (folder / "events.jsonl").read_bytes()
    assert text.endswith(b"\n"), "the log ends with an incomplete line"
    for line in text.splitlines():
        json.loads(line)
    for record in records:
        assert status is None or record.status is status, record
        events, trace = list(store.events(record.case)), losses(store, record.case)
        assert len(trace) == sum(window.steps for window in record.windows), "the trace is not this record's"
        started = sum(isinstance(event, Started) for event in events)
        assert started == (record.software is not None), f"{record.case_id} was started {started} times"
        if record.status is Status.OK:
            assert isinstance(events[-1], Finished), f"{record.case_id} is ok and did not finish"
            digest = hashlib.sha256(struct.pack(f"<{len(trace)}f", *trace)).hexdigest()
            assert digest == record.losses_sha256, f"{record.case_id} has other losses than its record"
    return records
