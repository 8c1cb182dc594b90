"""The baseline: the row that speed-ups are relative to."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from lenet.cases.axes import BY_NAME, IDENTIFYING, axis
from lenet.errors import UsageError
from lenet.report.table.groups import Group
from lenet.report.table.rows import Row, key, repetitions

DEFAULT = "mode=pynative"


def parse(selector: str) -> dict[str, str]:
    """`mode=graph,batch_size=32` as a mapping from the fields of a row.

    Raises:
        UsageError: not of that form, or an unknown field.
    """
    known = {name: axis.name for name, axis in BY_NAME.items() if axis in IDENTIFYING} | {"run": "run"}
    wanted = {}
    for part in selector.split(","):
        name, separator, value = part.partition("=")
        if not separator or name.strip() not in known:
            fields = ", ".join(dict.fromkeys(known.values()))
            raise UsageError(f"--baseline {selector!r}: write FIELD=VALUE,… with fields of {fields}")
        wanted[known[name.strip()]] = value.strip()
    return wanted


def _has(row: Row, name: str, value: str) -> bool:
    plain = getattr(row, name)
    return plain == value if name == "run" else axis(name).is_named(value, plain, row.identities[name])


def _held(row: Row, name: str) -> str:
    return row.run if name == "run" else axis(name).as_text(getattr(row, name))


def speed_ups(groups: Sequence[Group], selector: str | None) -> list[float | None]:
    """Each group's images/s over those of the group that has the selector's values and agrees on all other axes.

    None if there is no such group, or if one of the two has no valid figure.

    Raises:
        UsageError: no group at all has the selector's values.
    """
    wanted = parse(selector or DEFAULT)
    found = {
        key(group.row, without=wanted): group.speed
        for group in groups
        if all(_has(group.row, name, value) for name, value in wanted.items())
    }
    if not found and selector is not None:
        held = {name: sorted({_held(group.row, name) for group in groups}) for name in wanted}
        choices = "; ".join(f"{name}: {', '.join(itertools.islice(values, 12))}" for name, values in held.items())
        raise UsageError(f"--baseline {selector!r}: no row has it; the table has {choices}")
    bases = (found.get(key(group.row, without=wanted)) for group in groups)
    return [group.speed / base if base and group.speed else None for base, group in zip(bases, groups, strict=True)]


def record_speed_ups(rows: Sequence[Row], groups: Sequence[Group], selector: str | None) -> list[float | None]:
    """Each record's images/s over its baseline's, which is that of its group; `groups` are those of `rows`.

    None if the group has no baseline or the record has no valid figure.

    Raises:
        UsageError: no group at all has the selector's values.
    """
    ratios: list[float | None] = [None] * len(rows)
    for indices, group, ratio in zip(repetitions(rows), groups, speed_ups(groups, selector), strict=True):
        for index in indices:
            own, speed = group.row.images_per_second, rows[index].images_per_second
            if own and ratio and speed and rows[index].sound:
                ratios[index] = speed * ratio / own
    return ratios
