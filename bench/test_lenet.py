"""One benchmark over the matrix, in seconds per training step. A round is a window of steps in a worker process.

The worker holds the clock: it alone can synchronise the device before it reads the time. pytest-benchmark's timer
therefore replays the worker's own training clock: each call of the benchmarked function is one training step, each
round is one window. pytest-benchmark wants the same number of iterations in all rounds, and turns may have different
numbers of steps: a round has as many steps as the first window, each as long as those of its own window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, repeat

import pytest

from lenet.report import rows
from lenet.store.record import Status, Window, full_windows


class WorkerClock:
    """A timer, in seconds, that advances by the time of one training step at each call of `step`."""

    def __init__(self) -> None:
        self._now = 0.0
        self._steps: Iterator[float] = iter(())

    def load(self, windows: Sequence[Window], iterations: int) -> None:
        """Replay these windows next, `iterations` steps of each. A step takes the window's seconds over its steps."""
        self._steps = chain.from_iterable(repeat(each.seconds / each.steps, iterations) for each in windows)

    def step(self) -> None:
        """One training step. After the last one the clock stands: pytest-benchmark calls once more for the result."""
        self._now += next(self._steps, 0.0)

    def __call__(self) -> float:
        """Read the time."""
        return self._now


CLOCK = WorkerClock()


@pytest.mark.benchmark(timer=CLOCK)
def test_training_step(benchmark, case, session):
    record = session.measure(case)
    if record.status is Status.UNAVAILABLE:
        pytest.skip(record.reason)
    assert record.status is Status.OK, f"{record.status.value}: {record.reason}"
    windows = full_windows(record.windows)
    if not windows:
        pytest.skip("no time per step: training ended within the warm-up; raise --epochs or lower --batch-size")
    words = [case.device_target.value, f"batch {case.hyperparameters.batch_size}", record.dataset.name]
    if session.compares_releases:
        words.insert(1, case.mode.value)
    benchmark.group = f"seconds per training step: {', '.join(words)}"
    (row,) = rows([record], session.run.store.path.name)
    benchmark.extra_info.update(row.model_dump(mode="json"), group=record.group)
    iterations = windows[0].steps
    CLOCK.load(windows, iterations)
    benchmark.pedantic(CLOCK.step, rounds=len(windows), iterations=iterations)
