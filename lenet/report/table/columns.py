"""The columns of every view. `TABLE` is what tables show of a case, `PAGE` what the report's page shows of a record.

CSV and JSON have all fields of a row, under the names that the columns have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from lenet.analysis.verdict import Mark
from lenet.cases.axes import AXES, IDENTIFYING
from lenet.cases.axis import Axis, Kind
from lenet.cases.values import Mode
from lenet.report.layout import DASH, number
from lenet.report.table.column import CellKind, Column, Figure, Line
from lenet.report.table.groups import Group
from lenet.report.table.rows import identity, several, target_field
from lenet.report.table.sureness import described, marked
from lenet.store.record import ACCURACY_TARGETS

WHOLE, SECONDS, RATIO, SHARE, MIB = Figure(), Figure(2), Figure(2, suffix="×"), Figure(4), Figure(divisor=2**20)


def _of_axis(axis: Axis) -> Column:
    """The column of an axis, omitted if all rows agree. A number names a case: it is written without separators."""
    return Column(
        axis.name,
        axis.column_title,
        kind="figure" if axis.is_number else "text",
        short=axis.column_title,
        axis=axis.name,
        filter=axis.kind is not Kind.REPETITION,
    )


def _figure(name: str, title: str, figure: Figure, kind: CellKind = "figure", **fields: Any) -> Column:
    return Column(name, title, kind, figure, right=True, **fields)


def _spread(line: Line) -> str:
    row = line.row
    if row.images_per_second_low is None or row.images_per_second_high is None or row.windows < 2:
        return DASH
    return f"{number(row.images_per_second_low)}–{number(row.images_per_second_high)}"


def _accuracy(line: Line) -> str:
    """A partial training's accuracy must never read as a trained one's."""
    row = line.row
    if row.accuracy is None:
        return DASH
    if row.epochs is None:
        return f"({row.accuracy:.3f} after {row.trained_images:,} images)"
    return f"{row.accuracy:.4f}"


def _brief_accuracy(line: Line) -> str:
    accuracy = line.row.accuracy
    return DASH if accuracy is None else f"{accuracy:.4f}" if line.row.epochs else f"({accuracy:.2f})"


def _times_to_accuracy(line: Line) -> str:
    reached = [(target, line.row.seconds_to_accuracy.get(f"{target:.2f}")) for target in ACCURACY_TARGETS]
    return (
        ", ".join(f"{target:.2f}: {number(seconds, 1)}" for target, seconds in reached if seconds is not None) or DASH
    )


def _efficiency(line: Line) -> str:
    return DASH if line.group.efficiency is None else f"{line.group.efficiency:.0%}"


def _speed_up(line: Line) -> str:
    found = line.speed_up
    text = RATIO.text(found.value if found else None)
    if found is None or found.interval is None:
        return text
    verdict = f" {found.mark.value}" if found.mark in (Mark.SAME, Mark.UNRESOLVED) else ""
    return f"{text} ({RATIO.text(found.interval.low)}–{RATIO.text(found.interval.high)}){verdict}"


def _brief_speed_up(line: Line) -> str:
    """With its interval as ±: a terminal has no room for both ends."""
    found = line.speed_up
    text = RATIO.text(found.value if found else None)
    if found is None or found.reach is None:
        return text
    return f"{text} ±{found.reach:.{0 if found.reach >= 0.0095 else 1}%}" if found.reach < 1 else f"{text} ±>99%"


def _status(line: Line) -> str:
    return line.row.status + (f" ({line.note})" if line.note is not None else "")


RUN = Column("run", "run", axis="run", short="run", filter=True)
AXIS_COLUMNS = {each.name: _of_axis(each) for each in AXES}
PROFILE = replace(AXIS_COLUMNS["profile"], always=("document",))
AXIS_COLUMNS |= {
    "device_target": replace(AXIS_COLUMNS["device_target"], always=("document", "page")),
    "mode": replace(
        AXIS_COLUMNS["mode"],
        write=lambda line: Mode(line.row.mode).label,
        brief=lambda line: line.row.mode,
        always=("document", "page"),
    ),
    "batch_size": replace(
        AXIS_COLUMNS["batch_size"], title="batch size", heading="batch", right=True, always=("document", "page")
    ),
    "world_size": replace(AXIS_COLUMNS["world_size"], short="procs", right=True),
    "profile": PROFILE,
}
"""By the axis's name. Some are always shown, or differ from the title and the value of the axis."""
SERIES = Column("series", "mode", short="mode", filter=True)
"""Replaces the mode on the page: framework and mode, as charts colour them."""
SPEED = _figure("images_per_second", "images/s", WHOLE, kind="speed", short="images/s")
"""The one column whose cell is struck through where the speed must not be quoted."""
SPREAD = Column("spread", "spread", "spread", write=_spread, right=True, short="spread")
SPEED_UP = _figure("speed_up", "speed-up", RATIO, write=_speed_up, brief=_brief_speed_up, short="speed-up")
SPEED_UP_RANGE = (
    _figure("speed_up_low", "speed-up, 95% from", RATIO),
    _figure("speed_up_high", "to", RATIO),
    Column("speed_up_verdict", "speed-up verdict"),
    Column("speed_up_unit", "speed-up by"),
)
EFFICIENCY = Column("efficiency", "efficiency", write=_efficiency, right=True, short="eff.", axis="world_size")
RESIDENT = _figure("resident_images_per_second", "resident images/s", WHOLE, kind="speed", heading="resident")
ACCURACY = Column(
    "accuracy", "accuracy", "accuracy", write=_accuracy, brief=_brief_accuracy, right=True, short="accuracy"
)
TIMES_TO_ACCURACY = Column("seconds_to_accuracy", "seconds to accuracy", write=_times_to_accuracy, right=True)
TIME_TO_ACCURACY = tuple(_figure(target_field(target), f"s to {target:.0%}", SECONDS) for target in ACCURACY_TARGETS)
FINAL_LOSS = _figure("final_loss", "final loss", SHARE)
COMPILING = _figure("compile_seconds", "compile s", SECONDS)
PEAK = _figure("peak_memory_bytes", "peak MiB", MIB)
VERDICT = Column("verdict", "verdict", write=lambda line: described(line.group), filter=True)
CONVERGENCE = Column("convergence", "convergence")
TRAINING = Column("training", "training", optional=True)
SAMPLES = Column("samples", "samples")
STATUS = Column(
    "status", "status", "status", write=_status, brief=lambda line: f"{_status(line)} {marked(line.group)}".rstrip(),
    short="status",
)  # fmt: skip
FINAL_STATUS = Column("final_status", "status", "status", short="status", filter=True)
"""`Row.final_status`: a training that failed the convergence check is not ok."""
CASE = Column("case_id", "record", "link")

