"""The tables of a report beside that of its cases: releases, published figures, the fastest of each machine, runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lenet.analysis.verdict import Mark
from lenet.analysis.versions import Step, steps
from lenet.cases.axes import IDENTIFYING, axis
from lenet.cases.case import Mode
from lenet.cases.values import version_order
from lenet.report.content.answers import published_results
from lenet.report.content.gather import Report
from lenet.report.content.headline import release, setting
from lenet.report.content.places import ranked, runs_of
from lenet.report.layout import DASH, number
from lenet.report.table.groups import Group
from lenet.report.table.rows import several
from lenet.report.table.words import mode
from lenet.report.text.reproduce import measured_value, published_value, published_words

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
    runs: Sequence[str] = ()
    """The runs that they are from."""


@dataclass(frozen=True)
class Section:
    """A table that answers a question, and what it shows."""

    id: str
    title: str
    words: str
    grid: Grid


def sections(report: Report) -> list[Section]:
    """Those that have a line, in every form of a report in this order."""
    found = [
        Section("history", "Version by version", HISTORY, history(report)),
        Section("published", "Published figures", PUBLISHED, published(report)),
        Section("leaderboard", "Leaderboard", "The fastest case of each machine and device.", leaderboard(report)),
    ]
    return [each for each in found if each.grid.lines]


def leaderboard(report: Report) -> Grid:
    """The fastest case of each machine, device and number of processes, the fastest first; no line if it is one."""
    best: dict[tuple[object, ...], Group] = {}
    for group in ranked(report.groups):
        best.setdefault((group.row.machine, group.row.device_target, group.row.world_size), group)
    found = list(best.values()) if len(best) > 1 else []
    lines = [
        [
            report.short_machine(row.machine),
            f"{row.device_target} × {row.world_size}" if row.world_size > 1 else row.device_target,
            ", ".join([mode(row), *setting(row)]),
            release(row),
            number(row.images_per_second),
            f"{(row.images_per_second or 0) / (found[0].speed or 1):.0%}",
        ]
        for row in (group.row for group in found)
    ]
    titles = ("machine", "device", "case", "version", "images/s", "of the fastest")
    return Grid(titles, lines, 2, runs_of(group.row for group in found))


def published(report: Report) -> Grid:
    """Published figures of which something was measured, beside it; those that can be compared first."""
    found = published_results(report)
    lines = [
        [
            result.publication,
            published_words(result.figure),
            result.verdict.value,
            published_value(result.figure),
            measured_value(result),
        ]
        for result in found
    ]
    runs = runs_of(row for row in report.rows if row.epochs is not None) if lines else []
    return Grid(("publication", "figure", "verdict", "published", "measured"), lines, 2, runs)


def history(report: Report) -> Grid:
    """Each case that several releases have, releases across, and the verdict on each change from one to the next."""
    if not several((row.framework_version for row in report.rows), "framework_version"):
        return Grid((), [], 0)  # comparing thousands of records of one release finds no step
    records = [entry.checked for entry in report.entries]
    cases: list[list[Step]] = []
    for step in steps(records):
        if step.before is None:
            cases.append([])
        cases[-1].append(step)
    cases = [each for each in cases if len(each) > 1]
    versions = sorted({step.version for each in cases for step in each}, key=version_order)
    shared = [each[0].comparison.case for each in cases]
    axes = [name for name in ORDERED if len({case[name] for case in shared}) > 1] or ["mode"]
    lines = []
    for case, each in zip(shared, cases, strict=True):
        cells = {step.version: number(step.comparison.b) + _sign(step) for step in each}
        names = [_named(report, name, case[name]) for name in axes]
        lines.append([*names, *(cells.get(version, DASH) for version in versions)])
    known = dict.fromkeys((row.framework_version, row.run) for row in report.rows)  # in order: the page is compared
    runs = Counter(run for version, run in known if version in versions)
    titles = (*(axis(name).column_title for name in axes), *versions)
    return Grid(titles, lines, len(versions), [run for run, count in runs.items() if count > 1] or list(runs))


ORDERED = [each.name for each in sorted(IDENTIFYING, key=lambda each: each.level) if each.name != "framework_version"]
SIGNS = {Mark.FASTER: "↑", Mark.SLOWER: "↓", Mark.SAME: "=", Mark.UNRESOLVED: "?", Mark.BROKE: "broke"}
HISTORY = (
    "Images/s of the same case under each release. Against the release before: ↑ faster, ↓ slower, = the same within "
    "1%, ? unresolved or one process only (`lenet-bench table RUN --by version` has sizes and intervals)."
)


def _named(report: Report, axis: str, value: str) -> str:
    """The value of an axis, as the other tables of a report have it."""
    if axis == "mode":
        return Mode(value).label
    return report.short_machine(value) if axis == "machine" else value or DASH


def _sign(step: Step) -> str:
    if step.before is None:
        return ""
    weak = step.comparison.unit == "windows"  # a single process a side says little about the next one
    return f" {SIGNS.get(Mark.UNRESOLVED if weak else step.comparison.mark, '')}".rstrip()


def runs(report: Report) -> Grid:
    """The runs with the number of their records, the oldest first."""
    records = Counter(row.run for row in report.rows)
    lines = [
        [
            name,
            f"{manifest.created_at:%Y-%m-%d %H:%M}",
            report.short_machine(manifest.machine.id),
            manifest.lenet_bench_version,
            manifest.matrix.description or manifest.matrix.span,
            f"{records[name]:,} of {len(manifest.cases):,}",
        ]
        for name, manifest in report.runs.items()
    ]
    return Grid(("run", "started", "machine", "lenet-bench", "matrix", "records"), lines, 1, list(report.runs))


def machines(report: Report) -> Grid:
    """The machines in a line each."""
    lines = [[report.short_machine(name), card.summary, name] for name, card in report.machines.items()]
    return Grid(("machine", "what it is", "id"), lines, 0)
