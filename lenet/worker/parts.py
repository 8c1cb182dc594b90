"""The parts of a training step by the clock: waiting for its batch, Python and launching, kernels, and the rest.

A step is divided by four readings of the clock: it begins, it has its batch, its call has returned to Python, its loss
is there. The profiler says when an operator ran. Whatever time at least one operator ran is the kernels'; what is left
is the host's until the call has returned, and the rest afterwards. The four parts of a step add up to it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

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
    """The loss is there."""


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
        """Train `count` steps, and wait for each."""
        marks = []
        for _ in range(count):
            begun = time.time_ns()
            loss = next(self._steps)
            returned = time.time_ns()
            self._trainer.synchronize(loss)
            marks.append(StepMarks(begun, self._batch, returned, time.time_ns()))
        return marks


def divided(plain_seconds: float, marks: Sequence[StepMarks], operators: Iterable[Span] | None) -> PartTimes:
    """The parts of a block of at least one step; `operators` is None where there is no profiler."""
    spans = _merged(operators or ())
    data = sum(each.batch - each.begun for each in marks)
    in_call = sum(_covered(spans, each.batch, each.returned) for each in marks)
    afterwards = sum(_covered(spans, each.returned, each.ended) for each in marks)
    call = sum(each.returned - each.batch for each in marks)
    wait = sum(each.ended - each.returned for each in marks)
    return PartTimes(
        steps=len(marks),
        plain_seconds=plain_seconds,
        data_seconds=max(data, 0) / 1e9,  # somebody may set the wall clock
        host_seconds=max(call - in_call, 0) / 1e9,
        kernel_seconds=None if operators is None else (in_call + afterwards) / 1e9,
        rest_seconds=max(wait - afterwards, 0) / 1e9,
    )


def _merged(spans: Iterable[Span]) -> list[Span]:
    """The spans in order, those that overlap as one."""
    merged: list[Span] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def _covered(spans: Sequence[Span], begin: int, end: int) -> int:
    """How much of the time from `begin` to `end` the spans cover."""
    return sum(max(0, min(end, last) - max(begin, first)) for first, last in spans)
