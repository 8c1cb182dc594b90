"""The event log: attempts are kept apart, and a log truncated at any byte can be read and continued."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lenet.errors import StoreError
from lenet.store.eventlog import EventLog
from lenet.store.events import MAX_LINE_BYTES, Compiled


def event(seconds):
    return Compiled(seconds=seconds)


def seconds(log, case="a", attempt=None):
    return [each.seconds for each in log.read(case, attempt)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.jsonl"


def test_attempts_are_kept_apart(path):
    log = EventLog(path)
    for case, attempt, value in (("a", "1", 1), ("b", "7", 9), ("a", "2", 2), ("a", "1", 3), ("a", "2", 4)):
        log.append(case, attempt, event(value))
    assert seconds(log, attempt="1") == [1, 3]
    assert seconds(log, attempt="2") == [2, 4]
    assert seconds(log) == [2, 4], "without a record it is the last one"
    assert seconds(log, "b") == [9]
    assert seconds(log, "c") == []


def test_a_log_without_attempts_is_one(path):
    log = EventLog(path)
    log.append("a", "", event(1))
    log.append("a", "", event(2))
    assert "attempt" not in path.read_text()
    assert seconds(log) == seconds(log, attempt="3") == [1, 2]


def test_a_log_of_an_older_version_that_a_newer_one_continued(path):
    log = EventLog(path)
    log.append("a", "", event(1))
    log.append("a", "5", event(2))
    assert seconds(log, attempt="5") == seconds(log) == [2]


def test_a_record_without_events_gets_none_of_another_attempt(path):
    log = EventLog(path)
    log.append("a", "5", event(2))
    assert seconds(log, attempt="4") == []


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_log_truncated_at_any_byte_is_read_and_continued(tmp_path, data):
    path = tmp_path / "torn.jsonl"
    path.unlink(missing_ok=True)
    for value in range(4):
        EventLog(path).append("a", "1", event(value))
    content = path.read_bytes()
    cut = data.draw(st.integers(0, len(content)), label="cut")
    path.write_bytes(content[:cut])
    whole = content[:cut].count(b"\n")
    assert seconds(EventLog(path)) == list(range(whole))
    log = EventLog(path)
    log.truncate_torn_line()
    assert path.read_bytes() == content[: content[:cut].rfind(b"\n") + 1]
    log.append("a", "2", event(8))
    log.append("a", "2", event(9))
    assert [json.loads(line)["seconds"] for line in path.read_bytes().splitlines()] == [*range(whole), 8, 9]
    assert seconds(log, attempt="1") == list(range(whole))


def test_an_incomplete_line_longer_than_a_block_is_removed(path):
    path.write_bytes(b'{"case_id":"a","event":"compiled","seconds":1.0}\n' + b"x" * 200_000)
    log = EventLog(path)
    log.truncate_torn_line()
    log.append("a", "", event(2))
    assert seconds(log) == [1, 2]


def test_a_log_that_does_not_exist_is_not_made(path):
    EventLog(path).truncate_torn_line()
    assert not path.exists()


def test_a_line_that_is_being_written_is_not_read(path):
    path.write_bytes(b'{"case_id":"a","event":"compiled","seconds":1.0}\n{"case_id":"a","event":"comp')
    assert seconds(EventLog(path)) == [1]


def test_a_line_longer_than_any_event(path):
    path.write_bytes(b"a" * (MAX_LINE_BYTES + 1))
    with pytest.raises(StoreError, match="line 1 is not an event"):
        seconds(EventLog(path))


@pytest.mark.parametrize(
    "line",
    [
        *(b'"a"', b'["a"]', b'{"a": 1}', b'{"case_id": "a", "attempt": []}', b'{"case_id": ["a"]}'),
        *(b"a\xff", b"a" + b"[" * 99_999),
    ],
    ids=["text", "list", "other-key", "attempt-list", "name-list", "no-utf-8", "deep"],
)  # fmt: skip
def test_a_line_of_the_case_that_is_not_an_event(path, line):
    path.write_bytes(line + b"\n")
    with pytest.raises(StoreError, match="not an event"):
        seconds(EventLog(path))


def test_a_link_is_not_followed(path, tmp_path):
    other = tmp_path / "elsewhere"
    other.write_text("mine")
    path.symlink_to(other)
    with pytest.raises(StoreError, match="cannot write"):
        EventLog(path).append("a", "1", event(1))
    with pytest.raises(StoreError, match="cannot read"):
        seconds(EventLog(path))
    assert other.read_text() == "mine"


def test_a_pipe_does_not_block(path):
    os.mkfifo(path)
    with pytest.raises(StoreError, match="plain file"):
        seconds(EventLog(path))
