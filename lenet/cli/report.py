"""`lenet-bench report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lenet.cli import options
from lenet.cli.invocation import warn
from lenet.cli.options import OUTPUT, option
from lenet.errors import UsageError


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Runs, or folders that hold runs.")],
    references: options.References = None,
    output: Annotated[
        Path | None,
        option(OUTPUT, "Write to this .html or .md file.", "--output", "-o", metavar="FILE", callback=options.printed),
    ] = None,
    form: Annotated[str | None, option(OUTPUT, "html, markdown or terminal.", "--format", metavar="FORMAT")] = None,
    baseline: options.Baseline = None,
) -> None:
    """Make a report of runs: an HTML page, Markdown for GitHub, or text for this terminal."""
    from lenet.analysis.references import read_given
    from lenet.analysis.variables import described
    from lenet.cli.output import put
    from lenet.report.content.gather import gather
    from lenet.report.document.forms import choose, text_of, write

    wanted = choose(output, form)
    if wanted == "terminal" and output is not None:
        raise UsageError("--format terminal is printed: omit --output, or choose html or markdown")
    content = gather(runs, read_given(references) if references is not None else None)
    for note in (*content.notes, *described({name: run.machine for name, run in content.runs.items()})):
        warn(note)
    if wanted == "terminal":
        from rich.console import Console

        from lenet.report.document.terminal import show

        show(content, Console(highlight=False, emoji=False, markup=False), baseline)
    elif output is None:
        put(text_of(content, wanted, baseline), wanted)
    else:
        write(content, wanted, output, baseline)
