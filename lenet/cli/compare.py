"""`lenet-bench compare`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lenet.errors import FAILED, UsageError


def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="A folder that `run` wrote: what it was.")],
    b: Annotated[Path | None, typer.Argument(metavar="B", help="Another: what it is now. Default: A.")] = None,
    over: Annotated[
        str | None, typer.Option(help="The axis in which A and B differ: AXIS, or AXIS=VALUE-IN-A,VALUE-IN-B.")
    ] = None,
    fail_on: Annotated[str | None, typer.Option(help="Exit 1 where a case is worse by that much, as 5%, or broke.")] = (
        None
    ),
    min_effect: Annotated[str, typer.Option(help="The smallest difference that matters.")] = "1%",
    form: Annotated[str | None, typer.Option("--format", help="terminal, github, csv, json, html")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write there instead of printing.")] = None,
) -> None:
    """Say case by case whether B is faster than A, slower, the same, or cannot be told from it."""
    from lenet.analysis import compare as comparison
    from lenet.cli.output import choose, put
    from lenet.cli.quantity import share
    from lenet.report.table.compare import failures, render
    from lenet.store.run import Store

    wanted = choose(form, output)
    limit = share("--fail-on", fail_on) if fail_on is not None else None
    effect = share("--min-effect", min_effect)
    chosen = comparison.parse_over(over) if over is not None else None
    if b is None and (chosen is None or chosen.values is None):
        raise UsageError("compare needs two runs, or one and --over AXIS=VALUE-IN-A,VALUE-IN-B")
    first, second = Store.open(a), Store.open(b or a)
    pair = comparison.select(first.records(), second.records(), chosen)
    names = [store.path.resolve().name for store in (first, second)]
    found = comparison.compare(pair.a, pair.b, effect, pair.over)
    text = render(found, wanted, effect, (names[0], names[1]))
    put(text, output)
    if limit is not None:
        failed = failures(found, limit)
        unsure = sum(each.mark is comparison.Mark.CANNOT_TELL for each in found)
        if unsure:
            print(
                f"lenet-bench: {unsure} of {len(found)} cases cannot be told apart; more --repeat would",
                file=sys.stderr,
            )
        if failed:
            print(f"lenet-bench: {len(failed)} of {len(found)} cases broke or are worse by {fail_on}", file=sys.stderr)
            raise typer.Exit(FAILED)
        if not any(each.ratio is not None or each.mark is comparison.Mark.FIXED for each in found):
            print("lenet-bench: no case could be compared, so nothing was checked", file=sys.stderr)
            raise typer.Exit(FAILED)
