"""The tables of a report beside that of its cases: the fastest of each machine and of each version, and the runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lenet.analysis.published import compare_published
from lenet.cases.claims import publications
from lenet.cases.values import version_order
from lenet.report.content.gather import Report
from lenet.report.content.headline import ranked, setting
from lenet.report.layout import DASH, number
from lenet.report.table.groups import Group
from lenet.report.table.words import mode, times
from lenet.report.text.published import measured_value, published_value, published_words

PUBLISHED = (
    "What others published of this training, beside the mean here and the interval of one more training. "
    "`lenet-bench reproduce NAME` gives the reason of each verdict."
)


@dataclass(frozen=True)
class Grid:
    """A table of a report, the same in every form."""

    titles: tuple[str, ...]
    lines: Sequence[Sequence[str]]
    figures: int
    """How many of the last columns are figures."""


def leaderboard(report: Report) -> Grid:
    """The fastest case of each machine, device and number of processes, the fastest first; no line if it is one."""
    best: dict[tuple[object, ...], Group] = {}
    for group in ranked(report.groups):
        best.setdefault(_place(group), group)
    top = max((group.speed or 0 for group in best.values()), default=0)
    lines = []
    for place, group in best.items() if len(best) > 1 else ():
        row = group.row
        lines.append(
            [
                report.machine(row.machine),
                f"{row.device_target} × {row.world_size}" if row.world_size > 1 else row.device_target,
                ", ".join([mode(row), *setting(row)]),
                f"{row.framework} {row.framework_version or ''}",
                number(group.speed),
                f"{(group.speed or 0) / top:.0%}",
                number(_accuracy(report.groups, place), 4),
            ]
        )
    return Grid(("machine", "device", "case", "version", "images/s", "of the first", "accuracy"), lines, 3)


def published(report: Report) -> Grid:
    """Published figures of which something was measured, beside it."""
    records = [entry.record for entry in report.entries]
    lines = [
        [
            result.publication,
            published_words(result.figure),
            result.verdict.value,
            published_value(result.figure),
            measured_value(result),
        ]
        for publication in publications()
        for result in compare_published(publication, records)
        if result.measured is not None
    ]
    return Grid(("publication", "figure", "verdict", "published", "measured"), lines, 2)


def _place(group: Group) -> tuple[object, ...]:
    """Machine, device and number of processes: within these, speeds compare."""
    return group.row.machine, group.row.device_target, group.row.world_size


def _accuracy(groups: Sequence[Group], place: tuple[object, ...]) -> float | None:
    """The best test accuracy after whole epochs in that place; None if none was trained."""
    found = [
        group.row.accuracy
        for group in groups
        if _place(group) == place and group.processes and group.row.epochs and group.row.accuracy is not None
    ]
    return max(found, default=None)


def history(report: Report) -> Grid:
    """The best of each mode by framework version, where a place has several versions; versions in ascending order."""
    best: dict[tuple[object, ...], dict[str, Group]] = {}
    for group in ranked(report.groups):
        row = group.row
        if row.framework_version is not None:
            by_version = best.setdefault((*_place(group), row.framework, row.mode), {})
            by_version.setdefault(row.framework_version, group)
    lines = []
    for by_version in best.values():
        previous = None
        for version in sorted(by_version, key=version_order) if len(by_version) > 1 else ():
            row, speed = by_version[version].row, by_version[version].speed
            lines.append(
                [
                    report.machine(row.machine),
                    row.device_target,
                    mode(row),
                    f"{row.framework} {version}",
                    ", ".join(setting(row)),
                    number(speed),
                    times(speed / previous) if previous and speed else DASH,
                ]
            )
            previous = speed
    titles = ("machine", "device", "mode", "version", "best at", "images/s", "over the one before")
    return Grid(titles, lines, 2)


def runs(report: Report) -> Grid:
    """The runs with the number of their records, the oldest first."""
    records = Counter(row.run for row in report.rows)
    lines = [
        [
            name,
            f"{manifest.created_at:%Y-%m-%d %H:%M}",
            manifest.machine.id,
            manifest.lenet_bench_version,
            manifest.matrix.description or manifest.matrix.span,
            f"{records[name]:,} of {len(manifest.cases):,}",
        ]
        for name, manifest in report.runs.items()
    ]
    return Grid(("run", "started", "machine", "lenet-bench", "matrix", "records"), lines, 1)
