"""One benchmark over the matrix. A round is a window of training steps inside one live worker process.

The worker holds the clock: it alone can synchronise the device before it reads the time. So pytest-benchmark's timer
is the worker's own training clock, advanced by one measured window a round.
"""

from __future__ import annotations

import pytest

from lenet.report import rows
from lenet.store.record import Record, Status


class WorkerClock:
    """A timer, in seconds, that goes on by the length of one steady window at each `advance`."""

    def __init__(self) -> None:
        self._now = 0.0
        self._left: list[float] = []

    def load(self, record: Record) -> int:
        """Take a record's steady windows of full length; returns how many."""
        steady = [window for window in record.windows if not window.warmup]
        full = max(window.steps for window in steady)
        self._left = [window.seconds for window in steady if window.steps == full]
        return len(self._left)

    def advance(self) -> None:
        """One round."""
        self._now += self._left.pop(0)

    def __call__(self) -> float:
        """Read the time."""
        return self._now


CLOCK = WorkerClock()


@pytest.mark.benchmark(timer=CLOCK)
def test_lenet(benchmark, case, session):
    record = session.measure(case)
    if record.status is Status.UNAVAILABLE:
        pytest.skip(record.reason)
    assert record.status is Status.OK, f"{record.status.value}: {record.reason}"
    benchmark.group = f"{case.device_target.value}, batch {case.hyperparameters.batch_size}, {record.dataset.name}"
    (row,) = rows([record], session.measured.store.path.name)
    benchmark.extra_info.update(row.model_dump(mode="json"))
    benchmark.pedantic(CLOCK.advance, rounds=CLOCK.load(record), iterations=1)
