"""Verify a run that somebody else made: derive every figure from its own raw events.

folder -> manifest, records, events, tables -> rules (`lenet.analysis.verify`) -> violations
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from lenet import __version__
from lenet.analysis.bands import Reference
from lenet.analysis.references import shipped
from lenet.analysis.training import RecordedTraining
from lenet.analysis.verify import run, tables
from lenet.analysis.verify.document import Document
from lenet.analysis.verify.evidence import Attempt, Evidence, Place, Verification, Violation, own_attempt
from lenet.analysis.verify.reader import RunReader
from lenet.analysis.verify.rules import violations
from lenet.cases.baseline import DEFAULT
from lenet.cases.case import Case
from lenet.errors import StoreError, UsageError
from lenet.report import render, rows
from lenet.report.table.forms import TABLES, Format
from lenet.report.table.rows import Row
from lenet.store.events import Steps
from lenet.store.manifest import MANIFEST, RECORDS, SUPERSEDED, Manifest
from lenet.store.proof import TRAINING, CaseProof, TrainingProof, TrainingProofs, TrainingStatus
from lenet.store.record import Record
from lenet.store.seal import SIGNATURE
from lenet.store.signature import SignatureError, signer_of

BASELINE = re.compile(r"Speed-up: over (.{1,300}?), all else equal")
"""The baseline that a table for readers names below it."""


Recompute = Callable[[Sequence[RecordedTraining]], Iterable[tuple[RecordedTraining, TrainingProof]]]
"""Recomputes trainings; the results of those that have losses."""


def verify(root: Path, recompute: Recompute | None = None, allowed: Path | None = None) -> Verification:
    """Verify the run in `root`. Its files are read; nothing in it is followed, executed or trusted.

    With `recompute` its trainings are recomputed too. That data is not at hand is no violation. With `allowed`, a file
    of allowed signers, the run must be signed by one of them.

    Raises:
        StoreError: `root` is no run.
        UsageError: the run is newer than this program.
    """
    if not (root / MANIFEST).is_file() or (root / MANIFEST).is_symlink():
        raise StoreError(f"{root} is not a run: it has no {MANIFEST}; name the folder that `run` wrote")
    reader = RunReader(root)
    seal = reader.seal()
    signature = reader.text(SIGNATURE) if SIGNATURE in reader.files else None
    signer = None
    try:
        signer = signer_of(seal, signature, allowed)
    except SignatureError as error:
        reader.refuse("signature", SIGNATURE, str(error))
    manifest = reader.model(MANIFEST, Manifest)
    logged = reader.log()
    proofs = reader.model(TRAINING, TrainingProofs) if TRAINING in reader.files else None
    claimed = proofs[0] if proofs else TrainingProofs(cases=())
    remarks, evidence, records = _verify(reader, manifest[0], logged, claimed) if manifest else ([], [], 0)
    claims = [RecordedTraining.of(each.record, (line.event for line in each.attempt.events)) for each in evidence]
    recomputed = recompute(claims) if recompute is not None else ()
    trainings = {claim.record.case_id: proof for claim, proof in recomputed}
    _trainings(reader, evidence, trainings)
    if proofs is not None:
        _proofs(reader, claimed.cases, proofs[1], evidence, trainings)
    return Verification(
        violations=reader.violations,
        remarks=remarks,
        unread=reader.unread,
        records=records,
        events=reader.events,
        trainings=trainings,
        sealed=None if seal is None else seal.count("\n"),
        signer=signer,
    )


def _verify(
    reader: RunReader, manifest: Manifest, logged: Mapping[str, Sequence[Attempt]], claimed: TrainingProofs
) -> tuple[list[str], list[Evidence], int]:
    """Apply all rules; the remarks, what was read of each case, and the number of records."""
    remarks = list(run.remarks(manifest))
    if manifest.lenet_bench_version != __version__:
        remarks.append(f"made by lenet-bench {manifest.lenet_bench_version}, verified by {__version__}")
    reader.violations += run.manifest(manifest)
    files = _record_files(reader, manifest)
    reader.violations += run.complete(manifest, {case.id for case in files.values()}, logged)
    cards = reader.cards(manifest.machine)
    evidence = []
    for name, case in files.items():
        if (read := reader.model(name, Record)) is not None and case.dataset in manifest.datasets:
            record, document = read
            machine, card = cards.get(record.machine_id, manifest.machine), manifest.datasets[case.dataset]
            attempt = own_attempt(logged.get(case.id, ()), record)
            evidence.append(Evidence(case, machine, card, record, document, name, attempt))
    reader.violations += run.sequence(manifest, evidence)
    reader.violations += run.groups(evidence)
    superseded = _superseded(reader)
    for each in evidence:
        attempts, before = logged.get(each.case.id, ()), superseded.get(each.case.id, set())
        reader.violations += run.kept(each, attempts, before)
        reader.violations += violations(each)
        if len(attempts) > 1:
            remarks.append(f"{each.case.id}: {len(attempts)} workers began it, and the record is of one of them")
        if before:
            remarks.append(f"{each.case.id}: measured again; the record before it is in {SUPERSEDED}/")
    if len(evidence) == len(files):
        by_case = {each.case: each.record for each in evidence}
        _tables(reader, [by_case[case] for case in manifest.cases if case in by_case], claimed.of(by_case.values()))
    return remarks, evidence, len(files)


def _trainings(reader: RunReader, evidence: Sequence[Evidence], found: Mapping[str, TrainingProof]) -> None:
    """Refuse another training."""
    for each in evidence:
        proof = found.get(each.case.id)
        if proof is not None and proof.status is TrainingStatus.ANOTHER:
            step = proof.parted_at or 1
            windows = [line for line, event in each.attempt.of(Steps) if event.first_step + event.steps >= step]
            place = each.on(windows[0]) if proof.parted_at and windows else each.at("evaluations")
            reader.violations.append(Violation("training", place, f"{each.case.id}: {proof.text}: {proof.reason}"))


def _proofs(
    reader: RunReader,
    claimed: Sequence[CaseProof],
    document: Document,
    evidence: Sequence[Evidence],
    found: Mapping[str, TrainingProof],
) -> None:
    """Refuse a file of results that says otherwise than the recomputation."""
    attempts = {each.case.id: each.record.attempt for each in evidence}
    for index, each in enumerate(claimed):
        if attempts.get(each.case_id) != each.attempt:
            continue  # of a record that was measured again: no table shows it
        proof = found.get(each.case_id)
        if proof is None or TrainingStatus.NOT_PROVED in (each.status, proof.status):
            continue  # it may have left a training unproved
        if each.status is not proof.status:
            message = f"{each.case_id} is {each.text} here, and recomputed it is {proof.text}"
            reader.refuse("training", TRAINING, message, document.line("cases", index))


def _record_files(reader: RunReader, manifest: Manifest) -> dict[str, Case]:
    """The records' files with their cases; a record of another case is a violation."""
    cases = {f"{RECORDS}/{case.id}.json": case for case in manifest.cases}
    for name in reader.files:
        if name.startswith(f"{RECORDS}/") and name not in cases:
            reader.refuse("complete", name, "is the record of no case that the manifest lists")
    return {name: cases[name] for name in reader.files if name in cases}


