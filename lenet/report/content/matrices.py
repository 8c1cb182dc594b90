"""Throughput at a glance: for each machine and device a small table, modes down and batch sizes across."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from lenet.cases.axes import axis
from lenet.cases.case import Mode
from lenet.cases.frameworks import Framework
from lenet.cases.values import version_order
from lenet.report.content.gather import Report
from lenet.report.content.grids import Grid
from lenet.report.content.headline import AS_INSTALLED
from lenet.report.layout import DASH, number
from lenet.report.table.groups import Group
from lenet.report.table.rows import Row
from lenet.report.table.words import mode

CAPTION = (
    "Training images per second, data pipeline included: the median over processes, with half the width of its 95% "
    "interval where there are three processes or more. * marks the fastest. A word stands for a training that failed."
)
MOST_MATRICES = 6


@dataclass(frozen=True)
class SpeedMatrix:
    """The throughput of one machine, device and pipeline, newest release of each framework."""

    title: str
    grid: Grid


def matrices(report: Report) -> list[SpeedMatrix]:
    """The tables, the place with the most records first; at most `MOST_MATRICES`."""
    places: dict[tuple[object, ...], list[Group]] = {}
    for group in report.groups:
        if group.row.world_size == 1:
            places.setdefault(_place(group.row), []).append(group)
    listed = sorted(places.values(), key=lambda groups: -sum(group.of for group in groups))
    several = len({place[:2] for place in places}) > 1
    return [_matrix(report, groups, several) for groups in listed[:MOST_MATRICES]]


def _place(row: Row) -> tuple[object, ...]:
    """What a table has in its title: within it speeds compare."""
    return row.machine, row.device_target, row.dataset_sha256, row.pipeline


def _matrix(report: Report, groups: Sequence[Group], several: bool) -> SpeedMatrix:
    newest: dict[str, str | None] = {}
    for row in (group.row for group in groups):
        newest[row.framework] = max(newest.get(row.framework), row.framework_version, key=version_order)
    current = [group for group in groups if group.row.framework_version == newest[group.row.framework]]
    sizes = sorted({group.row.batch_size for group in current})
    speeds = [group.speed for group in current if group.speed is not None]
    lines = []
    for name, cells in _series(current):
        chosen = [_best(group for group in cells if group.row.batch_size == size) for size in sizes]
        lines.append([*name, *(_cell(group, max(speeds, default=0)) for group in chosen)])
    row = current[0].row
    words = [report.machine(row.machine)] if several else []
    words += [row.device_target, *(f"{name} {version or ''}".strip() for name, version in newest.items())]
    words += [row.dataset, axis("pipeline").words(row.pipeline)]
    titles = ("mode", "profile", *(f"batch {size:,}" for size in sizes))
    return SpeedMatrix(" · ".join(words), Grid(titles, lines, len(sizes)))


def _series(groups: Sequence[Group]) -> Iterable[tuple[tuple[str, str], list[Group]]]:
    """The lines with their names: each framework and mode as installed, then with the best of its other profiles."""
    kinds = {(group.row.framework, group.row.mode): group.row for group in groups}
    for framework, own_mode in sorted(kinds, key=lambda kind: (_rank(Framework, kind[0]), _rank(Mode, kind[1]))):
        own = [group for group in groups if (group.row.framework, group.row.mode) == (framework, own_mode)]
        name = mode(kinds[framework, own_mode])
        label = name if framework == Framework.MINDSPORE.value else f"{framework} {name}"
        for tuned in (False, True):
            cells = [group for group in own if (group.row.profile != AS_INSTALLED) is tuned]
            if cells:
                fastest = max(cells, key=lambda group: group.speed or 0)
                yield (label, fastest.row.profile if tuned else "as installed"), _with_profile(cells, fastest)


def _rank(values: type[Enum], value: str) -> int:
    return [each.value for each in values].index(value)


def _with_profile(cells: Sequence[Group], fastest: Group) -> list[Group]:
    """The cells of the fastest's profile: a line has one profile."""
    return [group for group in cells if group.row.profile == fastest.row.profile]


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
