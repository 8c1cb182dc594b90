"""The result of `lenet-bench verify` for one run."""

from __future__ import annotations

from collections.abc import Mapping

from lenet.analysis.verify.evidence import Verification
from lenet.report.layout import wrapped
from lenet.report.table.words import count, few
from lenet.store.proof import TrainingProof, TrainingStatus
from lenet.store.seal import SEAL

MOST_VIOLATIONS = 200
MOST_FILES = 6


def verify_text(run: str, found: Verification, inside: str = "") -> str:
    """A paragraph for each violation and remark, then the verdict on `run`.

    Files are named below `inside`. A recomputed training that is another is among the violations.
    """
    violations = len(found.violations)
    texts = [f"{inside}{each}" for each in found.violations[:MOST_VIOLATIONS]]
    if violations > MOST_VIOLATIONS:
        texts.append(f"… and {violations - MOST_VIOLATIONS:,} more")
    texts += [f"note: {each}" for each in found.remarks]
    if found.unread:
        texts.append(f"not verified: {count(len(found.unread), 'file')}: {few(list(found.unread), MOST_FILES)}")
    texts += _trainings(found.trainings)
    if found.sealed is None:
        texts.append(f"no seal ({SEAL}): a change of what no rule compares would not be seen")
    else:
        signed = f"; signed by {found.signer.text}" if found.signer is not None else ""
        texts.append(f"sealed: {count(found.sealed, 'file')} in {SEAL}{signed}")
    verdict = f"refused: {count(violations, 'violation')}" if violations else "verified: no violation"
    texts.append(f"{run}: {verdict} ({count(found.records, 'record')}, {count(found.events, 'event')})")
    return "\n".join(wrapped(each, rest="  ") for each in texts) + "\n"


def _trainings(found: Mapping[str, TrainingProof]) -> list[str]:
    """The recomputed trainings, with the cases of each result together."""
    together: dict[str, list[str]] = {}
    reasons: dict[str, str] = {}
    for case_id, proof in found.items():
        if proof.status is not TrainingStatus.ANOTHER:
            name = f"{proof.steps}" if proof.status is TrainingStatus.PROVED else proof.reason
            together.setdefault(name, []).append(case_id)
            reasons.setdefault(name, f"{proof.text}: {proof.reason}")
    return [f"training {reasons[name]} ({few(cases, 2)})" for name, cases in together.items()]
