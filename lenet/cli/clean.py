"""`lenet-bench clean`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from lenet.cli.options import OUTPUT, option
from lenet.errors import FAILED


def clean(
    yes: Annotated[bool, option(OUTPUT, "Remove them; without it they are listed.", "--yes")] = False,
    only: Annotated[
        str | None, option(OUTPUT, "Only these: data,environments,wheels,stand-ins,temporary.", metavar="LIST")
    ] = None,
) -> None:
    """List the caches, the environments of releases and wheel files, and left temporary folders, or remove them.

    Runs and tuned profiles are never removed.
    """
    from lenet.commands import clean as command
    from lenet.report.text.clean import clean_text

    kinds = [each.strip() for each in only.split(",")] if only is not None else command.ALL
    found = command.clean(kinds, delete=yes)
    sys.stdout.write(clean_text(found, yes))
    if yes and any(each.kept for each in found):
        raise typer.Exit(FAILED)
