"""The columns of the page's table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lenet.record import ACCURACY_TARGETS
from lenet.report.points import Points

DERIVED = frozenset({"i", "ok", "series", "home", "place", "way", "label", "training", "versioned", "scaled"})
KNOWN_OPTIONAL = {
    "verdict": "verdict",
    "convergence": "convergence",
    "samples": "samples",
    "pipeline": "pipeline",
}
"""Fields that a row may have, and their titles; shown where a record has one."""


@dataclass(frozen=True)
class Column:
    """A column: the row's field, its title, and how its values are shown and sorted."""

    key: str
    title: str
    kind: str
    """`text`, `speed`, `spread`, `ratio`, `accuracy`, `seconds`, `bytes`, `whole` or `link`."""
    filter: bool = False
    """Whether the page offers its values as a filter."""


def optional(row: Mapping[str, Any]) -> list[str]:
    """The optional fields that the row has."""
    return [name for name in KNOWN_OPTIONAL if name in row]


def columns(rows: Points, against: str) -> list[Column]:
    """The columns that say something about these rows: axes in which they do not differ are left out."""

    def differ(key: str) -> bool:
        return len({row[key] for row in rows}) > 1

    def there(key: str) -> bool:
        return any(row.get(key) is not None and row.get(key) != "" for row in rows)

    axes = [
        Column("machine", "machine", "text", filter=True),
        Column("framework", "framework", "text", filter=True),
        Column("framework_version", "version", "text", filter=True),
        Column("dataset", "dataset", "text", filter=True),
        Column("world_size", "processes", "whole", filter=True),
        Column("device_target", "device", "text", filter=True),
        Column("series", "mode", "text", filter=True),
        Column("batch_size", "batch", "whole", filter=True),
        Column("profile", "profile", "text", filter=True),
        Column("epochs", "epochs", "whole", filter=True),
        Column("seed", "seed", "whole", filter=True),
        Column("repetition", "repetition", "whole"),
        Column("run", "run", "text", filter=True),
    ]
    always = {"device_target", "series", "batch_size"}
    figures = [
        Column("images_per_second", "images/s", "speed"),
        Column("spread", "spread", "spread"),
        Column("speed_up", f"over {against}", "ratio"),
        Column("resident_images_per_second", "resident", "speed"),
        Column("accuracy", "accuracy", "accuracy"),
        *(Column(f"to_{target:.2f}", f"s to {target:.0%}", "seconds") for target in ACCURACY_TARGETS),
        Column("final_loss", "final loss", "loss"),
        Column("compile_seconds", "compile s", "seconds"),
        Column("peak_memory_bytes", "peak MiB", "bytes"),
        *(Column(key, title, "text", filter=key in ("verdict",)) for key, title in KNOWN_OPTIONAL.items()),
    ]
    return [
        *(axis for axis in axes if axis.key in always or differ(axis.key)),
        *(figure for figure in figures if figure.kind == "spread" or there(figure.key)),
        Column("status", "status", "text", filter=True),
        Column("case_id", "record", "link"),
    ]
