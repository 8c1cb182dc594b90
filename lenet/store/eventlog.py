"""The event log: one line per event, append-only, for all cases of a run.

Each line names its case and its attempt. A case that was started twice (because the parent was killed, or to measure it
again) has lines of two attempts, which are never read as one trace.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from lenet.errors import StoreError, failing_as
from lenet.files.plain import flush, open_plain
from lenet.store.events import MAX_LINE_BYTES, Event, validate

BLOCK_BYTES = 1 << 16
"""Of the log's end that is read at once."""


@dataclass(frozen=True)
class LogLine:
    """One line of an event log."""

    case_id: str
    attempt: str
    """Empty in logs of older versions and of one attempt a case."""
    event: Event

    @classmethod
    def of(cls, content: object) -> LogLine:
        """The line whose decoded JSON is `content`.

        Raises:
            ValueError: it is not that of an event log.
        """
        case_id, attempt, event = _split(content)
        return cls(case_id, attempt, validate(event))

    @property
    def content(self) -> dict[str, Any]:
        """The JSON object that the line holds."""
        named = {"case_id": self.case_id, "attempt": self.attempt} if self.attempt else {"case_id": self.case_id}
        return {**named, **self.event.model_dump(mode="json")}

    def encode(self) -> str:
        """The line without its end."""
        return json.dumps(self.content, separators=(",", ":"), allow_nan=False)


def decode(line: bytes) -> LogLine:
    """What a line of an event log holds.

    Raises:
        ValueError: it is not a line of an event log.
    """
    try:
        return LogLine.of(json.loads(line))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _split(content: object) -> tuple[str, str, dict[str, Any]]:
    """Case, attempt and event of a decoded line; the event is not validated yet."""
    if not isinstance(content, dict):
        raise ValueError("not an object")
    event = dict(content)
    case_id, attempt = event.pop("case_id", None), event.pop("attempt", "")
    if not (isinstance(case_id, str) and isinstance(attempt, str)):
        raise ValueError("case_id or attempt is not a string")
    return case_id, attempt, event


class EventLog:
    """The log at `path`. One process writes it, ensured by the store's lock; any number read it.

    Before the first write `truncate_torn_line` must be called: an event appended to half a line would be lost. A log
    that cannot be written or read, or that has a line which is not an event, raises `StoreError`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, case_id: str, attempt: str, event: Event) -> None:
        """Add a line."""
        with self._writing("ab", os.O_WRONLY | os.O_APPEND | os.O_CREAT) as file:
            file.write(LogLine(case_id, attempt, event).encode().encode() + b"\n")

    def truncate_torn_line(self) -> None:
        """Remove what follows the last complete line: half a line of a writer that was killed.

        A complete log is not opened for writing, because it may be on a read-only file system.
        """
        if not self._path.exists():
            return
        with self._writing("rb", os.O_RDONLY) as file:
            size = complete = file.seek(0, os.SEEK_END)
            while complete > 0:  # not mapped into memory: a network's file system may not be able to
                start = max(0, complete - BLOCK_BYTES)
                file.seek(start)
                if (end := file.read(complete - start).rfind(b"\n")) >= 0:
                    complete = start + end + 1
                    break
                complete = start
        if complete < size:
            with self._writing("rb+", os.O_RDWR) as file:
                file.truncate(complete)

    def sync(self) -> None:
        """Flush the log to disk: a record must not be durable before its events."""
        if not self._path.exists():
            return
        with self._writing("rb+", os.O_RDWR) as file:
            flush(file.fileno())

    def read(self, case_id: str, attempt: str | None) -> Iterator[Event]:
        """The events of one attempt, in order, read lazily.

        `attempt` None is the last one. If `attempt` has no line, the lines without an attempt are its: older versions
        wrote none. An incomplete last line is being written, or its writer was killed: it is skipped.
        """
        seen = dict.fromkeys(found for _, found, _ in self._of(case_id))
        if attempt is None:
            attempt = next(reversed(seen), "")
        elif attempt not in seen:
            attempt = ""
        for number, found, content in self._of(case_id):
            if found == attempt:
                try:
                    yield validate(content)
                except ValueError as error:
                    raise self._damaged(number) from error

    def every(self) -> Iterator[LogLine]:
        """Every line, of all cases and attempts, in order and read lazily. An incomplete last line is skipped."""
        for number, line in self._lines():
            try:
                yield decode(line)
            except ValueError as error:
                raise self._damaged(number) from error

    def _of(self, case_id: str) -> Iterator[tuple[int, str, dict[str, Any]]]:
        """Number, attempt and content of each line of the case; the event is not validated yet."""
        for number, line in self._lines():
            if case_id.encode() not in line:
                continue
            try:
                name, attempt, content = _split(json.loads(line))
            except (ValueError, RecursionError) as error:
                raise self._damaged(number) from error
            if name == case_id:
                yield number, attempt, content

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """The complete lines with their numbers; none without a log."""
        if not self._path.exists():
            return
        with failing_as(StoreError, f"cannot read {self._path}"), os.fdopen(open_plain(self._path), "rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES), b""), 1):
                if not line.endswith(b"\n") and len(line) < MAX_LINE_BYTES:
                    return
                yield number, line

    def _damaged(self, number: int) -> StoreError:
        return StoreError(f"{self._path}, line {number} is not an event: the run is damaged")

    @contextlib.contextmanager
    def _writing(self, mode: str, flags: int) -> Iterator[IO[bytes]]:
        refused = failing_as(StoreError, f"cannot write {self._path}", "free space, then --resume")
        with refused, os.fdopen(open_plain(self._path, flags), mode) as file:
            yield file
