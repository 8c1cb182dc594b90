"""The result of `lenet-bench verify` for one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lenet.report.layout import wrapped
from lenet.report.table.words import count, few
from lenet.store.proof import TrainingProof, TrainingStatus
from lenet.store.seal import SEAL

MOST_VIOLATIONS = 200
MOST_FILES = 6


def verify_text(
    run: str,
    violations: Sequence[str],
    remarks: Sequence[str],
    unread: Sequence[str],
    records: int,
    events: int,
    trainings: Mapping[str, TrainingProof] | None = None,
    sealed: int | None = None,
    signer: str = "",
) -> str:
    """A paragraph for each violation and remark, then the verdict on `run`. `unread` are files that were not read.

    `trainings` are the recomputed ones, by case. One that is another is among the violations. `sealed` is the number of
    files under the seal, None without one.
    """
    texts = [*violations[:MOST_VIOLATIONS]]
    if len(violations) > MOST_VIOLATIONS:
        texts.append(f"… and {len(violations) - MOST_VIOLATIONS:,} more")
    texts += [f"note: {each}" for each in remarks]
    if unread:
        texts.append(f"not verified: {count(len(unread), 'file')}: {few(list(unread), MOST_FILES)}")
    texts += _trainings(trainings or {})
    if sealed is None:
        texts.append(f"no seal ({SEAL}): a change of what no rule compares would not be seen")
    else:
        texts.append(f"sealed: {count(sealed, 'file')} in {SEAL}" + (f"; signed by {signer}" if signer else ""))
    verdict = f"refused: {count(len(violations), 'violation')}" if violations else "verified: no violation"
    texts.append(f"{run}: {verdict} ({count(records, 'record')}, {count(events, 'event')})")
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