TABLE: tuple[Column, ...] = (
    RUN, AXIS_COLUMNS["machine"], *(AXIS_COLUMNS[each.name] for each in IDENTIFYING if each.name != "machine"),
    SPEED, SPREAD, SPEED_UP, EFFICIENCY, RESIDENT, ACCURACY, TIMES_TO_ACCURACY, FINAL_LOSS, COMPILING, PEAK,
    VERDICT, TRAINING, STATUS,
)  # fmt: skip
PAGE: tuple[Column, ...] = (
    *(SERIES if each.name == "mode" else AXIS_COLUMNS[each.name] for each in AXES),
    RUN, SPEED, SPREAD, SPEED_UP, *SPEED_UP_RANGE, RESIDENT, ACCURACY, *TIME_TO_ACCURACY, FINAL_LOSS, COMPILING,
    PEAK, VERDICT, CONVERGENCE, TRAINING, SAMPLES, FINAL_STATUS, CASE,
)  # fmt: skip


def for_table(groups: Sequence[Group], view: Literal["document", "terminal"]) -> list[Column]:
    """The columns of a table of these groups, in order. In a terminal, the caption has what all groups share."""
    there = [
        column
        for column in TABLE
        if (column.short is not None or view != "terminal")
        and not (column.optional and all(getattr(group.row, column.name) is None for group in groups))
    ]
    apart = [column for column in there if column.axis is not None and differs(column.axis, groups)]
    named = apart or [AXIS_COLUMNS["mode"], AXIS_COLUMNS["batch_size"]]
    return [column for column in there if column.axis is None or view in column.always or column in named]


def differs(axis: str, groups: Sequence[Group]) -> bool:
    """Whether the groups differ in the axis; in the version only if one framework has several.

    The captions name the version of each framework anyway.
    """
    sets: dict[str, list[str | None]] = {}
    for group in groups:
        framework = group.row.framework if axis == "framework_version" else ""
        sets.setdefault(framework, []).append(identity(group.row, axis) or None)
    return any(several(values, axis) for values in sets.values())


def for_page(points: Sequence[Mapping[str, Any]], against: str) -> list[Column]:
    """The columns of the page for these flat rows: those that have a value. `against` names the baseline."""

    def has_value(column: Column) -> bool:
        if column.axis is not None:
            return "page" in column.always or several((row[column.axis] for row in points), column.axis)
        return column is SPREAD or any(row.get(column.name) not in (None, "") for row in points)

    return [
        replace(column, heading=f"over {against}") if column is SPEED_UP else column
        for column in PAGE
        if has_value(column)
    ]
