"""Throughput at a glance: for each machine and device a small table, modes down and batch sizes across."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lenet.cases.axes import axis
from lenet.cases.frameworks import Framework
from lenet.cases.values import version_order
from lenet.report.content.gather import Report
from lenet.report.content.grids import Grid
from lenet.report.content.headline import AS_INSTALLED
from lenet.report.layout import DASH, number
from lenet.report.table.groups import Group
from lenet.report.table.rows import Row
from lenet.report.table.words import SERIES_SEPARATOR, mode

CAPTION = (
    "Training images per second, data pipeline included: the median over processes, with half the width of its 95% "
    "interval where there are three processes or more. * marks the fastest. A word stands for a training that failed."
)
MOST_MATRICES = 6
INSTALLED = "as installed"


@dataclass(frozen=True)
class SpeedMatrix:
    """The throughput of one machine, device and pipeline, newest release of each framework."""

    title: str
    """In what it differs from the other matrices; empty for a single one."""
    grid: Grid
    speeds: Sequence[Sequence[float | None]]
    """Images/s of the grid's figures, a line each."""


def matrices(report: Report) -> list[SpeedMatrix]:
    """The tables, the place with the most records first; at most `MOST_MATRICES`."""
    listed = _places(report)
    titles = [_parts(report, groups) for groups in listed]
    shown = [[part for place, part in enumerate(parts) if _differ(titles, place)] for parts in titles]
    return [_matrix(groups, SERIES_SEPARATOR.join(parts)) for groups, parts in zip(listed, shown, strict=True)]


def caption(report: Report) -> str:
    """What the figures are, and what all of the tables share."""
    titles = [_parts(report, groups) for groups in _places(report)]
    common = [part for place, part in enumerate(titles[0] if titles else ()) if not _differ(titles, place)]
    return f"{CAPTION} All: {', '.join(common)}." if common else CAPTION


def shares(tables: Sequence[SpeedMatrix]) -> list[list[list[float | None]]]:
    """For each figure of each table its place, 0 to 1, between the slowest and the fastest of all, by logarithm."""
    speeds = [speed for table in tables for line in table.speeds for speed in line if speed]
    low, high = (math.log(end(speeds)) if speeds else 0.0 for end in (min, max))
    width = (high - low) or 1.0
    return [
        [[round((math.log(speed) - low) / width, 3) if speed else None for speed in line] for line in table.speeds]
        for table in tables
    ]


def _differ(titles: Sequence[Sequence[str]], place: int) -> bool:
    return len({parts[place] for parts in titles}) > 1


def _places(report: Report) -> list[list[Group]]:
    """The groups of one process by machine, device, data and pipeline, of the newest release of each framework."""
    places: dict[tuple[object, ...], list[Group]] = {}
    for group in report.groups:
        row = group.row
        if row.world_size == 1:
            place = (row.machine, row.device_target, row.dataset_sha256, row.pipeline)
            places.setdefault(place, []).append(group)
    listed = sorted(places.values(), key=lambda groups: -sum(group.of for group in groups))[:MOST_MATRICES]
    return list(map(_current, listed))


def _current(groups: Sequence[Group]) -> list[Group]:
    """Those of the newest release of each framework, and of workers that never started: they have no version."""
    newest = _newest(groups)
    return [group for group in groups if group.row.framework_version in (None, newest[group.row.framework])]


def _newest(groups: Sequence[Group]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for row in (group.row for group in groups):
        found[row.framework] = max(found.get(row.framework), row.framework_version, key=version_order)
    return found


def _parts(report: Report, groups: Sequence[Group]) -> tuple[str, ...]:
    """Everything that a title may name."""
    row = groups[0].row
    versions = [f"{name} {version or ''}".strip() for name, version in _newest(groups).items()]
    return (
        report.short_machine(row.machine),
        row.device_target,
        SERIES_SEPARATOR.join(versions),
        row.dataset,
        axis("pipeline").words(row.pipeline),
    )


def _matrix(groups: Sequence[Group], title: str) -> SpeedMatrix:
    sizes = sorted({group.row.batch_size for group in groups})
    top = max((group.speed for group in groups if group.speed is not None), default=0)
    lines, speeds = [], []
    for name, cells in _series(groups):
        chosen = [_best(group for group in cells if group.row.batch_size == size) for size in sizes]
        lines.append([*name, *(_cell(group, top) for group in chosen)])
        speeds.append([group.speed if group else None for group in chosen])
    titles = ("mode", "profile", *(f"batch {size:,}" for size in sizes))
    return SpeedMatrix(title, Grid(titles, lines, len(sizes)), speeds)


def _series(groups: Sequence[Group]) -> Iterable[tuple[tuple[str, str], list[Group]]]:
    """The lines with their names: each framework and mode as installed, then with the best of its other profiles."""
    kinds = {(group.row.framework, group.row.mode): group.row for group in groups}
    for framework, own_mode in sorted(
        kinds, key=lambda kind: (axis("framework").rank(kind[0]), axis("mode").rank(kind[1]))
    ):
        own = [group for group in groups if (group.row.framework, group.row.mode) == (framework, own_mode)]
        for tuned in (False, True):
            cells = [group for group in own if (group.row.profile != AS_INSTALLED) is tuned]
            if cells:
                fastest = max(cells, key=lambda group: group.speed or 0)
                same = [group for group in cells if group.row.profile == fastest.row.profile]  # a line has one profile
                yield (_name(fastest.row), fastest.row.profile if tuned else INSTALLED), same


def _name(row: Row) -> str:
    return mode(row) if row.framework == Framework.MINDSPORE.value else f"{row.framework} {mode(row)}"


def _best(groups: Iterable[Group]) -> Group | None:
    """The measurement with the most processes; one without whole epochs first, since it was made for speed."""
    return max(groups, key=lambda group: (group.row.epochs is None, group.processes), default=None)


def _cell(group: Group | None, top: float) -> str:
    if group is None:
        return DASH
    row = group.row
    if group.speed is None:
        return row.status
    text = number(group.speed)
    if row.interval_low is not None and row.interval_high is not None:
        text += f" ±{(row.interval_high - row.interval_low) / 2 / group.speed:.0%}"
    return f"{text} *" if group.speed == top else text
