"""Many runs side by side: who leads on which machine and device, and what each version did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lenet.cases.values import version_order
from lenet.report.document.gather import Report
from lenet.report.document.headline import ranked
from lenet.report.table.groups import Group
from lenet.report.table.layout import DASH, number
from lenet.report.table.words import mode, times


@dataclass(frozen=True)
class Leader:
    """The fastest valid case of a machine and device."""

    group: Group
    machine: str
    """In words."""
    share: float
    """Its images/s over that of the first, 0 to 1."""
    accuracy: float | None
    """The best test accuracy after whole epochs there; None where none was trained."""


def leaderboard(report: Report) -> list[Leader]:
    """The fastest case of each machine, device and number of processes, the fastest first."""
    best: dict[tuple[object, ...], Group] = {}
    for group in ranked(report.groups):
        best.setdefault(_place(group), group)
    leaders = list(best.values())
    top = leaders[0].row.images_per_second if leaders else None
    return [
        Leader(
            group=group,
            machine=report.machine(group.row.machine),
            share=(group.row.images_per_second or 0) / (top or 1),
            accuracy=_accuracy(report.groups, group),
        )
        for group in leaders
    ]


def _place(group: Group) -> tuple[str, str, int]:
    """Machine, device and number of processes: within these, speeds compare."""
    return group.row.machine, group.row.device_target, group.row.world_size


def _accuracy(groups: Sequence[Group], leader: Group) -> float | None:
    found = [
        group.row.accuracy
        for group in groups
        if _place(group) == _place(leader)
        and group.processes
        and group.row.epochs is not None
        and group.row.accuracy is not None
    ]
    return max(found, default=None)


@dataclass(frozen=True)
class Version:
    """The fastest valid case of a mode under one version, on one machine and device."""

    machine: str
    group: Group
    over_previous: float | None
    """Its images/s over that of the version before, same batch size and profile or not; None for the first."""


def history(report: Report) -> list[Version]:
    """The best of each mode by framework version, where a place has several versions; versions in ascending order."""
    best: dict[tuple[object, ...], Group] = {}
    for group in ranked(report.groups):
        row = group.row
        if row.framework_version is not None:
            best.setdefault((*_place(group), row.framework, row.mode, row.framework_version), group)
    lines: dict[tuple[object, ...], list[Group]] = {}
    for key, group in best.items():
        lines.setdefault(key[:-1], []).append(group)
    found = []
    for groups in lines.values():
        if len(groups) < 2:
            continue
        previous = None
        for group in sorted(groups, key=lambda each: version_order(each.row.framework_version)):
            speed = group.row.images_per_second
            found.append(
                Version(report.machine(group.row.machine), group, speed / previous if previous and speed else None)
            )
            previous = speed
    return found


@dataclass(frozen=True)
class Grid:
    """Leaders or versions in words: what the page and the Markdown show of them."""

    titles: tuple[str, ...]
    lines: Sequence[Sequence[str]]
    figures: int
    """How many of the last columns are figures."""


def leader_grid(leaders: Sequence[Leader]) -> Grid:
    """A line a leader."""
    lines = []
    for each in leaders:
        row = each.group.row
        device = f"{row.device_target} × {row.world_size}" if row.world_size > 1 else row.device_target
        lines.append(
            [
                *(each.machine, device, f"{mode(row)}, batch {row.batch_size}, {row.profile}"),
                *(f"{row.framework} {row.framework_version or ''}", number(row.images_per_second)),
                *(f"{each.share:.0%}", number(each.accuracy, 4)),
            ]
        )
    return Grid(("machine", "device", "case", "version", "images/s", "of the first", "accuracy"), lines, 3)


def history_grid(versions: Sequence[Version]) -> Grid:
    """A line a mode and version."""
    lines = []
    for each in versions:
        row = each.group.row
        lines.append(
            [
                *(each.machine, row.device_target, mode(row), f"{row.framework} {row.framework_version}"),
                *(f"batch {row.batch_size}, {row.profile}", number(row.images_per_second)),
                times(each.over_previous) if each.over_previous else DASH,
            ]
        )
    titles = ("machine", "device", "mode", "version", "best at", "images/s", "over the one before")
    return Grid(titles, lines, 2)
