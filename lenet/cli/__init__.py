"""The `lenet-bench` command: a module a verb, each verbs' options and no logic.

What a verb does lives in the other rooms and is imported inside it, so that `lenet-bench --help` answers in a blink.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated, NoReturn

import typer

from lenet.cli.check import check
from lenet.cli.compare import compare
from lenet.cli.doctor import doctor
from lenet.cli.explain import explain
from lenet.cli.merge import merge
from lenet.cli.report import report
from lenet.cli.reproduce import reproduce
from lenet.cli.run import run
from lenet.cli.table import table
from lenet.cli.tune import tune
from lenet.cli.verify import verify
from lenet.errors import BAD_INPUT, INTERRUPTED, UsageError

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="One LeNet training, the same on every MindSpore device, mode and batch size.",
)
for verb in (run, tune, table, report, compare, explain, check, reproduce, verify, merge, doctor):
    app.command()(verb)

CommandLineError: type[Exception] = typer.BadParameter.__mro__[2]
"""What typer raises for a command line that it cannot read: click's ClickException, or typer's own copy of it."""


def _show_version(wanted: bool) -> None:
    if wanted:
        from lenet import __version__

        print(f"lenet-bench {__version__}")
        raise typer.Exit


@app.callback()
def _callback(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Say it.")] = False,
) -> None:
    del version


def main() -> None:
    """Entry of the command: every foreseen error is one sentence and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        # A path may be no text, and a terminal may know less than UTF-8: neither is a reason to lose a table.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        raise SystemExit(app(standalone_mode=False) or 0)
    except UsageError as error:
        _complain(str(error))
    except CommandLineError as error:
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        _complain(f"{message.rstrip('.')}: see lenet-bench --help")
    except (KeyboardInterrupt, typer.Abort) as error:
        print("stopped; what was finished before is kept", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from error
    except BrokenPipeError as error:
        # The reader of our output has gone, as `| head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from error


def _complain(sentence: str) -> NoReturn:
    print(f"lenet-bench: error: {' '.join(sentence.split())}", file=sys.stderr)
    raise SystemExit(BAD_INPUT)
