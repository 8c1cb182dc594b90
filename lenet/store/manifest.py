"""What a run's folder holds, its manifest, and where runs are."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import TypeVar

from pydantic import Field, ValidationError

from lenet.cases.base import Instant
from lenet.cases.case import Case, Frozen
from lenet.cases.matrix import Matrix
from lenet.errors import StoreError, failing_as, reason
from lenet.files.text import read_text
from lenet.machine.card import MachineCard
from lenet.store.record import SCHEMA_VERSION, DatasetCard

MANIFEST = "manifest.json"
EVENTS = "events.jsonl"
LOCK = ".lock"
RECORDS, LOGS, SUPERSEDED = "records", "logs", "superseded"
REPRODUCTION, PUBLISHED = "reproduction.json", "published.json"
RUNS = "runs"
"""Names in the folder of a run, and of the folder of runs in a merged store."""

CARD = re.compile(r"machine-([a-z0-9-]{1,80})\.json")
"""Name of the file of a machine's card, with its id."""

M = TypeVar("M", bound=Frozen)


class Manifest(Frozen):
    """What a run measures, on which machine, with which data."""

    schema_version: int = Field(default=SCHEMA_VERSION, ge=1)
    lenet_bench_version: str
    created_at: Instant
    matrix: Matrix
    cases: tuple[Case, ...]
    datasets: dict[str, DatasetCard]
    machine: MachineCard

    @property
    def digest(self) -> str:
        """Identifies the run among those of its machine: the beginning of the digest of this content."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]


def read_model(path: Path, kind: type[M]) -> M:
    """The value that a JSON file of a run holds.

    Raises:
        StoreError: the file cannot be read, is damaged, or has a newer schema.
    """
    text = read_text(path)
    try:
        value = kind.model_validate_json(text)
    except ValidationError as error:
        try:
            version = json.loads(text).get("schema_version")
        except (ValueError, AttributeError, RecursionError):
            raise StoreError(f"{path} is not a JSON object: the run is damaged") from error
        _refuse_newer(path, version)
        raise StoreError(f"{path} is damaged: {reason(error)}") from error
    # A newer version may give a field that is known here another meaning.
    _refuse_newer(path, getattr(value, "schema_version", None))
    return value


def _refuse_newer(path: Path, version: object) -> None:
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} has schema {version}, newer than this lenet-bench ({SCHEMA_VERSION}): upgrade lenet-bench"
        )


def card_name(machine_id: str) -> str:
    """Name of the file with the card of that machine."""
    return f"machine-{machine_id}.json"


def run_folders(folder: Path) -> list[Path]:
    """The runs in a folder, sorted: itself if it is one, else those below it, as a merged store has them.

    Links and hidden folders are not entered.

    Raises:
        StoreError: it is not a folder, cannot be read, or holds no run.
    """

    def fail(error: OSError) -> None:
        raise error

    found = []
    with failing_as(StoreError, f"cannot read {folder}", "name a run, or a folder that holds runs"):
        for path, names, files in os.walk(folder, onerror=fail):
            if MANIFEST in files:
                found.append(Path(path))
                names.clear()  # a run contains no other run
            names[:] = [name for name in names if not name.startswith(".")]
    if not found:
        raise StoreError(f"{folder} holds no run: there is no {MANIFEST}; name a folder that `run` wrote")
    return sorted(found)
