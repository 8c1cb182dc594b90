"""Rows and comparisons as pandas data frames: the columns of their CSV, each with a dtype that its schema gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args, get_origin

from lenet.analysis.compare import Comparison
from lenet.cases.axes import AXES
from lenet.report.table.compare import flat
from lenet.report.table.rows import Row
from lenet.report.table.speed_ups import with_speed_ups

if TYPE_CHECKING:
    import pandas as pd
    from pydantic import BaseModel

DTYPES: Mapping[Any, str] = {str: "string", int: "Int64", float: "float64", bool: "boolean"}


def of_rows(table: Sequence[Row]) -> pd.DataFrame:
    """A line for each row, with the columns of `Row.flat`."""
    return _frame([row.flat() for row in with_speed_ups(table)], {**_axes(), **_fields(Row)})


def of_comparisons(found: Sequence[Comparison]) -> pd.DataFrame:
    """A line for each comparison, with the columns of its CSV."""
    return _frame([flat(each) for each in found], {**_axes(), **_fields(Comparison)})


def _axes() -> dict[str, str]:
    return {axis.name: DTYPES[int if axis.is_number else str] for axis in AXES}


def _fields(model: type[BaseModel]) -> dict[str, str]:
    """The dtypes of the fields that hold one value, and of the families of fields that a mapping becomes."""
    found = {}
    for name, field in model.model_fields.items():
        if field.exclude:
            continue
        kinds = [each for each in get_args(field.annotation) or (field.annotation,) if each is not type(None)]
        family = get_origin(field.annotation) is dict
        kind = _known(kinds[-1]) if family or len(kinds) == 1 else None
        if kind is not None:
            found[f"{name}_*" if family else name] = DTYPES[kind]
    return found


def _known(kind: Any) -> type | None:
    """The key of `DTYPES` for this type, or for a union with None; None for other types."""
    (kind, *others) = [each for each in get_args(kind) or (kind,) if each is not type(None)]
    if others or not isinstance(kind, type):
        return None
    return str if issubclass(kind, str) else kind if kind in DTYPES else None


def _frame(lines: Sequence[Mapping[str, Any]], dtypes: Mapping[str, str]) -> pd.DataFrame:
    import pandas as pd

    columns = list(dict.fromkeys(name for line in lines for name in line))
    return pd.DataFrame({name: _column([line.get(name) for line in lines], _dtype(name, dtypes)) for name in columns})


def _dtype(name: str, dtypes: Mapping[str, str]) -> str:
    """The dtype of a column. A's and B's values on an axis are text: they may be several."""
    families = (each for each in dtypes if each.endswith("*") and name.startswith(each[:-1]))
    return dtypes.get(name) or dtypes.get(next(families, ""), DTYPES[str])


def _column(values: Sequence[Any], dtype: str) -> pd.Series[Any]:
    """The values; a comparison writes the numbers of axes as text, and an absent value as an empty one."""
    import pandas as pd

    if dtype == DTYPES[int]:
        values = [None if each in (None, "") else int(each) for each in values]
    return pd.Series(values, dtype=dtype)
