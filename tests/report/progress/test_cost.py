"""What the live view costs the training that is measured on the same cores."""

from __future__ import annotations

import io
import time

from rich.console import Console

from lenet.cases.case import Case, Hyperparameters, Plan
from lenet.engine import TimeLimits, session
from lenet.engine.local import LocalEngine
from lenet.report.progress.live import LiveObserver
from lenet.store.events import Steps
from lenet.store.record import Status

PLAN = Plan(warmup_steps=6, window_steps=4, window_seconds=0.5, windows=10, resident_windows=2)
CASES = [
    Case(dataset="digits", plan=PLAN, hyperparameters=Hyperparameters(batch_size=size), repetition=0)
    for size in (16, 32, 64)
]


class Meter:
    """Adds up the processor time of this process, all threads, from the start of each turn until its report is read."""

    def __init__(self, monkeypatch):
        self.turns, self.in_windows, self.windows = 0, 0.0, 0.0
        self._began = None
        self._read = session.parse
        self._drawn = LiveObserver.turn
        monkeypatch.setattr(session, "parse", self.parse)
        monkeypatch.setattr(LiveObserver, "turn", lambda *arguments: self.turn(*arguments))

    def turn(self, observer, *arguments):
        self._drawn(observer, *arguments)
        self._began = time.process_time()

    def parse(self, line):
        now = time.process_time()
        event = self._read(line)
        if self._began is not None and isinstance(event, Steps):
            self.in_windows += now - self._began
            self.windows += event.seconds
            self.turns += 1
        self._began = None
        return event


def test_the_parent_uses_less_than_one_percent_of_a_core_while_a_window_runs(
    digits, new_store, numpy_worker, monkeypatch
):
    """Processor time, not wall time: a busy machine stretches the windows, not the work."""
    meter = Meter(monkeypatch)
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    observer = LiveObserver(console, {"digits": digits}, CASES)
    began = time.process_time()
    with observer:
        records = LocalEngine(TimeLimits(60, 30), observer, numpy_worker, interleave="windows").run(
            CASES, {"digits": digits}, new_store(CASES, digits)
        )
    whole = time.process_time() - began
    share, milliseconds = meter.in_windows / meter.windows, whole / meter.turns * 1e3
    print(f"{meter.turns} turns of {meter.windows / meter.turns:.3f} s: the parent uses {share:.3%} of a core")
    print(f"while they last, and {milliseconds:.1f} ms per turn in all, with the start of the workers and drawing")
    assert [record.status for record in records] == [Status.OK] * 3
    assert meter.turns >= 100
    assert "cases take turns" in console.file.getvalue()
    assert meter.in_windows < 0.01 * meter.windows
