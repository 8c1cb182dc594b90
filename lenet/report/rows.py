"""One record, one flat row: what CSV and JSON carry, and what the tables are made of."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from lenet.case import Frozen, Mode
from lenet.record import ACCURACY_TARGETS, Record, Status


class Row(Frozen):
    """A record as one row. Images a second, seconds, bytes; accuracy 0 to 1; null where there is no figure."""

    framework: str
    framework_version: str | None
    device_target: str
    mode: str
    batch_size: int
    dataset: str
    profile: str
    world_size: int
    scaling: str
    seed: int
    repetition: int
    status: str
    reason: str
    images_per_second: float | None
    images_per_second_low: float | None
    images_per_second_high: float | None
    resident_images_per_second: float | None
    windows: int
    """Steady windows behind images_per_second, or processes where rows were merged."""
    compile_seconds: float | None
    accuracy: float | None
    evaluated_images: int | None
    trained_images: int
    epochs: int | None
    """Whole epochs that the plan asks for; null for a measurement of speed."""
    final_loss: float | None
    seconds_to_accuracy: dict[str, float | None]
    peak_memory_bytes: int | None
    machine: str
    run: str
    case_id: str
    dataset_sha256: str | None


AXES = (
    "framework",
    "framework_version",
    "device_target",
    "mode",
    "batch_size",
    "dataset",
    "profile",
    "world_size",
    "scaling",
    "seed",
    "epochs",
    "machine",
    "run",
)
"""Fields that tell one measurement from another; rows that agree on all are repetitions."""


def row(record: Record, run: str) -> Row:
    """The record as a row."""
    case, summary = record.case, record.summary
    speed, resident = summary.throughput, summary.resident_throughput
    return Row(
        framework=case.framework.value,
        framework_version=record.software.framework_version if record.software else None,
        device_target=case.device_target.value,
        mode=case.mode.value,
        batch_size=case.hyperparameters.batch_size,
        dataset=case.dataset,
        profile=case.profile.name,
        world_size=case.world_size,
        scaling=case.scaling.value,
        seed=case.hyperparameters.seed,
        repetition=case.repetition,
        status=record.status.value,
        reason=record.reason,
        images_per_second=speed.median if speed else None,
        images_per_second_low=speed.low if speed else None,
        images_per_second_high=speed.high if speed else None,
        resident_images_per_second=resident.median if resident else None,
        windows=speed.windows if speed else 0,
        compile_seconds=summary.compile_seconds,
        accuracy=summary.accuracy,
        evaluated_images=summary.evaluated_images,
        trained_images=summary.trained_images,
        epochs=case.plan.epochs,
        final_loss=summary.final_loss,
        seconds_to_accuracy={
            f"{target:.2f}": summary.seconds_to_accuracy.get(f"{target:.2f}") for target in ACCURACY_TARGETS
        },
        peak_memory_bytes=summary.peak_memory_bytes,
        machine=record.machine_id,
        run=run,
        case_id=record.case_id,
        dataset_sha256=record.dataset.sha256 if record.dataset else None,
    )


def rows(records: Iterable[Record], run: str) -> list[Row]:
    """A row a record, in a table's order: device, dataset, profile, batch size, mode, then the rest."""
    order = [mode.value for mode in Mode]
    return sorted(
        (row(record, run) for record in records),
        key=lambda r: (
            *(r.run, r.device_target, r.dataset, r.profile != "default", r.profile, r.batch_size),
            *(r.scaling, order.index(r.mode), r.world_size, r.seed, r.repetition),
        ),
    )


@dataclass(frozen=True)
class Group:
    """Repetitions of one case, each a process of its own, as one line of a table."""

    row: Row
    """The repetitions' common fields, and the median of each figure over the processes that ended well."""
    processes: int
    """How many ended well."""
    of: int
    efficiency: float | None = None
    """Images a second over those of one process times the number of processes; None where either is not known."""


def _median(values: Iterable[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return statistics.median(present) if present else None


def merged(repetitions: Sequence[Row]) -> Group:
    """Several processes as one: medians of their medians, the range over them as the spread."""
    good = [each for each in repetitions if each.status == Status.OK.value]
    # One that failed among good ones is said in the status; alone, it is the line itself.
    figures = good or list(repetitions)
    first = figures[0]
    if len(repetitions) == 1:
        return Group(first, len(good), 1)
    failed = [each for each in repetitions if each.status != Status.OK.value]
    speeds = [each.images_per_second for each in figures if each.images_per_second is not None]
    changes = {
        name: _median(getattr(each, name) for each in figures)
        for name in ("resident_images_per_second", "compile_seconds", "accuracy", "final_loss")
    }
    reasons = {each.reason: None for each in (failed or good) if each.reason}
    line = first.model_copy(
        update={
            **changes,
            "images_per_second": _median(speeds),
            "images_per_second_low": min(speeds, default=None),
            "images_per_second_high": max(speeds, default=None),
            "windows": len(speeds),
            "peak_memory_bytes": max((each.peak_memory_bytes or 0 for each in figures), default=0) or None,
            "status": first.status if not failed or not good else f"{len(good)} of {len(repetitions)} ok",
            "reason": "; ".join(reasons),
        }
    )
    return Group(line, len(good), len(repetitions))


def grouped(table: Iterable[Row]) -> list[Group]:
    """Rows with their repetitions merged, in the order of first appearance."""
    groups: dict[str, list[Row]] = {}
    for each in table:
        # A version is unknown where the worker never started: such a row is still a repetition of the others.
        key = json.dumps([getattr(each, axis) for axis in AXES if axis != "framework_version"])
        groups.setdefault(key, []).append(each)
    return with_efficiency([merged(repetitions) for repetitions in groups.values()])


def with_efficiency(groups: Sequence[Group]) -> list[Group]:
    """Groups with their scaling efficiency: against one process of the same batch, which under weak scaling is each
    process's own.
    """
    others = [axis for axis in AXES if axis not in ("world_size", "scaling")]

    def key(group: Group) -> str:
        return json.dumps([getattr(group.row, axis) for axis in others])

    def valid(group: Group) -> float | None:
        return group.row.images_per_second if group.processes else None

    alone = {key(group): valid(group) for group in groups if group.row.world_size == 1}
    efficient = []
    for group in groups:
        base, own = alone.get(key(group)), valid(group)
        ratio = own / base / group.row.world_size if base and own and group.row.world_size > 1 else None
        efficient.append(replace(group, efficiency=ratio))
    return efficient
