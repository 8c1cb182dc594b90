"""`lenet-bench report`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lenet.errors import UsageError


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Runs, or folders that hold runs.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A .html or .md file; without, the terminal.")
    ] = None,
    form: Annotated[str | None, typer.Option("--format", help="html, markdown or terminal.")] = None,
    baseline: Annotated[str | None, typer.Option(help="Compare with the rows that have FIELD=VALUE,…")] = None,
    reference: Annotated[
        Path | None, typer.Option(help="References in the place of the shipped: a file, or a folder.")
    ] = None,
) -> None:
    """Show runs as a page, as text for a forge, or here."""
    from lenet.analysis.references import read_given
    from lenet.report.content.gather import gather
    from lenet.report.document.forms import choose, write

    wanted = choose(output, form)
    if wanted == "terminal" and output is not None:
        raise UsageError("--format terminal is shown here: leave --output away, or choose html or markdown")
    found = gather(runs, read_given(reference) if reference is not None else None)
    for note in found.notes:
        print(f"lenet-bench: WARNING: {note}", file=sys.stderr)
    if wanted == "terminal":
        from rich.console import Console

        from lenet.report.document.terminal import show

        show(found, Console(highlight=False, emoji=False, markup=False), baseline)
    else:
        write(found, wanted, output, baseline)
