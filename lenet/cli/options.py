"""Options that several commands have, the groups that the help shows them in, and the values that they take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from lenet.errors import UsageError

WORKLOAD, MEASUREMENT, OUTPUT, ENGINE = "Workload", "Measurement", "Output", "Engine"
"""Titles of the groups of options, in the order of the help."""

DataDir = Annotated[
    Path | None, typer.Option(help="Folder that holds the data, in MNIST's format.", rich_help_panel=WORKLOAD)
]
RunFolder = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Folder of the run (default: results/run-TIME-NAME).", rich_help_panel=OUTPUT),
]
OutputFile = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write to this file instead of printing.", rich_help_panel=OUTPUT)
]
Resume = Annotated[
    Path | None,
    typer.Option(help="Resume this run: measure only missing or stale cases.", rich_help_panel=MEASUREMENT),
]
Timeout = Annotated[
    float | None, typer.Option(min=0.1, help="Kill a worker that takes more seconds than this.", rich_help_panel=ENGINE)
]
SilenceTimeout = Annotated[
    float,
    typer.Option(min=0.1, help="Kill a worker that reports nothing for this many seconds.", rich_help_panel=ENGINE),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.", rich_help_panel=OUTPUT)]
Baseline = Annotated[
    str | None,
    typer.Option(help="Compare with the rows where FIELD=VALUE,... holds.", rich_help_panel=OUTPUT),
]
TextFormat = Annotated[str, typer.Option("--format", help="terminal or json.", rich_help_panel=OUTPUT)]
TableFormat = Annotated[
    str | None,
    typer.Option("--format", help="terminal, github, csv, json or html.", rich_help_panel=OUTPUT),
]
References = Annotated[
    Path | None,
    typer.Option("--reference", help="Use these references, a file or a folder.", rich_help_panel=MEASUREMENT),
]

SILENCE_SECONDS = 600.0
TEXT_FORMATS = ("terminal", "json")
"""Formats of what is not a table."""


def choice(option: str, text: str, choices: Sequence[str]) -> None:
    """Check the value of an option.

    Raises:
        UsageError: it is none of the choices.
    """
    if text not in choices:
        raise UsageError(f"{option} {text!r}: choose from {', '.join(choices)}")


def share(option: str, text: str) -> float:
    """`5%` or `0.05` as 0.05.

    Raises:
        UsageError: it is not a number, or not between 0 and 100%.
    """
    plain = text.strip()
    try:
        value = float(plain.removesuffix("%")) / (100 if plain.endswith("%") else 1)
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise UsageError(f"{option} {text!r}: write a share as 5% or 0.05")
    return value
