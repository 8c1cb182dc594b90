"""What the commands that measure share: messages, data, live or plain progress, and a stop that loses nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from lenet.cli.program import argument, command_line
from lenet.errors import INTERRUPTED, UsageError, one_line, runnable

STOPPED = -INTERRUPTED
"""In the command's place: it was interrupted, and has said how it is resumed."""

if TYPE_CHECKING:
    from lenet.cases.case import Case
    from lenet.commands.measurement import Run
    from lenet.commands.recompute import Progress
    from lenet.dataset import Dataset
    from lenet.engine import Observer


class Invocation:
    """One invocation of a command that measures. It prints to standard error; results go to standard output."""

    def __init__(
        self, context: typer.Context, quiet: bool, data_dir: Path | None, spanning: Collection[str] = ()
    ) -> None:
        """`spanning` names the parameters that must not be repeated when the run is resumed.

        Raises:
            UsageError: nothing can be measured on this platform.
        """
        from lenet.machine.platforms import measurable
        from lenet.report.progress.choice import error_console

        measurable()
        self.console = error_console(quiet)
        self._data_dir = data_dir
        self._began = self._measuring_began = time.monotonic()
        self._context = context
        self._spanning = {"output", "resume", *spanning}
        self._unproved = False

    def note(self, text: str) -> None:
        """Print a message in 80 columns."""
        from lenet.report.layout import wrapped

        self.console.print(wrapped(text, rest="  "), markup=False, highlight=False, soft_wrap=True)

    def offer(self, text: str, *words: str) -> None:
        """Print a message, and below it the command of these words, whole on a line, to be copied."""
        self.note(f"{text}:")
        self.console.print(f"  {command_line(*words)}", markup=False, highlight=False, soft_wrap=True)

    def log(self, text: str) -> None:
        """Print a message with the seconds since the command started."""
        self.note(f"[{time.monotonic() - self._began:.0f} s] {text}")

    def find(self, name: str) -> Dataset:
        """The dataset that `--dataset` and `--data-dir` name; a download has a progress bar.

        Raises:
            DatasetError: it is not available.
        """
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        from lenet.dataset import resolve

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(20),
            DownloadColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console, transient=True, disable=not self._live) as bars:
            tasks: dict[str, Any] = {}

            def progress(file: str, done: int, total: int | None) -> None:
                if file not in tasks:
                    tasks[file] = bars.add_task(file, total=total)
                bars.update(tasks[file], completed=done, total=total)

            return resolve(name, self._data_dir, progress=progress, warn=warn)

    @property
    def _live(self) -> bool:
        from lenet.report.progress.choice import redrawn

        return redrawn(self.console)

    @contextmanager
    def measuring(self, run: Run, cases: Sequence[Case] | None = None) -> Iterator[Observer]:
        """Show progress while cases of the run are measured, live in a terminal and as lines elsewhere.

        Ctrl-C and SIGTERM end the command with exit code 130. Then, and after an error, a message says how to resume
        the run. Without `cases` the command decides while it runs what it measures.
        """
        from lenet.commands.environment import misleading_variables, recorded_variables
        from lenet.report.progress.live import LiveObserver
        from lenet.report.progress.plain import PlainObserver
        from lenet.report.table.words import count

        store = run.store
        matrix = store.manifest.matrix
        counts = ""
        if cases is not None:
            done = len(store.manifest.cases) - len(cases)
            counts = f": {count(len(cases), 'case')}{f', {done} done before' if done else ''}"
        self.note(f"{matrix.name}{counts} → {store.path}")
        self.note(matrix.description or matrix.span)
        if recorded := recorded_variables():
            self.note(recorded)
        for text in misleading_variables(store.manifest.machine):
            warn(text)
        self._measuring_began = time.monotonic()
        began = self._began if cases is None else None
        try:
            if self._live:
                every = store.manifest.cases if cases is not None else ()
                with LiveObserver(self.console, run.datasets, every, store.records(), began) as live:
                    yield live
            else:
                yield PlainObserver(self.console, began)
        except KeyboardInterrupt as error:
            self._stopped(run)
            raise typer.Exit(STOPPED) from error
        except UsageError:
            self._stopped(run)
            raise

    def _stopped(self, run: Run) -> None:
        """Print what there is of the run, and the command that resumes it."""
        every = run.store.manifest.cases
        finished = len(every) - len(run.store.missing())
        counts = f"{finished} of {len(every)} records are in {one_line(str(run.store.path))}"
        print(f"stopped: {counts}; resume with: {self._resume(run)}", file=sys.stderr)

    @contextmanager
    def proving(self) -> Iterator[tuple[float, Progress]]:
        """Show the progress of recomputations; yields the seconds that the measurement took.

        Ctrl-C and SIGTERM end them alone: the command then writes what it has measured, and ends with `end`.
        """
        from lenet.cli.output import recomputing

        try:
            with recomputing(self.console.quiet) as progress:
                yield time.monotonic() - self._measuring_began, progress
        except KeyboardInterrupt:
            self._unproved = True

    def end(self, run: Run) -> None:
        """End the command with exit code 130 if recomputing the run's trainings was interrupted."""
        if self._unproved:
            verify = command_line("verify", argument(str(run.store.path)))
            print(f"stopped: every record is written; recompute the trainings with: {verify}", file=sys.stderr)
            sys.stdout.flush()  # after this nothing is printed
            raise typer.Exit(STOPPED)

    def _resume(self, run: Run) -> str:
        """The command line that resumes the run."""
        given = {name: words for name, words in typed_options(self._context).items() if name not in self._spanning}
        positional = [str(each.name) for each in self._context.command.params if each.param_type_name == "argument"]
        arguments = [argument(word) for name in positional for word in given.pop(name, ())]
        options = [word for words in given.values() for word in words]
        resumed = option_words("--resume", str(run.store.path))
        return command_line(str(self._context.info_name), *arguments, *options, *resumed)


def typed_options(context: typer.Context) -> dict[str, list[str]]:
    """The words of the command line, by the parameter that they set; options have their long names."""
    typed: dict[str, list[str]] = {}
    for parameter in context.command.params:
        name = str(parameter.name)
        source = context.get_parameter_source(name)
        if source is None or source.name != "COMMANDLINE":
            continue
        value = context.params[name]
        values = [str(each) for each in value] if isinstance(value, list | tuple) else [str(value)]
        if parameter.param_type_name == "argument":
            typed[name] = values
        else:
            option = max(parameter.opts, key=len)
            typed[name] = (
                [option] if value is True else [word for each in values for word in option_words(option, each)]
            )
    return typed


def option_words(option: str, value: str) -> tuple[str, ...]:
    """The words of an option with its value, in one word if the value looks like an option."""
    return (f"{option}={value}",) if value.startswith("-") else (option, value)


def warn(text: str) -> None:
    """Print a warning."""
    complain(f"WARNING: {text}")


def complain(text: str) -> None:
    """Print what is wrong, on one line of standard error; its commands can be copied."""
    print(f"lenet-bench: {one_line(runnable(text))}", file=sys.stderr)
