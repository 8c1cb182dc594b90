"""Where a matrix comes from: a preset, a TOML file, the command line."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lenet.cases.axes import BY_NAME, with_option
from lenet.cases.axis import Axis
from lenet.cases.case import Case, Mode
from lenet.cases.frameworks import ABILITIES
from lenet.cases.matrix import Matrix, set_at
from lenet.errors import UNKNOWN_KEY, UsageError, problems, reason
from lenet.files.plain import read_named

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_FILE_BYTES = 2**16
"""The TOML reader takes seconds for a key of as many dots as fit in this, and hours for one of a megabyte."""


def presets() -> list[str]:
    """The names of the presets."""
    folder = files("lenet.cases.presets")
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_preset(name: str) -> Matrix:
    """The preset of that name; on another processor than x86 its profiles do not ask for an instruction set of x86.

    Raises:
        UsageError: there is no such preset.
    """
    if name not in presets():
        raise UsageError(f"unknown preset {name!r}: choose from {', '.join(presets())}")
    text = (files("lenet.cases.presets") / f"{name}.toml").read_text(encoding="utf-8")
    content = parse_toml(text, name)
    if platform.machine().lower() not in ("x86_64", "amd64") and "profiles" in content:
        content["profiles"] = _without_isa(content["profiles"])
    return _matrix({"name": name, **content}, f"preset {name}")


def _without_isa(profiles: list[str]) -> list[str]:
    """The profiles without a cap to an instruction set of x86: other processors have none of them."""
    parts = [[part for part in text.split("+") if not part.startswith("onednn_isa=")] for text in profiles]
    return list(dict.fromkeys("+".join(each) or "default" for each in parts))


def load_file(path: Path) -> Matrix:
    """The matrix of a TOML file: `Matrix`'s fields as keys, the plan in `[plan]`.

    Raises:
        UsageError: not readable, not TOML, an unknown key or an impossible value.
    """
    content = read_toml(path)
    if isinstance(versions := content.get("versions"), list) and all(isinstance(each, str) for each in versions):
        # Here and not in `Matrix`: the manifest of a run, which may be a stranger's, must not open files.
        try:
            content["versions"] = [BY_NAME["version"].parse(each) for each in versions]
        except ValueError as error:
            raise UsageError(f"{path}: versions: {error}") from error
    return _matrix({"name": _safe_name(path.stem), **content}, str(path))


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file that a user names.

    Raises:
        UsageError: not readable, too large, or not TOML.
    """
    try:
        content = read_named(path, MAX_FILE_BYTES)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {reason(error)}") from error
    return parse_toml(content, str(path))


def parse_toml(content: bytes | str, where: str) -> dict[str, Any]:
    """The content of a TOML text; `where` it stands is for the message.

    Raises:
        UsageError: it is not TOML.
    """
    try:
        return tomllib.loads(content if isinstance(content, str) else content.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{where} is not TOML: {error}") from error


def override(matrix: Matrix, **options: str | None) -> Matrix:
    """`matrix` with what the command line gives instead.

    Args:
        matrix: the preset's or the file's.
        options: the text of each axis's option, by `Axis.parameter`: values separated by commas, or a number. None
            changes nothing.

    Raises:
        UsageError: an unknown or impossible value.
    """
    axes = {axis.parameter: axis for axis in with_option()}
    data = matrix.model_dump()
    for name, text in options.items():
        if text is not None:
            axis = axes[name]
            values = _list(axis, text)
            if not axis.several and len(values) > 1:
                raise UsageError(f"{axis.option} {text!r}: give one number")
            set_at(data, axis.field, values if axis.several else values[0])
    changed = _matrix(data, "the command line", named_by_option=True)
    if options.get("mode") is not None:
        _each_mode_runs(changed)
    return _renamed(matrix, changed)


def in_one_mode(options: Mapping[str, str]) -> Matrix:
    """A matrix of what the options name, as for `override`; without a mode among them in Graph mode.

    Where a framework has no Graph mode, it is the first mode that all of them have.

    Raises:
        UsageError: an unknown or impossible value.
    """
    if options.get("mode") is None:
        chosen = override(Matrix(), framework=options.get("framework")).frameworks
        modes = [Mode.GRAPH, *(mode for framework in chosen for mode in ABILITIES[framework].modes)]
        shared = (mode for mode in modes if all(ABILITIES[framework].has(mode) for framework in chosen))
        options = {**options, "mode": next(shared, Mode.GRAPH).value}
    return override(Matrix(), **options)


def _each_mode_runs(matrix: Matrix) -> None:
    """Refuse a mode that was asked for and that none of the frameworks has. Modes of a preset may be such."""
    for mode in matrix.modes:
        if not any(ABILITIES[framework].has(mode) for framework in matrix.frameworks):
            theirs = "; ".join(
                f"the modes of {framework.value} are {', '.join(each.value for each in ABILITIES[framework].modes)}"
                for framework in matrix.frameworks
            )
            raise UsageError(f"--mode {mode.value}: {theirs}")


def single_case(matrix: Matrix, options: Mapping[str, str]) -> Case:
    """The only case of a matrix that `override` made with these options.

    Raises:
        UsageError: it has several; the message names the option.
    """
    for axis in with_option():
        if "," in (text := options.get(axis.parameter, "")):
            raise UsageError(f"{axis.option} {text}: this command takes one case; name one value")
    (case,) = matrix.cases()
    return case


def _renamed(matrix: Matrix, changed: Matrix) -> Matrix:
    """`changed`, renamed if the name and description of `matrix` no longer describe it.

    A preset does not describe device and data: it takes those of the machine.
    """
    described = {axis.field.partition(".")[0] for axis in with_option()} - {"device_targets", "datasets"}
    if all(getattr(matrix, field) == getattr(changed, field) for field in described):
        return changed
    return changed.model_copy(update={"name": f"{matrix.name[:56]}-changed", "description": ""})


def _list(axis: Axis, text: str) -> list[Any]:
    if not all(item.strip() for item in text.split(",")):
        raise UsageError(f"{axis.option}: empty value in {text!r}")
    try:
        return [axis.parse(item) for item in text.split(",")]
    except ValueError as error:
        raise UsageError(f"{axis.option}: {error}") from error


def _matrix(data: dict[str, Any], source: str, named_by_option: bool = False) -> Matrix:
    try:
        return Matrix.model_validate(data)
    except ValidationError as error:
        problem = problems(error)[0]
        said = f"{source}: {problem}"
        if named_by_option:
            fields = {name: axis.option for axis in with_option() for name in (axis.field, axis.path)}
            option = fields.get(".".join(part for part in problem.path if isinstance(part, str)))
            said = f"{option}: {problem.message}" if option else said
        known = f"; known are {', '.join(Matrix.model_fields)}" if problem.message == UNKNOWN_KEY else ""
        raise UsageError(" ".join(f"{said}{known}".split())) from error


def _safe_name(stem: str) -> str:
    return re.sub("[^A-Za-z0-9]", "-", stem).strip("-")[:64] or "matrix"
