"""`lenet-bench submit`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lenet.cli.options import OUTPUT, STANDARD_OUTPUT, option
from lenet.cli.program import argument, command_line
from lenet.errors import FAILED, UsageError


def submit(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run.")],
    output: Annotated[
        Path | None,
        option(OUTPUT, "The file to write (default: MACHINE-DIGEST.zip).", "--output", "-o", metavar="FILE"),
    ] = None,
    sign: Annotated[bool, option(OUTPUT, "Sign the run with your SSH key.", "--sign")] = False,
    key: Annotated[
        Path | None, option(OUTPUT, "The key of --sign (default: the first of your keys in ~/.ssh).", metavar="FILE")
    ] = None,
) -> None:
    """Verify a run and pack it into one file to send, without logs and tables; exit 1 if it is refused.

    `merge` puts that file into a folder of runs. Nothing is sent.
    """
    from lenet.commands import submit as command
    from lenet.report.layout import wrapped
    from lenet.report.table.words import count
    from lenet.store.signature import default_key

    if output == STANDARD_OUTPUT:
        raise UsageError("-o -: a submission is not text: name a file")
    if key is not None and not sign:
        raise UsageError("--key is the key of --sign: add --sign")
    done = command.submit(run, output, (key or default_key()) if sign else None)
    for violation in done.verification.violations:
        print(wrapped(str(violation), rest="  "), file=sys.stderr)
    if done.path is None:
        print(wrapped(f"{run}: refused: nothing was packed; verify it:"), file=sys.stderr)
        print(f"  {command_line('verify', argument(str(run)))}", file=sys.stderr)
        raise typer.Exit(FAILED)
    signer = done.verification.signer
    signed = f", signed by {signer.text}" if signer is not None else ""
    print(wrapped(f"{done.path}: {count(done.verification.records, 'record')}, {done.size:,} bytes{signed}"))
