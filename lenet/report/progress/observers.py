"""The progress of a run, as lines or as a live view, on standard error: results on standard output can be piped."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from lenet.cases.case import Case
from lenet.dataset import Dataset
from lenet.report.layout import shortened, wrapped
from lenet.report.progress.scoreboard import Scoreboard
from lenet.store.events import Evaluated, Event, Resident, Started, Steps
from lenet.store.record import Record, Status

MOST_BARS = 8
"""Cases in progress that are shown at once: more would push the run's own lines off a small terminal."""

DESCRIPTION = 40
"""Columns of a bar's text."""

REFRESHES_PER_SECOND = 2
"""Few: drawing takes time from the training that is measured on the same cores."""


class PlainObserver:
    """Prints a line for each case: for logs and pipes, and above the live view.

    A line begins with the number of the case, or, with `began`, a reading of `time.monotonic`, with the seconds since
    then: for commands that decide while they run which cases they measure.
    """

    def __init__(self, console: Console, began: float | None = None) -> None:
        self._console = console
        self._began = began
        self._done = self._total = 0
        self._nodes: dict[str, str] = {}
        """The node of each case in progress."""

    def case_started(self, case: Case, done: int, total: int, node: str = "") -> None:
        """Note the counts and the node."""
        self._done, self._total = done, total
        self._nodes[case.id] = node

    def event(self, case: Case, event: Event) -> None:
        """Print nothing."""

    def case_finished(self, case: Case, record: Record) -> None:
        """Print how the case ended."""
        self._done += 1
        node = self._nodes.pop(case.id, "")
        where = f" on {node}" if node else ""
        speed = record.summary.throughput
        words = [f"{speed.median:,.0f} images/s"] if speed else []
        if record.summary.accuracy is not None and case.plan.epochs is not None:
            words.append(f"accuracy {record.summary.accuracy:.4f}")
        if record.status is not Status.OK:
            words.append(f"{record.status.value}: {record.reason}")
        place = f"{self._done}/{self._total}" if self._began is None else f"{time.monotonic() - self._began:.0f} s"
        line = f"[{place}] {case.label}{where}: {', '.join(words) or 'done'}"
        self._console.print(wrapped(line, rest="    "), markup=False, highlight=False, soft_wrap=True)


class LiveObserver(PlainObserver):
    """The same lines, and below them the matrix, the run, and each case in progress: phase, speed, time left.

    `cases` are all cases of the run, `records` those that it had before; without `cases` no matrix is shown.
    """

    def __init__(
        self,
        console: Console,
        datasets: Mapping[str, Dataset],
        cases: Sequence[Case] = (),
        records: Iterable[Record] = (),
        began: float | None = None,
    ) -> None:
        super().__init__(console, began)
        self._board = Scoreboard(cases, records) if len(cases) > 1 else None
        self._datasets = datasets
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=14),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
            console=console,
            auto_refresh=False,
        )
        parts = [self._progress] if self._board is None else [self._board, self._progress]
        self._live = Live(Group(*parts), console=console, refresh_per_second=REFRESHES_PER_SECOND, transient=True)
        self._run: TaskID | None = None
        self._bars: dict[str, TaskID] = {}
        """The bar of each case in progress."""
        self._started = time.monotonic()

    def __enter__(self) -> LiveObserver:
        """Start to draw."""
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop drawing and leave the lines."""
        self._live.stop()

    def case_started(self, case: Case, done: int, total: int, node: str = "") -> None:
        """Show a new case, or one that starts again."""
        super().case_started(case, done, total, node)
        if self._board is not None:
            self._board.started(case)
        if self._run is None:
            self._run = self._progress.add_task("run", total=total, note="")
        mean = (time.monotonic() - self._started) / done if done else None
        left = f"about {_clock(mean * (total - done))} left" if mean else f"{total} cases"
        self._progress.update(self._run, completed=done, total=total, note=left)
        self._end_bar(case)
        words = [case.device_target.value, case.mode.value, f"b{case.hyperparameters.batch_size}"]
        text = shortened(" ".join([f"{node}:", *words] if node else words), DESCRIPTION)
        self._bars[case.id] = self._progress.add_task(
            text, total=self._steps(case), note="starting", visible=len(self._bars) < MOST_BARS
        )

    def _end_bar(self, case: Case) -> None:
        """Remove the case's bar, and show the first of those that were hidden."""
        if (bar := self._bars.pop(case.id, None)) is None:
            return
        self._progress.remove_task(bar)
        for shown in list(self._bars.values())[:MOST_BARS]:
            self._progress.update(shown, visible=True)

    def _steps(self, case: Case, window_steps: int = 0) -> int:
        """Steps that the case will take; `window_steps` are those of a finished window."""
        plan = case.plan
        if plan.epochs is None:
            return plan.warmup_steps + plan.windows * max(plan.window_steps, window_steps)
        return plan.epochs * (self._datasets[case.dataset].card.training_images // case.global_batch_size)

    def event(self, case: Case, event: Event) -> None:
        """Show the progress of the case."""
        if (bar := self._bars.get(case.id)) is None:
            return
        if isinstance(event, Started):
            self._progress.update(bar, note="compiling")
        elif isinstance(event, Steps):
            done = event.first_step + event.steps
            total = self._steps(case, 0 if event.warmup else event.steps)
            left = max(total - done, 0) * event.seconds / event.steps
            state = "warm-up" if event.warmup else f"epoch {event.epoch}"
            rate = event.images_per_second
            if self._board is not None:
                self._board.moving(case, rate)
            note = f"{state}, step {done:,}, {rate:,.0f} img/s, {_clock(left)} left"
            self._progress.update(bar, completed=done, total=total, note=note)
        elif isinstance(event, Evaluated):
            self._progress.update(bar, note=f"accuracy {event.accuracy:.4f}")
        elif isinstance(event, Resident):
            self._progress.update(bar, note="resident batch")

    def case_finished(self, case: Case, record: Record) -> None:
        """Replace the bar by a line."""
        self._end_bar(case)
        if self._board is not None:
            self._board.finished(case, record)
        super().case_finished(case, record)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
