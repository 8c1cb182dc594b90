"""Which cases of a run are measured and fresh: a record is stale if a condition of its measurement has changed."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from lenet.cases.case import Case
from lenet.cases.frameworks import Framework
from lenet.machine.installed import framework_version, package_version
from lenet.store.record import DatasetCard, Record

WORKLOAD = ("__init__", "batches", "evaluation", "initial", "layers", "order", "pixels")
"""The others recompute a training, and train nothing."""
WORKLOAD_SOURCES = (
    "dataset/**/*.py",
    *(f"workload/{name}.py" for name in WORKLOAD),
    "training/*.py",
    "worker/**/*.py",
    "cases/case.py",
    "cases/profile.py",
    "cases/window_sizes.py",
    "machine/cores.py",
)
"""The packages and modules whose source decides what is trained and how it is timed."""


class State(str, Enum):
    """Whether a case of a run has a record that can be kept."""

    DONE = "done"
    STALE = "stale"
    FAILED = "failed"
    MISSING = "missing"


@dataclass(frozen=True)
class Conditions:
    """What a measurement depends on besides its case."""

    workload_sha256: str
    machine_id: str
    """Names the hardware: processor, usable cores, memory, devices without their drivers."""
    datasets: Mapping[str, str]
    """sha256 of the data, by the name of the dataset."""
    versions: Mapping[str, str]
    """Of `python`, `numpy` and the installed frameworks."""
    cluster: bool = False
    """Whether the cases run on the nodes of a cluster, whose hardware and versions are not known here."""


@dataclass(frozen=True)
class CaseState:
    """The state of one case."""

    case: Case
    state: State
    reason: str = ""
    """Why it is stale or failed."""


def changes(record: Record, now: Conditions) -> list[str]:
    """Each condition that has changed since the record was measured, as a phrase; empty for a fresh record.

    A record without the digest of the source has changed; data and versions that it does not name have not. On a
    cluster, the hardware and versions of a record that a node measured are not compared. Neither are the versions of a
    case whose release has an environment of its own: its case names the release.
    """
    found = []
    if record.workload_sha256 is None:
        found.append("the workload's source was not recorded")
    elif record.workload_sha256 != now.workload_sha256:
        found.append("the workload's source has changed")
    unseen = now.cluster and bool(record.node)
    if record.machine_id != now.machine_id and not unseen:
        found.append(f"machine {record.machine_id or 'unknown'}, now {now.machine_id}")
    data = now.datasets.get(record.case.dataset)
    if record.dataset is not None and record.dataset.sha256 != data:
        found.append(f"data {record.dataset.sha256[:12]}, now {data[:12] if data else 'absent'}")
    installed = now.versions.get(record.case.framework.value)
    elsewhere = unseen or record.case.framework_version not in (None, installed)
    if (software := record.software) is not None and not elsewhere:
        then = {record.case.framework.value: software.framework_version}
        then |= {"python": software.python_version, "numpy": software.numpy_version}
        found += [
            f"{name} {known}, now {now.versions.get(name, 'absent')}"
            for name, known in then.items()
            if not _same_version(known, now.versions.get(name))
        ]
    return found


def _same_version(known: str, installed: str | None) -> bool:
    """Whether a worker that reports `known` has the installed package.

    PyTorch's wheels with CUDA report their build (`2.11.0+cu130`), which the metadata of the package need not name.
    """
    if installed is None or "+" in installed:
        return known == installed
    return known.partition("+")[0] == installed


def states(cases: Sequence[Case], records: Iterable[Record], now: Conditions) -> list[CaseState]:
    """The state of each case, in order. A case that failed under other conditions is stale, not failed."""
    measured = {record.case: record for record in records}
    found = []
    for case in cases:
        record = measured.get(case)
        if record is None:
            found.append(CaseState(case, State.MISSING))
        elif changed := changes(record, now):
            found.append(CaseState(case, State.STALE, "; ".join(changed)))
        elif record.status.failed:
            found.append(CaseState(case, State.FAILED, f"{record.status.value}: {record.reason}".rstrip(": ")))
        else:
            found.append(CaseState(case, State.DONE))
    return found


def outstanding(cases: Iterable[CaseState], *, retry_failed: bool = False, force: bool = False) -> list[Case]:
    """The cases to measure: those missing or stale, with `retry_failed` also those that failed, with `force` all."""
    chosen = {State.MISSING, State.STALE}
    if retry_failed:
        chosen.add(State.FAILED)
    return [each.case for each in cases if force or each.state in chosen]


def workload_sha256() -> str:
    """Digest over the names and bytes of the source files of `WORKLOAD_SOURCES`."""
    root = Path(__file__).parents[1]
    total = hashlib.sha256()
    for path in sorted(path for source in WORKLOAD_SOURCES for path in root.glob(source)):
        data = path.read_bytes()
        total.update(f"{path.relative_to(root).as_posix()} {len(data)}\n".encode() + data)
    return total.hexdigest()


def conditions(machine_id: str, datasets: Mapping[str, DatasetCard], cluster: bool = False) -> Conditions:
    """The conditions here and now. No framework is imported: the installed packages' metadata tells its version."""
    found = {"python": platform.python_version(), "numpy": package_version("numpy")}
    found |= {framework.value: framework_version(framework) for framework in Framework}
    return Conditions(
        workload_sha256=workload_sha256(),
        machine_id=machine_id,
        datasets={name: card.sha256 for name, card in datasets.items()},
        versions={name: version for name, version in found.items() if version is not None},
        cluster=cluster,
    )
