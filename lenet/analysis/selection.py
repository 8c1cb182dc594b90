"""Which records of two runs are compared, and in which axes the two may differ."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from lenet.cases.axes import BY_NAME, IDENTIFYING
from lenet.cases.axis import Axis, Kind
from lenet.errors import UsageError
from lenet.store.record import Record

COMPARED = tuple(axis.name for axis in IDENTIFYING if axis.kind is Kind.PLACE)
"""Axes in which A and B may always differ: the same matrix, run with another release or on another machine."""

Key = tuple[str, ...]
"""The identities of a record on several axes."""


def key(record: Record, over: Collection[str]) -> Key:
    """What the processes of one case agree on: the identity of the record on each axis but `over`."""
    return tuple(axis.record_identity(record) for axis in IDENTIFYING if axis.name not in over)


@dataclass(frozen=True)
class Over:
    """The value of `--over`: an axis, and its values in A and in B if they are given."""

    axis: Axis
    values: tuple[str, str] | None


@dataclass(frozen=True)
class Selection:
    """The records that are compared."""

    a: list[Record]
    b: list[Record]
    over: list[str]
    """Names of the axes in which a case of A and its counterpart in B may differ."""


def parse_over(text: str) -> Over:
    """`mode` or `mode=graph,jit` as an axis and its values in A and B.

    Raises:
        UsageError: not of that form, or an unknown axis.
    """
    name, separator, values = text.partition("=")
    parts = [part.strip() for part in values.split(",")]
    named = BY_NAME.get(name.strip())
    if named not in IDENTIFYING or (separator and len(parts) != 2):
        raise UsageError(
            f"--over {text!r}: write AXIS or AXIS=VALUE-IN-A,VALUE-IN-B with an axis of "
            f"{', '.join(axis.name for axis in IDENTIFYING)}"
        )
    return Over(named, (parts[0], parts[1]) if separator else None)


def select(a: Sequence[Record], b: Sequence[Record], over: Over | None = None) -> Selection:
    """The records of each side that `over` names, and the axes in which the sides may differ.

    These axes are that of `over` and `COMPARED`. If one case of a side has several versions or machines, that axis
    identifies cases instead: otherwise they would be merged.

    Raises:
        UsageError: no record of a side has the value that `over` names, or `over` names no value and a side has
            several.
    """
    sides = [list(a), list(b)]
    if over is not None and over.values is not None:
        sides = [_with_value(side, over.axis, value) for side, value in zip(sides, over.values, strict=True)]
    names = list(COMPARED) if over is None else [*COMPARED, *({over.axis.name} - set(COMPARED))]
    several = [
        axis for axis in IDENTIFYING if axis.name in names and any(_has_several(side, axis, names) for side in sides)
    ]
    if over is not None and over.axis in several:
        raise UsageError(
            f"--over {over.axis.name}: one side has several values of it; write "
            f"--over {over.axis.name}=VALUE-IN-A,VALUE-IN-B"
        )
    return Selection(sides[0], sides[1], [name for name in names if name not in {axis.name for axis in several}])


def _has_several(records: Sequence[Record], axis: Axis, over: Sequence[str]) -> bool:
    """Whether records of one case, with `over` ignored, have several known values of `axis`."""
    known: dict[Key, str] = {}
    for record in records:
        value = axis.record_identity(record)
        if value and known.setdefault(key(record, over), value) != value:
            return True
    return False


def _with_value(records: Sequence[Record], axis: Axis, value: str) -> list[Record]:
    plains = [(record, axis.as_plain(axis.of_record(record))) for record in records]
    chosen = [record for record, plain in plains if axis.is_named(value, plain, axis.record_identity(record))]
    if not chosen:
        held = ", ".join(sorted({axis.as_text(plain) for _, plain in plains})) or "none"
        raise UsageError(f"--over: no record has {axis.name}={value}; there are {held}")
    return chosen
