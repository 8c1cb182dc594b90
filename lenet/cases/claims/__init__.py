"""What others published about this workload: one TOML file each, with its source and its conditions.

`lenet-bench reproduce NAME` trains what the file's `[matrix]` says and compares (`lenet.analysis.published`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator
from typing_extensions import Self

from lenet.cases.base import Frozen
from lenet.cases.matrix import Matrix
from lenet.cases.presets import parse_toml, read_toml
from lenet.cases.values import DeviceTarget
from lenet.errors import UsageError, problems


class Quantity(str, Enum):
    """What a published figure measures."""

    ACCURACY = "test accuracy"
    SECONDS_PER_EPOCH = "seconds per epoch"
    SECONDS_WITH_EVALUATION = "seconds per epoch with evaluation"
    MILLISECONDS_PER_STEP = "milliseconds per step"
    IMAGES_PER_SECOND = "images per second"

    @property
    def of_whole_epochs(self) -> bool:
        """Whether it is the time of an epoch or its share; the first epoch, which compiles, does not count."""
        return self not in (Quantity.ACCURACY, Quantity.IMAGES_PER_SECOND)


class PublishedFigure(Frozen):
    """A published figure: a value, or the range of several."""

    quantity: Quantity
    low: float = Field(gt=0, allow_inf_nan=False)
    high: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """The upper end of a range; omitted, the figure is `low`."""
    epoch: int | None = Field(default=None, ge=1, le=10_000)
    """The epoch after which an accuracy was measured."""
    note: str = Field(default="", max_length=200)

    @model_validator(mode="before")
    @classmethod
    def _one_value(cls, data: Any) -> Any:
        return {"high": data["low"], **data} if isinstance(data, Mapping) and "low" in data else data

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.high < self.low:
            raise ValueError(f"high {self.high:g} is below low {self.low:g}")
        if self.quantity is Quantity.ACCURACY and (self.epoch is None or self.high > 1):
            raise ValueError("a test accuracy is a share up to 1, with the epoch after which it was measured")
        if self.quantity is not Quantity.ACCURACY and self.epoch is not None:
            raise ValueError("only a test accuracy has an epoch")
        return self


class Publication(Frozen):
    """A source, what it states of the conditions, and its figures."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    title: str = Field(min_length=1, max_length=200)
    source: str = Field(min_length=1, max_length=400)
    framework_version: str = Field(default="", max_length=40)
    device: DeviceTarget | None = None
    same_training: bool = False
    """Whether the source gives network, initial weights, data and optimiser as this program has them: accuracies are
    then comparable."""
    machine: str = Field(default="", max_length=200)
    """The machine in the source's words; empty: not stated."""
    machine_id: str = Field(default="", max_length=64)
    """This program's identity of that machine, where the source gives it: its speed is then comparable."""
    not_stated: tuple[str, ...] = ()
    """Conditions that the source leaves out."""
    matrix: Matrix
    """What is trained to compare: whole epochs."""
    figures: tuple[PublishedFigure, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _trains_long_enough(self) -> Self:
        epochs = self.matrix.plan.epochs
        if epochs is None:
            raise ValueError("the plan of its matrix has no epochs: whole epochs are compared")
        for figure in self.figures:
            if (figure.epoch or 1) > epochs:
                raise ValueError(f"a figure after epoch {figure.epoch}, and the matrix trains {epochs}")
            if figure.quantity.of_whole_epochs and epochs < 2:
                raise ValueError(
                    f"{figure.quantity.value} need two epochs, of which the first compiles; choose epochs = 2"
                )
        return self


def publications() -> list[Publication]:
    """Every publication of the package, by name."""
    folder = files("lenet.cases.claims")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".toml"))
    return [
        _publication(name.removesuffix(".toml"), (folder / name).read_text(encoding="utf-8"), name) for name in names
    ]


def _publication(name: str, text: str, where: str) -> Publication:
    return _validated({"name": name, **parse_toml(text, where)}, where)


def load_publication(name: str) -> Publication | None:
    """The publication of that name, or of the TOML file at that path; None if it is neither.

    Raises:
        UsageError: a file that ends in .toml and is not readable, not TOML, or has an unknown key or an impossible
            value.
    """
    for publication in publications():
        if publication.name == name:
            return publication
    path = Path(name)
    return _validated({"name": path.stem, **read_toml(path)}, name) if path.suffix == ".toml" else None


def _validated(data: Mapping[str, Any], where: str) -> Publication:
    matrix = data.get("matrix")
    named = {"matrix": {"name": data["name"], "datasets": ["mnist"], **matrix}} if isinstance(matrix, Mapping) else {}
    try:
        return Publication.model_validate({**data, **named})
    except ValidationError as error:
        raise UsageError(f"{where}: {problems(error)[0]}") from error
