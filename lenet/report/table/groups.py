"""The repetitions of a case as one line of a table."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from lenet.analysis.difference import Measured
from lenet.report.table.rows import Row, key, repetitions

REASONS_SHOWN = 3
"""Reasons of merged rows that a line shows; the records have all."""


@dataclass(frozen=True)
class Group:
    """The repetitions of one case as one line of a table."""

    row: Row
    """The repetitions' common fields, and the median of each figure over the successful processes."""
    processes: int
    """Successful processes."""
    of: int
    """All processes."""
    measured: Sequence[Measured] = ()
    """The successful processes' records and steady rates: what ratios are computed from."""
    efficiency: float | None = None
    """images/s divided by those of one process and by the number of processes; None if either is unknown."""

    @property
    def speed(self) -> float | None:
        """images/s, if valid: None without a successful process."""
        return self.row.images_per_second if self.processes else None


def _median(values: Iterable[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return statistics.median(present) if present else None


def merged(rows: Sequence[Row]) -> Group:
    """Several processes as one: medians of their medians; the spread is their interval, below three their range."""
    good = [each for each in rows if each.sound]
    # A failed process among successful ones is named in the status only.
    figures = good or list(rows)
    first = figures[0]
    measured = [each.measured for each in good if each.measured is not None]
    if len(rows) == 1:
        status, reason = first.final_status
        return Group(first.model_copy(update={"status": status, "reason": reason}), len(good), 1, measured)
    failed = [each for each in rows if not each.sound]
    speeds = [each.images_per_second for each in figures if each.images_per_second is not None]
    changes = {
        name: _median(getattr(each, name) for each in figures)
        for name in ("resident_images_per_second", "compile_seconds", "accuracy", "final_loss")
    }
    reasons = list(dict.fromkeys(each.final_status[1] for each in (failed or good) if each.final_status[1]))
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
            "training": ", ".join(dict.fromkeys(each.training for each in rows if each.training)) or None,
            "status": first.final_status[0] if not failed or not good else f"{len(good)} of {len(rows)} ok",
            "reason": "; ".join(reasons),
        }
    )
    return Group(line, len(good), len(rows), measured)


def grouped(table: Sequence[Row]) -> list[Group]:
    """Rows with their repetitions merged, in the order of first appearance."""
    return with_efficiency([merged([table[index] for index in indices]) for indices in repetitions(table)])


def with_efficiency(groups: Sequence[Group]) -> list[Group]:
    """Groups with their scaling efficiency: relative to one process of the same batch size, which under weak scaling
    is that of each process.
    """
    keys = [key(group.row, without=("world_size", "scaling")) for group in groups]
    alone = {each: group.speed for each, group in zip(keys, groups, strict=True) if group.row.world_size == 1}
    return [
        replace(group, efficiency=group.speed / base / group.row.world_size)
        if group.row.world_size > 1 and group.speed and (base := alone.get(each))
        else group
        for each, group in zip(keys, groups, strict=True)
    ]
