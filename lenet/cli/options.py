"""Options that several commands have, the groups that the help shows them in, and the values that they take."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from lenet.errors import UsageError

WORKLOAD, MEASUREMENT, OUTPUT, ENGINE = "Workload", "Measurement", "Output", "Engine"
"""Titles of the groups of options, in the order of the help."""

MAX_SECONDS = 1e7
"""Four months: more than a measurement takes, and less than what Python's timers fail with."""


def option(
    group: str,
    text: str,
    *names: str,
    metavar: str | None = None,
    min: float | None = None,
    max: float | None = None,
    callback: Callable[[Any], Any] | None = None,
) -> Any:
    """An option with this help text, in a group of the help. `min` and `max` bound a number; seconds have a `max`."""
    if max is None and metavar == "SECONDS":
        max = MAX_SECONDS
    check = callback or _finite
    return typer.Option(*names, help=text, metavar=metavar, min=min, max=max, rich_help_panel=group, callback=check)


def _finite(value: Any) -> Any:
    """No bound excludes `nan`.

    Raises:
        BadParameter: it is not a finite number.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a finite number")
    return value


def folder(value: Path | None) -> Path | None:
    """The folder to write, which is not `-`: that means standard output.

    Raises:
        BadParameter: it is `-`.
    """
    if value == STANDARD_OUTPUT:
        raise typer.BadParameter("a folder is written, and - is standard output: name a folder")
    return value


def printed(value: Path | None) -> Path | None:
    """The file to write, None for standard output."""
    return None if value == STANDARD_OUTPUT else value


STANDARD_OUTPUT = Path("-")
Choice = TypeVar("Choice", bound=str)

Target = Annotated[Path | None, typer.Argument(metavar="RUN|RECORD", help="A run, or the file RUN/records/ID.json.")]
CaseId = Annotated[str | None, typer.Argument(metavar="ID", help="The id of a case of that run.")]
DataDir = Annotated[Path | None, option(WORKLOAD, "The data, in MNIST's format.", metavar="FOLDER")]
RunFolder = Annotated[
    Path | None,
    option(
        OUTPUT,
        "Folder of the run (default: results/run-TIME-NAME).",
        "--output",
        "-o",
        metavar="FOLDER",
        callback=folder,
    ),
]
OutputFile = Annotated[
    Path | None,
    option(OUTPUT, "Write to this file instead of printing.", "--output", "-o", metavar="FILE", callback=printed),
]
Resume = Annotated[
    Path | None, option(MEASUREMENT, "Resume this run: measure only missing or stale cases.", metavar="RUN")
]
Alive = Annotated[
    int | None,
    option(MEASUREMENT, "The most workers alive together (default: as memory holds).", metavar="COUNT", min=1),
]
Timeout = Annotated[
    float | None, option(ENGINE, "Kill a worker that takes longer than this.", metavar="SECONDS", min=0.1)
]
SilenceTimeout = Annotated[
    float, option(ENGINE, "Kill a worker that reports nothing for this many seconds.", metavar="SECONDS", min=0.1)
]
Quiet = Annotated[bool, option(OUTPUT, "Show no progress.", "--quiet")]
Baseline = Annotated[
    str | None,
    option(
        OUTPUT,
        "Compare with the rows that have these values, by default mode=pynative; if that compares nothing, "
        "profile=default, pipeline=tutorial or device=CPU.",
        metavar="FIELD=VALUE,...",
    ),
]
TextFormat = Annotated[str, option(OUTPUT, "terminal or json.", "--format", metavar="FORMAT")]
TableFormat = Annotated[
    str | None, option(OUTPUT, "terminal, github, csv, json or html.", "--format", metavar="FORMAT")
]
References = Annotated[
    Path | None, option(MEASUREMENT, "Convergence references, a file or a folder.", "--reference", metavar="PATH")
]

AllowedSigners = Annotated[
    Path | None,
    option(
        MEASUREMENT, "Only runs that a key of this file signed (see ssh-keygen).", "--allowed-signers", metavar="FILE"
    ),
]

SILENCE_SECONDS = 600.0
TEXT_FORMATS = ("terminal", "json")
"""Formats of what is not a table."""


def choice(option: str, text: str, choices: Sequence[Choice]) -> Choice:
    """The value of an option.

    Raises:
        UsageError: it is none of the choices.
    """
    for each in choices:
        if text == each:
            return each
    raise UsageError(f"{option} {text!r}: choose from {', '.join(choices)}")


def existing(option: str, path: Path | None) -> None:
    """Check that the file of an option exists.

    Raises:
        UsageError: it does not.
    """
    if path is not None and not path.is_file():
        raise UsageError(f"{option} {path}: there is no such file")


def share(option: str, text: str, zero: bool = False) -> float:
    """`5%` or `0.05` as 0.05.

    Raises:
        UsageError: it is not a number, or not between 0 and 100%; 0 itself is one only with `zero`.
    """
    plain = text.strip()
    try:
        value = float(plain.removesuffix("%")) / (100 if plain.endswith("%") else 1)
    except ValueError:
        value = math.nan
    if not (0 < value < 1 or (zero and value == 0)):
        raise UsageError(f"{option} {text!r}: write a share as 5% or 0.05")
    return value
