"""Read a run that a stranger made, without trust: what is not as it should be becomes a violation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from lenet.analysis.verify.document import Document, difference, document, load
from lenet.analysis.verify.evidence import Attempt, LoggedEvent, Place, Violation, attempts
from lenet.cases.case import Frozen
from lenet.errors import UsageError, problems, reason
from lenet.files.folder import scan
from lenet.files.text import MAX_FILE_BYTES
from lenet.machine.card import MachineCard
from lenet.store.eventlog import LogLine
from lenet.store.events import MAX_LINE_BYTES, Started
from lenet.store.manifest import CARD, EVENTS, card_name
from lenet.store.record import SCHEMA_VERSION
from lenet.store.seal import SEAL, seal_faults

M = TypeVar("M", bound=Frozen)


class RunReader:
    """Reads the files of one run's folder."""

    def __init__(self, root: Path) -> None:
        self._folder = scan(root)
        self._read: set[str] = set()
        self._changed: set[str] = set()
        """Files that are not as they were sealed."""
        self.violations = [Violation("folder", Place(name), fault) for name, fault in self._folder.faults]
        self.events = 0
        """Events in the log."""

    @property
    def files(self) -> Sequence[str]:
        """Every regular file, by its name relative to the folder."""
        return list(self._folder.files)

    @property
    def unread(self) -> list[str]:
        """The files that no rule was applied to."""
        return sorted(self._folder.files.keys() - self._read)

    def refuse(self, rule: str, file: str, message: str, line: int | None = None) -> None:
        """Note a violation."""
        self._read.add(file)
        self.violations.append(Violation(rule, Place(file, line), message))

    def seal(self) -> str | None:
        """The text of the run's seal, None if it has none. Each file that is not as it was sealed is a violation."""
        if SEAL not in self._folder.files or (text := self.text(SEAL)) is None:
            return None
        for file, line, message in seal_faults(self._folder, text):
            self._changed.add(file)
            self.violations.append(Violation("seal", Place(file, line), message))
        return text

    def text(self, name: str) -> str | None:
        """A file's text; None with a violation if it has none."""
        self._read.add(name)
        try:
            return self._folder.read(name, MAX_FILE_BYTES).decode()
        except UnicodeDecodeError:
            self.refuse("schema", name, "is not UTF-8 text")
        except OSError as error:
            self.refuse("folder", name, reason(error))
        return None

    def model(self, name: str, kind: type[M]) -> tuple[M, Document] | None:
        """A file's content, if every part of it is known, valid and written as it is read; else None, with violations.

        Raises:
            UsageError: it is of a newer schema than this program's, and is as it was sealed.
        """
        if (text := self.text(name)) is None:
            return None
        try:
            written = document(text)
        except ValueError as error:
            self.refuse("schema", name, f"is no JSON of a run: {error}", getattr(error, "lineno", None))
            return None
        version = written.value.get("schema_version") if isinstance(written.value, dict) else None
        if isinstance(version, int) and version > SCHEMA_VERSION and name not in self._changed:
            raise UsageError(f"{name} has schema {version}, newer than this lenet-bench ({SCHEMA_VERSION}): upgrade it")
        try:
            value = kind.model_validate_json(text)
        except ValidationError as error:
            for each in problems(error):
                self.refuse("schema", name, f"{_path(each.path)}: {each.message}", written.line(*each.path))
            return None
        at = difference(written.value, value.model_dump(mode="json"))
        if at is not None:
            self.refuse("schema", name, f"{_path(at)} is not written as it is read", written.line(*at))
        return value, written

    def log(self) -> dict[str, list[Attempt]]:
        """The event log by case, each case's events by attempt."""
        if EVENTS not in self._folder.files:
            self.refuse("schema", EVENTS, "is missing: without raw events no figure can be derived")
            return {}
        self._read.add(EVENTS)
        logged: dict[str, list[LoggedEvent]] = {}
        before: dict[str, bytes] = {}
        try:
            for number, line in enumerate(self._folder.lines(EVENTS, MAX_LINE_BYTES), 1):
                if (read := self._event(number, line)) is None:
                    continue
                case_id, event = read
                self.events += 1
                # Two workers that were interrupted at once have both reported no more than `started`.
                if before.get(case_id) == line and not isinstance(event.event, Started):
                    self.refuse("order", EVENTS, "is the same event as the one before it", number)
                before[case_id] = line
                logged.setdefault(case_id, []).append(event)
        except OSError as error:
            self.refuse("folder", EVENTS, reason(error))
        return {case_id: attempts(events) for case_id, events in logged.items()}

    def _event(self, number: int, line: bytes) -> tuple[str, LoggedEvent] | None:
        try:
            written = load(line.decode())
            logged = LogLine.of(written)
        except ValueError as error:
            self.refuse("schema", EVENTS, f"is no event: {reason(error)}", number)
            return None
        at = difference(written, logged.content)
        if at is not None:
            self.refuse("schema", EVENTS, f"{_path(at)} is not written as it is read", number)
        if not line.endswith(b"\n"):
            self.refuse("schema", EVENTS, "is cut short", number)
        return logged.case_id, LoggedEvent(number, logged.event, logged.attempt)

    def cards(self, own: MachineCard) -> dict[str, MachineCard]:
        """The cards of the run's machines by their ids: `own`, the manifest's, and those of the others."""
        found = {own.id: own}
        for name in self._folder.files:
            if CARD.fullmatch(name) and (read := self.model(name, MachineCard)) is not None:
                card, written = read
                if name == card_name(card.id):
                    found.setdefault(card.id, card)
                else:
                    self.refuse("machine", name, f"its content gives the id {card.id}, not its name's", written.line())
        return found


def _path(parts: Sequence[str | int]) -> str:
    return ascii(".".join(str(part) for part in parts))[1:-1][:200] or "the whole"
