"""Which groups a sentence speaks of: the fastest, those of one place, and those that differ in one axis only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lenet.cases.frameworks import Framework
from lenet.cases.values import version_order
from lenet.report.table.groups import Group
from lenet.report.table.rows import Row, key
from lenet.report.table.words import settings

Place = tuple[str, str, str]
"""Machine, device and dataset: within one, speeds compare."""
Places = dict[Place, list[Group]]
"""Groups by place, the fastest place and the fastest group first."""
Pair = tuple[Group, Group]
"""What a ratio is of: its base, and what is divided by it."""
NAMED = ("framework", "mode", "device_target", "batch_size", "world_size")
"""Axes that a sentence names anyway."""


def ranked(groups: Sequence[Group]) -> list[Group]:
    """The groups with a valid speed, the fastest first."""
    return sorted((group for group in groups if group.speed is not None), key=lambda group: -(group.speed or 0))


def own(groups: Sequence[Group]) -> list[Group]:
    """Those of MindSpore; all, if none is."""
    return [group for group in groups if group.row.framework == Framework.MINDSPORE.value] or list(groups)


def places_of(groups: Sequence[Group]) -> Places:
    """The places of one process: with several, speeds are another question."""
    found: Places = {}
    alone = [group for group in groups if group.row.world_size == 1]
    for group in (*own(alone), *alone):
        found.setdefault(_place(group.row), [])
    for group in alone:
        found[_place(group.row)].append(group)
    return found


def _place(row: Row) -> Place:
    return row.machine, row.device_target, row.dataset


def newest_only(groups: Sequence[Group]) -> list[Group]:
    """Those of the newest release: what somebody has who installs it now."""
    last = max((group.row.framework_version for group in groups), key=version_order, default=None)
    return [group for group in groups if group.row.framework_version == last]


def runs_of(rows: Iterable[Row]) -> list[str]:
    """The runs of the rows, each once."""
    return list(dict.fromkeys(row.run for row in rows))


def pairs(groups: Iterable[Group], axis: str, base: str, other: str | None = None) -> list[Pair]:
    """Groups that differ in this axis only, one with the value `base` and one with another; of one run, if any are."""
    found: list[Pair] = []
    for without in ((axis,), (axis, "run")):
        cases: dict[tuple[str, ...], dict[str, Group]] = {}
        for group in groups:
            cases.setdefault(key(group.row, without=without), {})[group.row.identities[axis]] = group
        found = found or [
            (held[base], group)
            for held in cases.values()
            if base in held
            for value, group in held.items()
            if value != base and other in (None, value)
        ]
    return found


def lead(groups: Sequence[Group]) -> tuple[Group, list[Group]]:
    """The fastest group of those as installed, of all if none is; and the same case in each other mode, fastest first.

    There is at least one group, and the first is the fastest.
    """
    usual = [group for group in groups if not settings(group.row, without=(*NAMED, "dataset"))]
    best = (usual or list(groups))[0]
    others = [other for base, other in pairs(groups[::-1], "mode", best.row.mode) if base is best]
    return best, ranked(others)
