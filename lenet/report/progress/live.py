"""The progress of a run as a live view in a terminal, on standard error: results on standard output can be piped."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from lenet.cases.case import Case
from lenet.cases.frameworks import ABILITIES
from lenet.dataset import Dataset
from lenet.report.layout import shortened, told_apart
from lenet.report.progress.group import GroupState, clock
from lenet.report.progress.plain import PlainObserver
from lenet.report.progress.scoreboard import RUNS, WAITS, Scoreboard, telling, words_of
from lenet.store.events import Evaluated, Event, Resident, Started, Steps
from lenet.store.record import Record

MOST_BARS = 8
"""Cases in progress that are shown at once: more would push the run's own lines off a small terminal."""

DESCRIPTION = 40
"""Columns of a bar's text."""

TURN_DRAW_SECONDS = 0.5
"""Time between two drawings between turns, when no worker trains."""

IDLE_DRAW_SECONDS = 1.0
"""After this long without a drawing the view is drawn whatever runs. Rarely: that takes time from the training which is
measured on the same cores."""


class LiveObserver(PlainObserver):
    """The lines of cases, and below them the matrix, the run, the groups, and each case in progress.

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
        self._called = _called(cases)
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
        self._live = Live(Group(*parts), console=console, auto_refresh=False, transient=True)
        self._run: TaskID | None = None
        self._bars: dict[Case, TaskID] = {}
        """The bar of each case in progress."""
        self._drawn_at = self._started = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._draw_when_idle, daemon=True)

    def __enter__(self) -> LiveObserver:
        """Start to draw."""
        self._live.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop drawing and leave the lines."""
        self._ended.set()
        self._thread.join()
        self._live.stop()

    def _draw_when_idle(self) -> None:
        """Draw as time passes where nothing else does: a case that compiles reports nothing."""
        while not self._ended.wait(IDLE_DRAW_SECONDS / 2):
            if time.monotonic() - self._drawn_at >= IDLE_DRAW_SECONDS:
                self.draw()

    def draw(self) -> None:
        """Draw the view with all that is known now."""
        self._drawn_at = time.monotonic()
        groups = dict.fromkeys(list(self._groups.values()))
        for group in groups:
            if group.bar is not None:
                self._progress.update(group.bar, completed=group.cycle, total=group.cycles or None, note=group.progress)
        waiting = {case for group in groups for case in list(group.alive) if case != group.on_turn}
        for case, bar in list(self._bars.items()):
            self._progress.update(bar, description=self._description(case, case in waiting))
        if self._board is not None:
            self._board.waiting = waiting
        self._live.refresh()

    def _show_group(self, group: GroupState) -> None:
        """Draw between two turns, unless that was done a short time ago."""
        if group.bar is None:
            name = f"{group.node}: {group.name}" if group.node else group.name
            group.bar = self._progress.add_task(shortened(name, DESCRIPTION), total=None, note="")
        if time.monotonic() - self._drawn_at >= TURN_DRAW_SECONDS:
            self.draw()

    def case_started(self, case: Case, done: int, total: int, node: str = "") -> None:
        """Show a new case, or one that starts again."""
        if self._board is not None:
            self._board.started(case)
        if self._run is None:
            self._run = self._progress.add_task("run", total=total, note="")
        mean = (time.monotonic() - self._started) / done if done else None
        left = f"about {clock(mean * (total - done))} left" if mean else f"{total} cases"
        self._progress.update(self._run, completed=done, total=total, note=left)
        super().case_started(case, done, total, node)
        self._end_bar(case)
        self._bars[case] = self._progress.add_task(
            self._description(case, waiting=False),
            total=self._steps(case),
            note="starting",
            visible=len(self._bars) < MOST_BARS,
        )

    def _description(self, case: Case, waiting: bool) -> str:
        """In what the case differs from the others; of the cases that take turns, the one on turn has a mark."""
        mode = ABILITIES[case.framework].own_mode(case.mode)
        words = [case.device_target.value, mode.value, f"b{case.hyperparameters.batch_size}"]
        words = [self._called[case]] if case in self._called else words
        if node := self._nodes.get(case.id):
            words.insert(0, f"{node}:")
        if case in self._groups:
            words.insert(0, WAITS if waiting else RUNS)
        return shortened(" ".join(words), DESCRIPTION)

    def _end_bar(self, case: Case) -> None:
        """Remove the case's bar, and show the first of those that were hidden."""
        if (bar := self._bars.pop(case, None)) is None:
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
        super().event(case, event)
        if (bar := self._bars.get(case)) is None:
            return
        if isinstance(event, Started):
            self._progress.update(bar, note="compiling")
        elif isinstance(event, Steps):
            if event.leads_in(case.plan):
                return
            done = event.first_step + event.steps
            state = "warm-up" if event.warmup else f"epoch {event.epoch}"
            rate = event.images_per_second
            if self._board is not None:
                self._board.moving(case, rate)
            note = f"{state}, step {done:,}, {rate:,.0f} img/s"
            if (group := self._groups.get(case)) is None:
                total = self._steps(case, 0 if event.warmup else event.steps)
                note += f", {clock(max(total - done, 0) * event.seconds / event.steps)} left"
                self._progress.update(bar, completed=done, total=total, note=note)
            else:  # its steps and its time depend on the turns: it is as far as its group
                self._progress.update(bar, completed=group.cycle, total=group.cycles or None, note=note)
        elif isinstance(event, Evaluated):
            self._progress.update(bar, note=f"accuracy {event.accuracy:.4f}")
        elif isinstance(event, Resident):
            self._progress.update(bar, note="resident batch")

    def case_finished(self, case: Case, record: Record) -> None:
        """Replace the bar by a line; with a group's last case, the group's bar ends too."""
        self._end_bar(case)
        if self._board is not None:
            self._board.finished(case, record)
        group = self._groups.get(case)
        super().case_finished(case, record)
        if group is not None and not group.alive and group.bar is not None:
            self._progress.remove_task(group.bar)
            group.bar = None


def _called(cases: Sequence[Case]) -> dict[Case, str]:
    """The cases by the axes in which they differ; empty if they differ in none."""
    axes = telling(cases)
    texts = {case: " ".join(words_of(case, axes)) for case in cases if axes}
    short = told_apart(texts.values(), DESCRIPTION - len(f"{RUNS} "))
    return {case: short[text] for case, text in texts.items()}
