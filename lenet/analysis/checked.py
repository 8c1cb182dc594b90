"""Which trainings are what their cases name: one that failed a check has the speed of something else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from lenet.analysis import convergence
from lenet.analysis.bands import Reference
from lenet.analysis.references import shipped
from lenet.store.proof import TrainingProof, TrainingStatus
from lenet.store.record import Record, Status

FAILED = frozenset(status.value for status in convergence.ConvergenceStatus if status.failed)
"""Results of the convergence check that make a throughput invalid."""


class Fault(NamedTuple):
    """The check that a training failed."""

    result: str
    """Of that check."""
    reason: str


def fault(converged: str, why: str, training: str | None, training_why: str) -> Fault | None:
    """What is wrong with a training that ran to its end; None if nothing is.

    Args:
        converged: result of the convergence check, a `ConvergenceStatus`.
        why: its reason.
        training: result of recomputing in words, `TrainingProof.text`; None if it was not recomputed.
        training_why: its reason.
    """
    if (training or "").startswith(TrainingStatus.ANOTHER.value):
        return Fault(TrainingStatus.ANOTHER.value, f"{training}: {training_why}")
    return Fault(converged, f"failed the convergence check: {why}") if converged in FAILED else None


def marked(record: Record, found: Fault | None) -> Record:
    """The record; with a fault its status is `invalid`, so that a comparison counts it as failed."""
    if found is None or record.status is not Status.OK:
        return record
    return record.model_copy(update={"status": Status.INVALID, "reason": found.reason})


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

    def found(record: Record) -> Fault | None:
        result, proof = convergence.assess(record, known), proofs.get(record.case_id)
        return fault(result.status.value, result.reason, proof.text if proof else None, proof.reason if proof else "")

    return [marked(record, found(record)) for record in records]
