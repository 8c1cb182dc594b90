"""Which trainings are what their cases name: one that failed a check has the speed of something else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lenet.analysis import convergence
from lenet.analysis.bands import Reference
from lenet.analysis.references import shipped
from lenet.store.proof import TrainingProof, TrainingStatus
from lenet.store.record import Record, Status


def checked(
    records: Iterable[Record],
    proofs: Mapping[str, TrainingProof],
    references: Sequence[Reference] | None = None,
) -> list[Record]:
    """The records, with the status `invalid` and the reason where a check of the training failed.

    A comparison then counts them as failed, as a table strikes them through.

    Args:
        records: of one run.
        proofs: the results of recomputing their trainings, by case: `Store.proofs`.
        references: for the convergence check; by default those of this package.
    """
    known = shipped() if references is None else references
    found = ((record, _fault(record, proofs.get(record.case_id), known)) for record in records)
    return [
        record.model_copy(update={"status": Status.INVALID, "reason": fault}) if fault else record
        for record, fault in found
    ]


def _fault(record: Record, proof: TrainingProof | None, references: Sequence[Reference]) -> str:
    if record.status is not Status.OK:
        return ""
    if proof is not None and proof.status is TrainingStatus.ANOTHER:
        return f"{proof.text}: {proof.reason}"
    result = convergence.assess(record, references)
    return f"failed the convergence check: {result.reason}" if result.status.failed else ""