def _superseded(reader: RunReader) -> dict[str, set[str]]:
    """The attempts of the records that were kept when their case was measured again, by case."""
    found: dict[str, set[str]] = {}
    for name in reader.files:
        folder, _, file = name.partition("/")
        if folder == SUPERSEDED and not file.startswith("manifest.") and (read := reader.model(name, Record)):
            record, document = read
            if file.partition(".")[0] != record.case.id:
                reader.refuse("case id", name, f"is the record of {record.case.id}", document.line("case"))
            found.setdefault(record.case.id, set()).add(record.attempt)
    return found


def _tables(reader: RunReader, records: Sequence[Record], proofs: Mapping[str, TrainingProof]) -> None:
    """Render the tables beside the records again.

    A table also shows what the references of its time say of the trainings, and the names that modes had then. One that
    was made before there was a reference for this data, or with a mode's former name, is no less correct.
    """
    if not records:
        return
    names = [name for name in TABLES if name in reader.files]
    texts = {name: text for name in names if (text := reader.text(name)) is not None}
    tries = (
        _table_violations(texts, records, references, proofs, former=former)
        for former in (False, True)
        for references in (shipped(), ())
    )
    found = next(tries)
    if found and all(tries):
        reader.violations += found


def _table_violations(
    texts: Mapping[str, str],
    records: Sequence[Record],
    references: Sequence[Reference],
    proofs: Mapping[str, TrainingProof],
    *,
    former: bool,
) -> list[Violation]:
    """Where the tables, by file, differ from those of the records, with their trainings compared to the references.

    With `former`, modes have the names that the records' cases were given.
    """
    given = {record.case_id: record.case.mode.value for record in records}

    def with_names(row: Row) -> Row:
        return row.model_copy(update={"mode": given[row.case_id]}) if former else row

    found: list[Violation] = []
    for name, text in texts.items():
        form = TABLES[name]

        def rendered(run_name: str, over: str | None, form: Format = form, intervals: bool = True) -> str:
            every = [with_names(row) for row in rows(records, run_name, references, proofs)]
            # The default baseline is named even if no row is it; one that was asked for is a row.
            return render(every, form, over, intervals, required=over != DEFAULT)

        try:
            if form == "json":
                found += tables.table_json(text, rendered)
            elif form == "csv":
                found += tables.table_csv(text, rendered)
            else:
                named = BASELINE.search(text)
                selector = re.sub(r"\\(.)", r"\1", html.unescape(named[1])) if named else DEFAULT
                wrong = list(tables.table_text(name, text, rendered("", selector)))
                # Speed-ups once had no intervals, whose table is no less correct.
                if wrong and any(tables.table_text(name, text, rendered("", selector, intervals=False))):
                    found += wrong
        except UsageError as error:
            found.append(Violation("table", Place(name), f"names a baseline that no row is: {error}"))
    return found
