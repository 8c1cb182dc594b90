"""Which trainings of a run were recomputed, and with what result: `training.json` beside the records.

It is what `run` found when it ended, for tables to show. `verify` recomputes the trainings itself and refuses a file
that says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from pydantic import Field

from lenet.cases.base import Frozen
from lenet.store.record import SCHEMA_VERSION, Record

TRAINING = "training.json"
"""Its name in a run's folder."""


class TrainingStatus(str, Enum):
    """Whether a case trained what its name says."""

    PROVED = "proved"
    ANOTHER = "another training"
    NOT_PROVED = "not proved"


class TrainingProof(Frozen):
    """The result of recomputing a case's training."""

    status: TrainingStatus
    steps: int = Field(default=0, ge=0)
    """Steps whose losses were compared."""
    parted_at: int | None = Field(default=None, ge=1)
    """The first step, from 1, that belongs to another training."""
    reason: str = Field(default="", max_length=2000)
    """What was compared, what the difference means, or why nothing could be compared."""

    @property
    def text(self) -> str:
        """The status in words: `another training (from step 3)`."""
        return self.status.value + (f" (from step {self.parted_at:,})" if self.parted_at else "")


class CaseProof(TrainingProof):
    """The same of a case in a run."""

    case_id: str
    attempt: str = ""
    """Of the record: a case that was measured again is another training until it is recomputed."""

    @property
    def proof(self) -> TrainingProof:
        """The result alone."""
        return TrainingProof(**self.model_dump(include=set(TrainingProof.model_fields)))


class TrainingProofs(Frozen):
    """The content of `training.json`."""

    schema_version: int = Field(default=SCHEMA_VERSION, ge=1)
    cases: tuple[CaseProof, ...]

    def of(self, records: Iterable[Record]) -> dict[str, TrainingProof]:
        """The results of these records, by case; not of records that were replaced since."""
        attempts = {record.case_id: record.attempt for record in records}
        return {each.case_id: each.proof for each in self.cases if attempts.get(each.case_id) == each.attempt}
