"""The columns of a table: each says where it is shown, and what a line says there. One list serves every form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lenet.case import Mode
from lenet.record import ACCURACY_TARGETS
from lenet.report.layout import DASH, number
from lenet.report.rows import Group, Row
from lenet.report.sureness import described, marked


@dataclass(frozen=True)
class Line:
    """What a line of a table is made of."""

    group: Group
    speed_up: float | None
    """Over the baseline; None where there is none."""
    note: int | None
    """Number of the note that says why the status is what it is."""

    @property
    def row(self) -> Row:
        """The merged row."""
        return self.group.row

    @property
    def invalid(self) -> bool:
        """Whether there is a speed that must not be quoted: no process behind it ended well."""
        return not self.group.processes and self.row.images_per_second is not None


@dataclass(frozen=True)
class Column:
    """One column. `text` gives the cell of a document, `brief` that of a terminal (None: the same)."""

    title: str
    text: Callable[[Line], str]
    right: bool = False
    axis: str | None = None
    """A field of `Row`: the column is left out where the whole table has one value of it."""
    always: bool = False
    """A document shows it even so."""
    short: str | None = None
    """Its title in a terminal; None leaves it out there."""
    brief: Callable[[Line], str] | None = None


def _axis(field: str, title: str, *, short: str | None = None, always: bool = False, right: bool = False) -> Column:
    def text(line: Line) -> str:
        value = getattr(line.row, field)
        return DASH if value is None else str(value)

    return Column(title, text, right=right, axis=field, always=always, short=short or title)


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


def _time_to_accuracy(line: Line) -> str:
    reached = [(target, line.row.seconds_to_accuracy.get(f"{target:.2f}")) for target in ACCURACY_TARGETS]
    return (
        ", ".join(f"{target:.2f}: {number(seconds, 1)}" for target, seconds in reached if seconds is not None) or DASH
    )


def _peak(line: Line) -> str:
    peak = line.row.peak_memory_bytes
    return DASH if peak is None else number(peak / 2**20)


def _speed_up(line: Line) -> str:
    return DASH if line.speed_up is None else f"{line.speed_up:,.2f}×"


def _status(line: Line) -> str:
    return line.row.status + (f" ({line.note})" if line.note is not None else "")


SPEED = Column("images/s", lambda line: number(line.row.images_per_second), right=True, short="images/s")
"""The one column whose cell is struck through where the speed must not be quoted."""

COLUMNS: tuple[Column, ...] = (
    _axis("run", "run"),
    _axis("machine", "machine"),
    _axis("framework", "framework"),
    _axis("framework_version", "version"),
    _axis("dataset", "dataset"),
    _axis("seed", "seed"),
    _axis("epochs", "epochs"),
    _axis("device_target", "device", always=True),
    Column("mode", lambda line: Mode(line.row.mode).label, short="mode", brief=lambda line: line.row.mode),
    Column("batch size", lambda line: str(line.row.batch_size), right=True, short="batch"),
    _axis("world_size", "processes", short="procs", right=True),
    _axis("scaling", "scaling"),
    _axis("pipeline", "pipeline"),
    _axis("profile", "profile", always=True),
    SPEED,
    Column("spread", _spread, right=True, short="spread"),
    Column("speed-up", _speed_up, right=True, short="speed-up"),
    Column(
        "efficiency",
        lambda line: DASH if line.group.efficiency is None else f"{line.group.efficiency:.0%}",
        right=True,
        axis="world_size",
        short="eff.",
    ),
    Column("resident images/s", lambda line: number(line.row.resident_images_per_second), right=True),
    Column("accuracy", _accuracy, right=True, short="accuracy", brief=_brief_accuracy),
    Column("seconds to accuracy", _time_to_accuracy, right=True),
    Column("final loss", lambda line: number(line.row.final_loss, 4), right=True),
    Column("compile s", lambda line: number(line.row.compile_seconds, 2), right=True),
    Column("peak MiB", _peak, right=True),
    Column("verdict", lambda line: described(line.group)),
    Column("status", _status, short="status", brief=lambda line: f"{_status(line)} {marked(line.group)}".rstrip()),
)


def several(groups: Sequence[Group], axis: str) -> bool:
    """Whether the table has more than one value of that field. A version that no worker told is none."""
    values = {getattr(group.row, axis) for group in groups}
    return len(values - {None} if axis == "framework_version" else values) > 1


def chosen(groups: Sequence[Group], *, terminal: bool) -> list[Column]:
    """The columns that a table of these groups has, in order."""
    return [
        column
        for column in COLUMNS
        if (column.short is not None or not terminal)
        and (column.axis is None or (column.always and not terminal) or several(groups, column.axis))
    ]
