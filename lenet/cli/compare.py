"""`lenet-bench compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lenet.cli import options
from lenet.cli.invocation import warn
from lenet.cli.options import MEASUREMENT, option
from lenet.errors import FAILED, UsageError


def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="The run before.")],
    b: Annotated[Path | None, typer.Argument(metavar="B", help="The run after (default: A).")] = None,
    over: Annotated[
        str | None,
        option(MEASUREMENT, "The axis in which A and B differ, and its values in them.", metavar="AXIS[=A,B]"),
    ] = None,
    fail_on: Annotated[
        str | None,
        option(
            MEASUREMENT,
            "Exit 1 if a case fails or is slower by this much, as 5%, or if none can be compared.",
            metavar="SHARE",
        ),
    ] = None,
    min_effect: Annotated[str, option(MEASUREMENT, "The smallest difference that matters.", metavar="SHARE")] = "1%",
    form: options.TableFormat = None,
    output: options.OutputFile = None,
) -> None:
    """Show for each case whether B is faster than A, slower, the same, or that it is unresolved."""
    from lenet.analysis import compare as comparison
    from lenet.analysis.checked import checked
    from lenet.analysis.selection import parse_over, select
    from lenet.analysis.variables import described
    from lenet.analysis.verdict import Mark
    from lenet.cli.output import put, table_format
    from lenet.report.table.compare import failures, render
    from lenet.store.run import Store

    wanted = table_format(form, output)
    limit = options.share("--fail-on", fail_on) if fail_on is not None else None
    effect = options.share("--min-effect", min_effect)
    chosen = parse_over(over) if over is not None else None
    if b is None and (chosen is None or chosen.values is None):
        raise UsageError("compare needs two runs, or one and --over AXIS=VALUE-IN-A,VALUE-IN-B")
    first, second = Store.open(a), Store.open(b or a)
    for text in described({str(store.path): store.manifest.machine for store in (first, second)}):
        warn(text)
    before, after = (checked(store.records(), store.proofs()) for store in (first, second))
    pair = select(before, after, chosen)
    names = [store.path.resolve().name for store in (first, second)]
    compared = comparison.compare(pair.a, pair.b, effect, pair.over)
    put(render(compared, wanted, effect, (names[0], names[1])), wanted, output)
    if limit is not None:
        failed = failures(compared, limit)
        unsure = sum(each.mark is Mark.UNRESOLVED for each in compared)
        if unsure:
            warn(f"{unsure} of {len(compared)} cases are unresolved; a larger --repeat would help")
        if failed:
            warn(f"{len(failed)} of {len(compared)} cases failed or are slower by {fail_on}")
            raise typer.Exit(FAILED)
        if not any(each.ratio is not None or each.mark is Mark.FIXED for each in compared):
            warn("no case could be compared, so nothing was checked")
            raise typer.Exit(FAILED)
