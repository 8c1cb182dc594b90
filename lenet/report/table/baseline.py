"""The row that another is compared with."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from lenet.errors import UsageError
from lenet.report.table.groups import Group
from lenet.report.table.rows import AXES, Row

DEFAULT = "mode=pynative"


def parse(selector: str) -> dict[str, str]:
    """`mode=graph,batch_size=32` as a mapping.

    Raises:
        UsageError: not of that form, or an unknown field.
    """
    wanted = {}
    for part in selector.split(","):
        name, separator, value = part.partition("=")
        if not separator or name.strip() not in AXES:
            raise UsageError(f"--baseline {selector!r}: write FIELD=VALUE,… with fields of {', '.join(AXES)}")
        wanted[name.strip()] = value.strip()
    return wanted


def speed_ups(groups: Sequence[Group], selector: str | None) -> list[float | None]:
    """Each group's images/s over that of the group which has the selector's values and agrees on all other axes.

    None where there is no such group or one of the two has no valid figure.

    Raises:
        UsageError: no group at all has the selector's values.
    """
    wanted = parse(selector or DEFAULT)
    others = [axis for axis in AXES if axis not in wanted]

    def key(group: Group) -> tuple[str, ...]:
        return tuple(str(getattr(group.row, axis)) for axis in others)

    found = {
        key(group): group.speed
        for group in groups
        if all(str(getattr(group.row, name)) == value for name, value in wanted.items())
    }
    if not found and selector is not None:
        held = {name: sorted({str(getattr(group.row, name)) for group in groups}) for name in wanted}
        choices = "; ".join(f"{name}: {', '.join(itertools.islice(values, 12))}" for name, values in held.items())
        raise UsageError(f"--baseline {selector!r}: no row has it; the table has {choices}")
    ratios = []
    for group in groups:
        base, own = found.get(key(group)), group.speed
        ratios.append(own / base if base and own else None)
    return ratios


def record_speed_ups(rows: Sequence[Row], groups: Sequence[Group], selector: str | None) -> list[float | None]:
    """Each record's images/s over its baseline's, which is that of the group it belongs to.

    None where the group has no baseline or the record is not sound.

    Raises:
        UsageError: no group at all has the selector's values.
    """
    base = {}
    for group, ratio in zip(groups, speed_ups(groups, selector), strict=True):
        own = group.row.images_per_second
        base[_case(group.row)] = own / ratio if own and ratio else None
    ratios = []
    for row in rows:
        of, own = base.get(_case(row)), row.images_per_second
        ratios.append(own / of if of and own and row.sound else None)
    return ratios


def _case(row: Row) -> tuple[object, ...]:
    """What the repetitions of a case agree on; a version is unknown where the worker never started."""
    return tuple(getattr(row, axis) for axis in AXES if axis != "framework_version")
