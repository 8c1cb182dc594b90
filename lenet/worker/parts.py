"""The parts of training steps by the clock: waiting for a batch, Python and launching, kernels, and the rest.

The steps of a window follow one another as in any other window: only its end waits for the device. The training thread
reads the clock when it has a batch and when the call of a step has returned; the profiler says when an operator ran.
Each moment of the window belongs to one part: to the kernels while at least one operator runs, otherwise to what the
training thread does. The parts of a window add up to it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lenet.store.parts import PartTimes

if TYPE_CHECKING:
    from lenet.training import Trainer


class StepMarks(NamedTuple):
    """Readings of the wall clock in nanoseconds, in this order."""

    begun: int
    batch: int
    """The pipeline has given the batch."""
    returned: int
    """The call of the step has returned; the device may still work."""
    ended: int
    """The next step begins; of the last step of a window: its loss is there."""


Span = tuple[int, int]
"""Begin and end of one operator in nanoseconds of the wall clock."""


class TrainingSteps:
    """A trainer's steps with its pipeline, pass after pass, and the time at which the last one had its batch."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._batch = 0
        self._steps = self._passes()

    def _passes(self) -> Iterator[Any]:
        while True:
            yield from self._trainer.train_epoch(self._note)

    def _note(self, *_: object) -> None:
        self._batch = time.time_ns()

    def plain(self, count: int) -> float:
        """Train `count` steps as a window does; returns their seconds."""
        began = time.perf_counter()
        for _ in range(count):
            loss = next(self._steps)
        self._trainer.synchronize(loss)
        return time.perf_counter() - began

    def marked(self, count: int) -> list[StepMarks]:
        """Train `count` steps in the same way, and read the clock at each."""
        marks = []
        begun = time.time_ns()
        for _ in range(count):
            loss = next(self._steps)
            returned = time.time_ns()
            marks.append(StepMarks(begun, self._batch, returned, returned))
            begun = returned
        self._trainer.synchronize(loss)
        marks[-1] = marks[-1]._replace(ended=time.time_ns())
        return marks


def divided(
    plain_seconds: float, clocked_seconds: float, marks: Sequence[StepMarks], operators: Iterable[Span] | None
) -> PartTimes:
    """The parts of a window of at least one step; `operators` is None where there is no profiler.

    The seconds are those of as many steps without the profiler: plain ones, and ones at which the clock is read.
    """
    readings = np.array(marks, dtype=np.int64)
    running = np.diff(_covered(operators or (), readings), axis=1)
    # Somebody may set the wall clock, and a part is never below 0.
    data, host, rest = np.maximum((np.diff(readings, axis=1) - running).sum(axis=0), 0) / 1e9
    return PartTimes(
        steps=len(marks),
        plain_seconds=plain_seconds,
        clocked_seconds=clocked_seconds,
        instrumented_seconds=max(marks[-1].ended - marks[0].begun, 0) / 1e9,
        data_seconds=float(data),
        host_seconds=float(host),
        kernel_seconds=None if operators is None else float(running.sum()) / 1e9,
        rest_seconds=float(rest),
    )


def _covered(spans: Iterable[Span], times: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """How much of the time from the first of the times to each of them the spans cover, in nanoseconds."""
    begin = times.flat[0]
    # From the first reading on: a float has no room for the nanoseconds since 1970.
    edges = np.array(_merged(spans), dtype=np.int64).reshape(-1) - begin
    if not edges.size:
        return np.zeros(times.shape)
    totals = np.repeat(np.cumsum(edges[1::2] - edges[::2]), 2)
    totals = np.concatenate([[0], totals[:-1]])
    until: npt.NDArray[np.float64] = np.interp(times - begin, edges, totals)
    since: npt.NDArray[np.float64] = until - until.flat[0]
    return since


def _merged(spans: Iterable[Span]) -> list[Span]:
    """The spans in order, those that overlap as one."""
    merged: list[Span] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged
