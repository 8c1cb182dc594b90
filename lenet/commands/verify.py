"""Verify a run that somebody else made: read the folder without trust and judge it by its own raw events.

folder -> manifest, records, events, tables -> rules (`lenet.analysis.verify`) -> findings
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from lenet import __version__
from lenet.analysis.convergence import Reference
from lenet.analysis.references import shipped
from lenet.analysis.verify import Attempt, Evidence, Finding, Numbered, Place, attempts, judge, own_attempt
from lenet.analysis.verify import run as rules
from lenet.analysis.verify.document import Document, difference, document, load
from lenet.cases.case import Case, Frozen
from lenet.errors import StoreError, UsageError, problems, reason
from lenet.files.folder import scan
from lenet.files.text import MAX_FILE_BYTES
from lenet.machine.card import MachineCard
from lenet.report import render, rows
from lenet.report.table.baseline import DEFAULT
from lenet.report.table.layout import Format
from lenet.store import machines
from lenet.store.eventlog import LogLine
from lenet.store.events import MAX_LINE_BYTES, Started
from lenet.store.manifest import EVENTS, MANIFEST, Manifest
from lenet.store.record import SCHEMA_VERSION, DatasetCard, Record

BASELINE = re.compile(r"Speed-up: over (.{1,300}?), all else equal")
"""The baseline that a shown table names below it."""

TABLES: Mapping[str, Format] = {
    "table.json": "json",
    "table.csv": "csv",
    "table.md": "github",
    "table.html": "html",
}
"""The tables that a run writes beside its records, each with its form."""

M = TypeVar("M", bound=Frozen)


@dataclass
class Verdict:
    """What was found in one run."""

    findings: list[Finding] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    """No violations, but to be known."""
    unjudged: list[str] = field(default_factory=list)
    """Files of the folder that no figure rests on and that were not looked into."""
    cases: int = 0
    events: int = 0


class _Reader:
    """Reads one folder; what is not as it should be becomes a finding."""

    def __init__(self, root: Path) -> None:
        self.folder = scan(root)
        self.verdict = Verdict(findings=[Finding("folder", Place(name), what) for name, what in self.folder.faults])
        self.judged: set[str] = set()

    def found(self, rule: str, file: str, line: int | None, message: str) -> None:
        self.verdict.findings.append(Finding(rule, Place(file, line), message))

    def text(self, name: str) -> str | None:
        """A file's text, or None with a finding."""
        self.judged.add(name)
        try:
            return self.folder.read(name, MAX_FILE_BYTES).decode()
        except UnicodeDecodeError:
            self.found("schema", name, None, "is not UTF-8 text")
        except OSError as error:
            self.found("folder", name, None, reason(error))
        return None

    def model(self, name: str, kind: type[M]) -> tuple[M, Document] | None:
        """A file as what it should hold: every part of it known, valid, and read as it is written."""
        if (text := self.text(name)) is None:
            return None
        try:
            written = document(text)
        except ValueError as error:
            self.found("schema", name, getattr(error, "lineno", None), f"is no JSON of a run: {error}")
            return None
        version = written.value.get("schema_version") if isinstance(written.value, dict) else None
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise UsageError(f"{name} has schema {version}, newer than this lenet-bench ({SCHEMA_VERSION}): upgrade it")
        try:
            value = kind.model_validate_json(text)
        except ValidationError as error:
            for each in problems(error):
                self.found("schema", name, written.line(*each.path), f"{_path(each.path)}: {each.message}")
            return None
        at = difference(written.value, value.model_dump(mode="json"))
        if at is not None:
            self.found("schema", name, written.line(*at), f"{_path(at)} is not written as it is read")
        return value, written

    def events(self) -> dict[str, list[Attempt]]:
        """The log's events by case, each case's by attempt."""
        self.judged.add(EVENTS)
        logged: dict[str, list[Numbered]] = {}
        before: dict[str, bytes] = {}
        if EVENTS not in self.folder.files:
            self.found("schema", EVENTS, None, "is missing: without raw events no figure can be derived")
            return {}
        try:
            for number, line in enumerate(self.folder.lines(EVENTS, MAX_LINE_BYTES), 1):
                case_id, event = self._event(number, line)
                if event is None:
                    continue
                self.verdict.events += 1
                # Two workers that were interrupted at once have both said no more than `started`.
                if before.get(case_id) == line and not isinstance(event.event, Started):
                    self.found("order", EVENTS, number, "is the same event as the one before it")
                before[case_id] = line
                logged.setdefault(case_id, []).append(event)
        except OSError as error:
            self.found("folder", EVENTS, None, reason(error))
        return {case_id: attempts(events) for case_id, events in logged.items()}

    def _event(self, number: int, line: bytes) -> tuple[str, Numbered | None]:
        try:
            written = load(line.decode())
            logged = LogLine.of(written)
        except ValueError as error:
            self.found("schema", EVENTS, number, f"is no event: {reason(error)}")
            return "", None
        at = difference(written, logged.content)
        if at is not None:
            self.found("schema", EVENTS, number, f"{_path(at)} is not written as it is read")
        if not line.endswith(b"\n"):
            self.found("schema", EVENTS, number, "is cut short")
        return logged.case_id, Numbered(number, logged.event, logged.attempt)

    def cards(self, own: MachineCard) -> dict[str, MachineCard]:
        """The cards of the run's machines, by their ids: the manifest's, and those of the others."""
        found = {own.id: own}
        for name in self.folder.files:
            if machines.CARD.fullmatch(name) and (read := self.model(name, MachineCard)) is not None:
                card, written = read
                if name == machines.file_name(card.id):
                    found.setdefault(card.id, card)
                else:
                    self.found("machine", name, written.line(), f"what it says gives the id {card.id}, not its name's")
        return found


def _path(parts: Sequence[str | int]) -> str:
    return ascii(".".join(str(part) for part in parts))[1:-1][:200] or "the whole"


def verify(root: Path) -> Verdict:
    """Judge the run in `root`. Its files are read, and nothing in it is followed, executed or believed.

    Raises:
        StoreError: `root` is no run.
        UsageError: the run is newer than this program.
    """
    if not (root / MANIFEST).is_file() or (root / MANIFEST).is_symlink():
        raise StoreError(f"{root} is not a run: it has no {MANIFEST}; name the folder that `run` wrote")
    reader = _Reader(root)
    verdict = reader.verdict
    manifest = reader.model(MANIFEST, Manifest)
    logged = reader.events()
    if manifest is not None:
        _judge(reader, manifest[0], logged)
    verdict.unjudged = sorted(set(reader.folder.files) - reader.judged)
    return verdict


def _judge(reader: _Reader, manifest: Manifest, logged: dict[str, list[Attempt]]) -> None:
    verdict = reader.verdict
    verdict.findings += rules.manifest(manifest)
    verdict.remarks += rules.remarks(manifest)
    if manifest.lenet_bench_version != __version__:
        verdict.remarks.append(f"made by lenet-bench {manifest.lenet_bench_version}; judged by {__version__}")
    cards = reader.cards(manifest.machine)
    cases = {case.id: case for case in manifest.cases}
    evidence, recorded = [], set[str]()
    for name in reader.folder.files:
        room, _, rest = name.partition("/")
        if room != "records":
            continue
        case = cases.get(rest.removesuffix(".json"))
        if case is None or not rest.endswith(".json"):
            reader.judged.add(name)
            reader.found("complete", name, None, "is the record of no case that the manifest lists")
            continue
        recorded.add(case.id)
        if (read := reader.model(name, Record)) is not None and case.dataset in manifest.datasets:
            machine = cards.get(read[0].machine_id, manifest.machine)
            card = manifest.datasets[case.dataset]
            evidence.append(_evidence(machine, card, case, read, name, logged.get(case.id, [])))
    for case_id in sorted(cases.keys() & logged.keys()):
        if len(logged[case_id]) > 1:
            verdict.remarks.append(f"{case_id}: {len(logged[case_id])} workers began it; that of its record counts")
    verdict.cases = len(recorded)
    verdict.findings += rules.complete(manifest, recorded, logged)
    verdict.findings += rules.sequence(manifest, evidence)
    for each in evidence:
        verdict.findings += judge(each)
    if len(evidence) == len(recorded):
        by_case = {each.case: each.record for each in evidence}
        _tables(reader, [by_case[case] for case in manifest.cases if case in by_case])


def _evidence(
    machine: MachineCard,
    card: DatasetCard,
    case: Case,
    read: tuple[Record, Document],
    file: str,
    logged: Sequence[Attempt],
) -> Evidence:
    return Evidence(
        case=case,
        machine=machine,
        card=card,
        record=read[0],
        document=read[1],
        file=file,
        log=EVENTS,
        attempt=own_attempt(logged, read[0]),
    )


def _tables(reader: _Reader, records: Sequence[Record]) -> None:
    """The tables beside the records, each made again from the records.

    A table also says what the references of its day thought of the trainings. One that was made before there was a
    reference for this data is no less true.
    """
    if not records:
        return
    names = [name for name in TABLES if name in reader.folder.files]
    texts = {name: text for name in names if (text := reader.text(name)) is not None}
    found = _table_findings(texts, records, shipped())
    if found and not _table_findings(texts, records, ()):
        found = []
    reader.verdict.findings += found


def _table_findings(
    texts: Mapping[str, str], records: Sequence[Record], references: Sequence[Reference]
) -> list[Finding]:
    """What the tables' texts, by file, say that these records do not, their trainings held against the references."""
    found: list[Finding] = []
    for name, text in texts.items():
        form = TABLES[name]

        def derive(run: str, form: Format = form, baseline: str | None = None) -> str:
            return render(rows(records, run, references), form, baseline)

        if form == "json":
            found += rules.table_json(text, derive)
        elif form == "csv":
            found += rules.table_csv(text, derive)
        else:
            named = BASELINE.search(text)
            selector = re.sub(r"\\(.)", r"\1", html.unescape(named[1])) if named else DEFAULT
            # The usual baseline is named though no row may be it; one that was asked for is a row.
            baseline = selector if selector != DEFAULT else None
            try:
                found += rules.table_text(name, text, derive("", form, baseline))
            except UsageError as error:
                found.append(Finding("table", Place(name), f"names a baseline that no row is: {error}"))
    return found
