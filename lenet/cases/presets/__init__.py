"""Where a matrix comes from: a preset, a TOML file, the command line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from enum import Enum
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import ValidationError

from lenet.cases.case import DeviceTarget, Mode, Pipeline, Scaling
from lenet.cases.frameworks import Framework
from lenet.cases.matrix import Matrix
from lenet.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_FILE_BYTES = 2**16
"""The TOML reader takes seconds for a key of as many dots as fit in this, and hours for one of a megabyte."""
T = TypeVar("T")

OPTIONS = {
    "batch_size": "--batch-size",
    "batch_sizes": "--batch-size",
    "seed": "--seed",
    "seeds": "--seed",
    "profiles": "--profile",
    "repeat": "--repeat",
    "versions": "--versions",
    "world_sizes": "--world-size",
    "scalings": "--scaling",
    "plan": "--epochs",
}
"""The option that sets a field, for messages."""


def presets() -> list[str]:
    """The names of the presets."""
    folder = files("lenet.cases.presets")
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_preset(name: str) -> Matrix:
    """The matrix that people call by `name`.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in presets():
        raise UsageError(f"unknown preset {name!r}: choose from {', '.join(presets())}")
    text = (files("lenet.cases.presets") / f"{name}.toml").read_text(encoding="utf-8")
    return _matrix({"name": name, **tomllib.loads(text)}, f"preset {name}")


def load_file(path: Path) -> Matrix:
    """The matrix of a TOML file: `Matrix`'s fields as keys, the plan in `[plan]`.

    Raises:
        UsageError: not readable, not TOML, an unknown key or an impossible value.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise UsageError(f"{path} is larger than 64 KiB: not a matrix")
        content = tomllib.loads(data.decode())
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from error
    return _matrix({"name": _safe_name(path.stem), **content}, str(path))


def override(
    matrix: Matrix,
    *,
    framework: str | None = None,
    device: str | None = None,
    mode: str | None = None,
    batch_size: str | None = None,
    epochs: int | None = None,
    dataset: str | None = None,
    pipeline: str | None = None,
    profile: str | None = None,
    seed: str | None = None,
    repeat: int | None = None,
    versions: str | None = None,
    world_size: str | None = None,
    scaling: str | None = None,
) -> Matrix:
    """`matrix` with what the command line says instead; lists are texts with commas.

    Raises:
        UsageError: an unknown or impossible value.
    """
    data = matrix.model_dump()
    lists: tuple[tuple[str, str, str | None, Callable[[str], Any]], ...] = (
        ("frameworks", "--framework", framework, _member_of(Framework)),
        ("device_targets", "--device", device, _device),
        ("modes", "--mode", mode, _member_of(Mode)),
        ("batch_sizes", "--batch-size", batch_size, _whole),
        ("seeds", "--seed", seed, _whole),
        ("datasets", "--dataset", dataset, str),
        ("pipelines", "--pipeline", pipeline, _member_of(Pipeline)),
        ("profiles", "--profile", profile, str),
        ("versions", "--versions", versions, str),
        ("world_sizes", "--world-size", world_size, _whole),
        ("scalings", "--scaling", scaling, _member_of(Scaling)),
    )
    for field, option, text, convert in lists:
        if text is not None:
            data[field] = _list(option, text, convert)
    if repeat is not None:
        data["repeat"] = repeat
    if epochs is not None:
        data["plan"]["epochs"] = epochs
    return _renamed(matrix, _matrix(data, "the command line", OPTIONS))


def _renamed(matrix: Matrix, changed: Matrix) -> Matrix:
    """`changed` under a name of its own where it is no longer what the name and description of `matrix` say."""
    described = (
        *("frameworks", "versions", "modes", "batch_sizes", "pipelines", "profiles"),
        *("world_sizes", "scalings", "seeds", "repeat", "plan"),
    )
    if all(getattr(matrix, field) == getattr(changed, field) for field in described):
        return changed
    return changed.model_copy(update={"name": f"{matrix.name[:56]}-changed", "description": ""})


def _device(text: str) -> str:
    names = {each.value.lower(): each.value for each in DeviceTarget}
    return names[_choice(text.lower(), list(names))]


def _member_of(axis: type[Enum]) -> Callable[[str], str]:
    return lambda text: _choice(text.lower(), [str(each.value) for each in axis])


def _choice(text: str, choices: list[str]) -> str:
    if text not in choices:
        raise ValueError(f"unknown value {text!r}, choose from {', '.join(choices)}")
    return text


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


def _list(option: str, text: str, convert: Callable[[str], T]) -> list[T]:
    try:
        values = [convert(item.strip()) for item in text.split(",")]
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from error
    if "" in values:
        raise UsageError(f"{option}: empty value in {text!r}")
    return values


def _matrix(data: dict[str, Any], source: str, options: Mapping[str, str] = MappingProxyType({})) -> Matrix:
    try:
        return Matrix.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            said = f"unknown key; known are {', '.join(Matrix.model_fields)}"
        option = options.get(str(first["loc"][0])) if first["loc"] else None
        place = option or (f"{source}: {where}" if where else source)
        raise UsageError(f"{place}: {' '.join(said.split())}") from error


def _safe_name(stem: str) -> str:
    name = "".join(character if character.isalnum() and character.isascii() else "-" for character in stem)
    return name.strip("-")[:64] or "matrix"
