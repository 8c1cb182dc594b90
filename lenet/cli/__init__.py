"""The command `lenet-bench`: one module for each of its commands, with options and printing.

What a command does is in the other packages and is imported when the command runs, so that `--help` is fast.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from lenet.cli import signals, streams
from lenet.cli.check import check
from lenet.cli.clean import clean
from lenet.cli.compare import compare
from lenet.cli.doctor import doctor
from lenet.cli.explain import explain
from lenet.cli.help import GroupedCommand
from lenet.cli.invocation import STOPPED, complain
from lenet.cli.merge import merge
from lenet.cli.program import program
from lenet.cli.report import report
from lenet.cli.reproduce import reproduce
from lenet.cli.run import run
from lenet.cli.script import script
from lenet.cli.submit import submit
from lenet.cli.table import table
from lenet.cli.tune import tune
from lenet.cli.verify import verify
from lenet.errors import BAD_INPUT, INTERRUPTED, UsageError, program_words, reason

app = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Benchmark one LeNet training, the same on every MindSpore device, mode and batch size.",
)

COMMANDS: dict[Callable[..., None], str] = {
    run: "lenet-bench run --mode pynative,graph --batch-size 32,256",
    tune: "lenet-bench tune --mode pynative --batch-size 32",
    table: "lenet-bench table results/before results/after",
    report: "lenet-bench report results/mine -o report.html",
    compare: "lenet-bench compare results/before results/after --fail-on 5%",
    explain: "lenet-bench explain --mode pynative --batch-size 32",
    script: "lenet-bench script --mode pynative --batch-size 32 -o case.py",
    check: "lenet-bench check --rung repeat,seed,modes",
    reproduce: "lenet-bench reproduce results/theirs --exact",
    verify: "lenet-bench verify results/theirs",
    submit: "lenet-bench submit results/mine --sign",
    merge: "lenet-bench merge results/laptop results/server -o results/all",
    doctor: "lenet-bench doctor --device gpu",
    clean: "lenet-bench clean --only environments --yes",
}
"""Each command with an example of its use."""

for command, example in COMMANDS.items():
    app.command(cls=GroupedCommand, epilog=f"Example: {example}")(command)


NO_THREAD = "can't start new thread"
"""What Python says where the system refuses a thread."""


def _show_version(requested: bool) -> None:
    if requested:
        from lenet import __version__

        print(f"lenet-bench {__version__}")
        raise typer.Exit


@app.callback()
def _callback(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    del version


def main() -> None:
    """Run the command. Every expected error is one sentence and exit code 2."""
    program_words.set(program)
    with streams.safe() as printed:
        signals.install()
        if not os.environ.get("COLUMNS", "").strip("0 "):  # rich would print nothing in no column
            os.environ.pop("COLUMNS", None)
        try:
            code = app(prog_name="lenet-bench", standalone_mode=False) or 0
            if code == INTERRUPTED:  # newer versions of Typer make this of a KeyboardInterrupt
                raise KeyboardInterrupt
            if code == STOPPED:
                printed.drop()
                code = INTERRUPTED
            if (error := printed.failure()) is not None and code != INTERRUPTED:
                raise UsageError(f"standard output cannot be written: {reason(error)}")
        except UsageError as error:
            code = _fail(str(error))
        except typer.TyperException as error:
            code = _fail(f"{error.format_message().rstrip('.')}: see `lenet-bench --help`")
        except MemoryError:
            code = _fail("memory ran out: free some, or raise the limit (`ulimit -v`)")
        except RuntimeError as error:
            if str(error) != NO_THREAD:
                raise
            code = _fail("no thread can be started: raise the limit of processes (`ulimit -u`, or the container's)")
        except OSError as error:  # a path that the system refuses before anything reads it: too long, not permitted
            code = _fail(f"{error.filename or 'the system refuses an operation'}: {reason(error)}")
        except (KeyboardInterrupt, typer.Abort):
            printed.drop()
            print("lenet-bench: stopped", file=sys.stderr)
            code = INTERRUPTED
        if code == INTERRUPTED:
            signals.ignore()
    raise SystemExit(code)


def _fail(message: str) -> int:
    complain(f"error: {message}")
    return BAD_INPUT
