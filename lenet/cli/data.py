"""Finding a verb's data, with a progress bar for what is downloaded."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from lenet.dataset import Dataset


def find(name: str, data_dir: Path | None, console: Console) -> Dataset:
    """The data that `--dataset` and `--data-dir` mean; a substitute is announced on standard error.

    Raises:
        DatasetError: it cannot be had.
    """
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from lenet.dataset import resolve

    def warn(text: str) -> None:
        print(f"lenet-bench: WARNING: {text}", file=sys.stderr)

    columns = (TextColumn("{task.description}"), BarColumn(20), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        tasks: dict[str, Any] = {}

        def progress(file: str, done: int, total: int | None) -> None:
            if file not in tasks:
                tasks[file] = bars.add_task(file, total=total)
            bars.update(tasks[file], completed=done, total=total)

        return resolve(name, data_dir, progress=progress, warn=warn)
