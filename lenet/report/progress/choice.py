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


@contextmanager
def progress(
    store: Store, datasets: Mapping[str, Dataset], cases: int, quiet: bool
) -> Iterator[PlainObserver | NotebookObserver]:
    """An observer of a run of which `cases` are measured now: live in a terminal or a notebook, lines elsewhere."""
    console = Console(stderr=True, quiet=quiet, emoji=False)
    if console.is_jupyter and not quiet:
        notebook = NotebookObserver(cases)
        try:
            yield notebook
        finally:
            notebook.close()
    elif console.is_terminal and not quiet:
        with LiveObserver(console, datasets, store.manifest.cases, store.records()) as live:
            yield live
    else:
        yield PlainObserver(console)
