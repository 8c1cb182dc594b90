"""A case as a report for an issue tracker, in Markdown: versions, figures, kernels, machine, and a script."""

from __future__ import annotations

from collections.abc import Sequence

from lenet.cases.axes import BY_NAME, IDENTIFYING
from lenet.cases.axis import Axis, Kind
from lenet.machine.card import MachineCard
from lenet.report.content.facts import machine_facts
from lenet.report.layout import DASH, clean, number
from lenet.report.table.forms import github_table, markdown
from lenet.report.table.groups import Group, grouped
from lenet.report.table.rows import Row, repetitions, rows
from lenet.report.table.words import mode, settings, times
from lenet.store.record import Record

MOST_OTHERS = 12
"""Other cases of the run that are shown beside the one that is reported."""
UNRELATED = ("Python", "Packages", "Commit")
"""Facts of a machine that do not concern MindSpore, or stand among the versions."""
FENCE = "`" * 4
"""Around what may contain three of them."""


def issue(
    record: Record, records: Sequence[Record], card: MachineCard | None, kernels: Sequence[str], script: str
) -> str:
    """The report of a record.

    Args:
        record: what is reported.
        records: those of its run: the case's repetitions, and cases that differ from it in one thing.
        card: the machine's.
        kernels: lines of oneDNN's log; none if there is no log.
        script: the standalone script of the case.
    """
    table = rows(records, "run")
    found = list(zip(repetitions(table), grouped(table), strict=True))
    own = next(group for indices, group in found if record.case_id in {table[index].case_id for index in indices})
    parts = [
        f"# {_title(own)}",
        "LeNet on MNIST, trained as in MindSpore's beginner tutorial. The script below needs MindSpore and numpy only.",
        "## Versions",
        _grid(_versions(record), ["", ""]),
        "## Measured",
        _figures(own, [group for _, group in found]),
        "images/s: training images per second after the warm-up, data pipeline included; the median over processes, or "
        "over the windows of one.",
    ]
    if kernels:
        parts += ["## oneDNN", "`ONEDNN_VERBOSE=1`, one line of each kernel:", _block("text", "\n".join(kernels))]
    if card is not None:
        parts += ["## Machine", _grid([each for each in machine_facts(card) if each[0] not in UNRELATED], ["", ""])]
    parts += ["## Script", "`python case.py`, or `python case.py FOLDER` with MNIST:", _block("python", script)]
    return "\n\n".join(parts) + "\n"


def _title(own: Group) -> str:
    row = own.row
    version = f"MindSpore {row.framework_version or 'of unknown version'}"
    speed = f"{own.speed:,.0f} images/s" if own.speed else row.status
    known = ("framework", "mode", "device_target", "batch_size", "dataset")
    words = [f"{mode(row)} on {row.device_target}", f"batch {row.batch_size:,}", *settings(row, without=known)]
    return _text(f"{version}: LeNet, {', '.join(words)}: {speed}")


def _versions(record: Record) -> list[tuple[str, str]]:
    software = record.software
    if software is None:
        return [("Status", f"{record.status.value}: {record.reason}")]
    return [
        ("MindSpore", BY_NAME["version"].of_record(record)),
        ("Python", software.python_version),
        ("numpy", software.numpy_version),
        *software.details.items(),
        ("Settings", record.case.profile.text),
        *record.case.profile.environment.items(),
        *([("LD_PRELOAD", record.case.profile.preloaded)] if record.case.profile.preloaded else []),
    ]


def _figures(own: Group, groups: Sequence[Group]) -> str:
    """The case and those that differ from it in one axis, the fastest first."""
    others = [(group, axes[0]) for group in groups if len(axes := _differing(own.row, group.row)) == 1 and group.speed]
    others.sort(key=lambda each: -(each[0].speed or 0))
    lines = [("this case", *_speed(own), times(1) if own.speed else DASH)]
    for group, axis in others[:MOST_OTHERS]:
        ratio = times(group.speed / own.speed) if group.speed and own.speed else DASH
        lines.append((f"with {axis.words(getattr(group.row, axis.name))}", *_speed(group), ratio))
    return _grid(lines, ["", "images/s", "range", "processes", "over this case"])


def _differing(row: Row, other: Row) -> list[Axis]:
    axes = [axis for axis in IDENTIFYING if axis.kind is Kind.CASE or axis.name == "framework_version"]
    return [axis for axis in axes if row.identities[axis.name] != other.identities[axis.name]]


def _speed(group: Group) -> tuple[str, str, str]:
    row = group.row
    kind = "95% interval" if row.interval_low else "least and most" if group.of > 1 else "quartiles of its windows"
    spread = f"{number(row.images_per_second_low)} to {number(row.images_per_second_high)} ({kind})"
    return number(group.speed), spread if group.speed else row.status, str(group.of)


def _grid(lines: Sequence[Sequence[str]], titles: Sequence[str]) -> str:
    return github_table(titles, [map(_text, line) for line in lines])


def _block(language: str, text: str) -> str:
    """Lines as they are, in a block that no line of theirs can end."""
    lines = [line if line.isprintable() else clean(line) for line in text.splitlines()]
    return "\n".join([f"{FENCE}{language}", *(line for line in lines if not line.startswith(FENCE)), FENCE])


def _text(text: str) -> str:
    return markdown(clean(text))
