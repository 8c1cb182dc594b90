"""Repetitions of a case, each a process of its own, as one line of a table."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from lenet.report.table.rows import Row, key, repetitions

REASONS_SHOWN = 3
"""Different reasons of merged rows that are told; the records have all."""


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

    @property
    def speed(self) -> float | None:
        """Images a second, where it may be quoted: some process ended well."""
        return self.row.images_per_second if self.processes else None


def _median(values: Iterable[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return statistics.median(present) if present else None


def merged(rows: Sequence[Row]) -> Group:
    """Several processes as one: medians of their medians; the spread is their interval, below three their range."""
    good = [each for each in rows if each.sound]
    # One that failed among good ones is said in the status; alone, it is the line itself.
    figures = good or list(rows)
    first = figures[0]
    if len(rows) == 1:
        status, reason = first.standing
        return Group(first.model_copy(update={"status": status, "reason": reason}), len(good), 1)
    failed = [each for each in rows if not each.sound]
    speeds = [each.images_per_second for each in figures if each.images_per_second is not None]
    changes = {
        name: _median(getattr(each, name) for each in figures)
        for name in ("resident_images_per_second", "compile_seconds", "accuracy", "final_loss")
    }
    reasons = list(dict.fromkeys(each.standing[1] for each in (failed or good) if each.standing[1]))
    if len(reasons) > REASONS_SHOWN:
        reasons[REASONS_SHOWN:] = [f"and {len(reasons) - REASONS_SHOWN} more reasons, in the records"]
    line = first.model_copy(
        update={
            **changes,
            "images_per_second": _median(speeds),
            "images_per_second_low": first.interval_low or min(speeds, default=None),
            "images_per_second_high": first.interval_high or max(speeds, default=None),
            "windows": len(speeds),
            "peak_memory_bytes": max((each.peak_memory_bytes or 0 for each in figures), default=0) or None,
            "status": first.standing[0] if not failed or not good else f"{len(good)} of {len(rows)} ok",
            "reason": "; ".join(reasons),
        }
    )
    return Group(line, len(good), len(rows))


def grouped(table: Sequence[Row]) -> list[Group]:
    """Rows with their repetitions merged, in the order of first appearance."""
    return with_efficiency([merged([table[index] for index in indices]) for indices in repetitions(table)])


def with_efficiency(groups: Sequence[Group]) -> list[Group]:
    """Groups with their scaling efficiency: against one process of the same batch, which under weak scaling is each
    process's own.
    """
    keys = [key(group.row, without=("world_size", "scaling")) for group in groups]
    alone = {each: group.speed for each, group in zip(keys, groups, strict=True) if group.row.world_size == 1}
    efficient = []
    for each, group in zip(keys, groups, strict=True):
        base, own = alone.get(each), group.speed
        ratio = own / base / group.row.world_size if base and own and group.row.world_size > 1 else None
        efficient.append(replace(group, efficiency=ratio))
    return efficient
