"""Which view of the progress fits the place where Python runs: a terminal, a notebook, or a log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console

from lenet.dataset import Dataset
from lenet.report.progress.live import LiveObserver
from lenet.report.progress.notebook import NotebookObserver
from lenet.report.progress.plain import PlainObserver
from lenet.store.run import Store


def error_console(quiet: bool) -> Console:
    """The console on standard error; a quiet one prints nothing."""
    return Console(stderr=True, quiet=quiet, emoji=False)


def redrawn(console: Console) -> bool:
    """Whether a view can be drawn over itself: not in a log, which rich takes for a terminal with FORCE_COLOR."""
    return console.is_terminal and console.file.isatty() and not console.is_dumb_terminal and not console.quiet


@contextmanager
def progress(store: Store, datasets: Mapping[str, Dataset], cases: int, quiet: bool) -> Iterator[PlainObserver]:
    """An observer of a run of which `cases` are measured now: live in a terminal or a notebook, lines elsewhere."""
    console = error_console(quiet)
    if console.is_jupyter and not quiet:
        notebook = NotebookObserver(cases)
        try:
            yield notebook
        finally:
            notebook.close()
    elif redrawn(console):
        with LiveObserver(console, datasets, store.manifest.cases, store.records()) as live:
            yield live
    else:
        yield PlainObserver(console)
