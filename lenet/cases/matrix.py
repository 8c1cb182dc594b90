"""The matrix: the set of cases that a preset, a TOML file or the command line spans."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, ValidationInfo, create_model, field_validator, model_validator

from lenet.cases.axes import AXES
from lenet.cases.axis import ROUNDS, Axis
from lenet.cases.base import Frozen
from lenet.cases.case import TUNED, Case, Plan, Scaling
from lenet.cases.frameworks import ABILITIES
from lenet.cases.naming import from_table, read_profile

MAX_CASES = 100_000
"""Refuse a matrix with more: it is a typing error, or an attempt to fill the memory. Cases are made all at once."""

MUST_RUN = ("framework", "world_size")
"""Axes of which each value must have a case. Others may have values that only some of the frameworks know."""


def _spanned() -> list[Axis]:
    """The axes that a matrix spans, outermost first: the rounds, then as tables are sorted."""
    axes = sorted((axis for axis in AXES if axis.field), key=lambda axis: axis.level)
    return [*(axis for axis in reversed(axes) if axis.level >= ROUNDS), *(axis for axis in axes if axis.level < ROUNDS)]


SPANNED = _spanned()

if TYPE_CHECKING:

    class _MatrixAxes(Frozen):
        """One field for each axis of `SPANNED` with several values."""

        def __getattr__(self, name: str) -> tuple[Any, ...]: ...

else:

    def _field(axis: Axis) -> tuple[Any, tuple[Any, ...]]:
        """Type and default of the axis's field: values of the type, with the bounds and by default that of a case."""
        *parents, name = axis.path.split(".")
        owner = attrgetter(".".join(parents))(Case()) if parents else Case()
        info = type(owner).model_fields[name]
        spans = (info.default,) if axis.spans is None else axis.spans
        value = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
        return Annotated[tuple[value, ...], Field(min_length=1 if spans else 0)], spans

    _MatrixAxes = create_model(
        "_MatrixAxes", __base__=Frozen, **{axis.field: _field(axis) for axis in AXES if axis.field and axis.several}
    )


class Matrix(_MatrixAxes):
    """The set of cases that a preset, a TOML file or the command line spans.

    Each axis of the axis table that can have several values has a field here, as `modes` or `batch_sizes`.
    """

    name: str = Field(default="matrix", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    """Name of the run in its progress and in its default folder; the file's own name if it has none."""
    description: str = ""
    """A sentence that is printed when the run begins."""
    repeat: int = Field(default=1, ge=1, le=1000)
    """Processes per case, one in each round over all cases."""
    learning_rate: float = 1e-2
    """Learning rate of every case."""
    momentum: float = 0.9
    """Momentum of every case."""
    plan: Plan = Plan()
    """How much of each training is run and measured: the table `[plan]`."""

    @classmethod
    def around(cls, cases: Sequence[Case], name: str = "cases", description: str = "") -> Matrix:
        """The smallest matrix whose product holds these cases, at least one: a run's manifest describes its cases so.

        What is not an axis (learning rate, momentum, plan) is that of the first case.
        """
        values: dict[str, Any] = {
            axis.field: tuple(dict.fromkeys(value for value in map(axis.of_case, cases) if value is not None))
            for axis in SPANNED
            if axis.several
        }
        first = cases[0]
        return cls(
            name=name,
            description=description,
            learning_rate=first.hyperparameters.learning_rate,
            momentum=first.hyperparameters.momentum,
            plan=first.plan,
            **values,
        )

    @field_validator("profiles", mode="before", check_fields=False)
    @classmethod
    def _profiles_by_name(cls, profiles: Any) -> Any:
        if isinstance(profiles, dict):
            return from_table(profiles)
        if not isinstance(profiles, (list, tuple)):
            return profiles
        return tuple(read_profile(item) if isinstance(item, str) else item for item in profiles)

    @field_validator(*(axis.field for axis in SPANNED if axis.several), check_fields=False)
    @classmethod
    def _each_value_once(cls, values: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
        axis = next(axis for axis in SPANNED if axis.field == info.field_name)
        # Two names of a mode may be those of two frameworks: `_points` has each case once.
        names = [axis.as_plain(value) if axis.value is not None else axis.identity(value) for value in values]
        # Two profiles may mean different settings by one name; the saved ones are all called tuned.
        names += [name for name in map(axis.as_plain, values) if name not in (*names, TUNED)]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name} is listed twice")
        return values

    @model_validator(mode="after")
    def _every_case_is_valid(self) -> Matrix:
        if (count := math.prod(len(self._values(axis)) for axis in SPANNED)) > MAX_CASES:
            raise ValueError(f"the matrix spans {count:,} cases, and one run has at most {MAX_CASES:,}")
        points = [(point, Case.refusal(point)) for point in self._points()]
        for name in MUST_RUN:
            # The first reason: a preset's later modes may be those of another framework, which is nobody's mistake.
            refused = {point[name]: why for point, why in reversed(points) if why is not None}
            possible = {point[name] for point, why in points if why is None}
            for value in refused.keys() - possible:
                raise ValueError(refused[value])
        self.cases()
        return self

    @property
    def span(self) -> str:
        """The axes in words, for the head of a run: the values that its cases have."""
        words = []
        points = [point for point in self._points() if Case.refusal(point) is None]
        for axis in AXES:
            if axis.field and axis.several:
                values = tuple(dict.fromkeys(point[axis.name] for point in points))
                if axis.always or values != (axis.of_case(Case()),):
                    words.append(axis.words(*(axis.as_plain(value) for value in values)))
        if self.repeat > 1:
            words.append(f"{self.repeat} processes per case")
        if self.plan.epochs is not None:
            words.append(f"{self.plan.epochs} whole epoch{'s' if self.plan.epochs > 1 else ''}")
        return " × ".join(words)

    def _values(self, axis: Axis) -> Sequence[Any]:
        """The values of the axis, in order."""
        held = attrgetter(axis.field)(self)
        if axis.field == "repeat":
            return range(held)
        # No release stands for the installed one.
        return (held if axis.several else (held,)) or (None,)

    def _points(self) -> Iterator[Mapping[str, Any]]:
        """Every combination once, values by the axis's name.

        One process is one case, whatever the scaling. A mode has the framework's own name.
        """
        seen = set()
        for values in product(*map(self._values, SPANNED)):
            point = dict(zip((axis.name for axis in SPANNED), values, strict=True))
            point["mode"] = ABILITIES[point["framework"]].own_mode(point["mode"])
            if point["world_size"] == 1:
                point["scaling"] = Scaling.STRONG
            if (key := tuple(point.values())) not in seen:
                seen.add(key)
                yield point

    def cases(self) -> list[Case]:
        """Every case, in rounds: all cases of one repetition before the next.

        A combination that its framework does not support is omitted.
        """
        return [self._case(point) for point in self._points() if Case.refusal(point) is None]

    def _case(self, point: Mapping[str, Any]) -> Case:
        data: dict[str, Any] = {
            "hyperparameters": {"learning_rate": self.learning_rate, "momentum": self.momentum},
            "plan": dict(self.plan),
        }
        for axis in SPANNED:
            set_at(data, axis.path, point[axis.name])
        return Case(**data)


def set_at(data: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at the keys that the dots of `path` separate."""
    *parents, name = path.split(".")
    for parent in parents:
        data = data[parent]
    data[name] = value
