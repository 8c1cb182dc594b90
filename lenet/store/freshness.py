"""Which cases of a run still stand: a record is as good as the conditions that it was measured under.

Pure: records and conditions in, standings out. What the conditions are here and now is `observe`'s to find out.
"""

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
from lenet.store.record import DatasetCard, Record, Status

WORKLOAD_PACKAGES = ("dataset", "workload", "training", "worker")
"""The packages whose source decides what is trained and how it is timed."""

GOOD = (Status.OK, Status.PLATEAU)
"""Ends of a case that was carried out whole."""


class State(str, Enum):
    """How a case of a run stands."""

    DONE = "done"
    STALE = "stale"
    FAILED = "failed"
    MISSING = "missing"


@dataclass(frozen=True)
class Conditions:
    """Everything beside the case itself that a figure depends on."""

    workload_sha256: str
    machine_id: str
    """Names the hardware: processor, usable cores, memory, devices with their drivers."""
    datasets: Mapping[str, str]
    """The data's digest by the cases' dataset names."""
    versions: Mapping[str, str]
    """By name: `python`, `numpy` and the frameworks that are installed."""
    cluster: bool = False
    """Whether the cases go to a cluster's nodes: what those are is not seen from here."""


@dataclass(frozen=True)
class Standing:
    """One case, its state, and the reason where it is stale or failed."""

    case: Case
    state: State
    why: str = ""


def changes(record: Record, now: Conditions) -> list[str]:
    """What is no longer as it was when the record was measured, a phrase each; empty when the record is fresh.

    A record that does not say counts as changed: nobody can know. One that a cluster's node gave stands on the cluster,
    whatever its hardware and versions: the table names them.
    """
    found = []
    if record.workload_sha256 is None:
        found.append("its workload's source was not noted")
    elif record.workload_sha256 != now.workload_sha256:
        found.append("the workload's source changed")
    unseen = now.cluster and bool(record.node)
    if record.machine_id != now.machine_id and not unseen:
        found.append(f"machine {record.machine_id or 'unknown'}, now {now.machine_id}")
    data = now.datasets.get(record.case.dataset)
    if record.dataset is not None and record.dataset.sha256 != data:
        found.append(f"data {record.dataset.sha256[:12]}, now {data[:12] if data else 'absent'}")
    if (software := record.software) is not None and not unseen:
        framework = record.case.framework.value
        then = {framework: software.framework_version, "python": software.python_version}
        then["numpy"] = software.numpy_version
        found += [
            f"{name} {known}, now {now.versions.get(name, 'absent')}"
            for name, known in then.items()
            if known != now.versions.get(name)
        ]
    return found


def stand(cases: Sequence[Case], records: Iterable[Record], now: Conditions) -> list[Standing]:
    """How each case stands, in order. What failed under other conditions is stale: it may end well now."""
    measured = {record.case: record for record in records}
    standings = []
    for case in cases:
        record = measured.get(case)
        if record is None:
            standings.append(Standing(case, State.MISSING))
        elif changed := changes(record, now):
            standings.append(Standing(case, State.STALE, "; ".join(changed)))
        elif record.status not in GOOD:
            standings.append(Standing(case, State.FAILED, f"{record.status.value}: {record.reason}".rstrip(": ")))
        else:
            standings.append(Standing(case, State.DONE))
    return standings


def wanted(standings: Iterable[Standing], *, retry_failed: bool = False, force: bool = False) -> list[Case]:
    """The cases to measure: those missing or stale, with `retry_failed` also those that failed, with `force` all."""
    states = {State.MISSING, State.STALE}
    if retry_failed:
        states.add(State.FAILED)
    return [each.case for each in standings if force or each.state in states]


def workload_sha256() -> str:
    """Digest over what trains and measures: the names and bytes of the source files of `WORKLOAD_PACKAGES`."""
    root = Path(__file__).parents[1]
    total = hashlib.sha256()
    for path in sorted(path for package in WORKLOAD_PACKAGES for path in (root / package).rglob("*.py")):
        data = path.read_bytes()
        total.update(f"{path.relative_to(root).as_posix()} {len(data)}\n".encode() + data)
    return total.hexdigest()


def observe(machine_id: str, datasets: Mapping[str, DatasetCard], cluster: bool = False) -> Conditions:
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
