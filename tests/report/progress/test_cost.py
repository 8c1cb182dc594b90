"""What the live view costs the training that is measured on the same cores."""

from __future__ import annotations

import io
import statistics
import time

from rich.console import Console

from lenet.cases.case import Case, Hyperparameters, Plan
from lenet.engine import TimeLimits, process, session
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
    """The processor time of this process, all threads, from the start of each turn until its report arrives.

    A turn's lead-in and its window are both reported when it has ended.
    """

    def __init__(self, monkeypatch):
        self.turns: list[tuple[float, float]] = []
        self._trained = 0.0
        self._began = self._arrived = None
        self._read, self._paused = session.parse, process.PAUSED
        self._drawn = LiveObserver.turn
        monkeypatch.setattr(session, "parse", self.parse)
        monkeypatch.setattr(process, "PAUSED", self)
        monkeypatch.setattr(LiveObserver, "turn", lambda *arguments: self.turn(*arguments))

    def turn(self, observer, *arguments):
        self._drawn(observer, *arguments)
        self._arrived, self._trained = None, 0.0
        self._began = time.process_time()

    def match(self, line):
        """What the thread that reads a worker's lines does with each of them."""
        if self._arrived is None:
            self._arrived = time.process_time()
        return self._paused.match(line)

    def parse(self, line):
        event = self._read(line)
        if self._began is not None and isinstance(event, Steps):
            self._trained += event.seconds
            if not event.warmup:
                self.turns.append((self._trained, self._arrived - self._began))
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
    # The median: a wake-up on a busy machine takes ten times what it usually takes.
    seconds = statistics.median(trained for trained, _ in meter.turns)
    share = statistics.median(used / trained for trained, used in meter.turns)
    print(f"{len(meter.turns)} turns of {seconds:.3f} s: the parent uses {share:.3%} of a core while they last,")
    print(f"and {whole / len(meter.turns) * 1e3:.1f} ms per turn in all, with the start of the workers and drawing")
    assert [record.status for record in records] == [Status.OK] * 3
    assert len(meter.turns) >= 100
    assert "cases take turns" in console.file.getvalue()
    assert share < 0.01
