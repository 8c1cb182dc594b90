"""The ranks' reports as one: what the slowest took, what all did together, and that they agree."""

from __future__ import annotations

import hashlib
import math
import struct
from collections import deque
from collections.abc import Sequence
from typing import TypeVar

from lenet.store.events import Compiled, Evaluated, Event, Failed, Finished, Resident, Started, Steps

E = TypeVar("E", Compiled, Evaluated, Finished, Resident, Started, Steps)


class DisagreementError(RuntimeError):
    """The ranks did not do the same training."""


class Merger:
    """Takes the events of `size` ranks, each rank's in order, and gives the case's."""

    def __init__(self, size: int) -> None:
        self._waiting: list[deque[Event]] = [deque() for _ in range(size)]
        self._losses = hashlib.sha256()

    def take(self, rank: int, event: Event) -> list[Event]:
        """The case's events that this one completes.

        A failure goes through at once: the other ranks wait for ever for the one that failed.

        Raises:
            DisagreementError: the ranks' reports do not fit together.
        """
        if isinstance(event, Failed):
            return [event.model_copy(update={"reason": f"rank {rank} of {len(self._waiting)}: {event.reason}"[:4000]})]
        self._waiting[rank].append(event)
        merged = []
        while all(self._waiting):
            merged.append(self._merge([events.popleft() for events in self._waiting]))
        return merged

    def _merge(self, events: Sequence[Event]) -> Event:
        first = events[0]
        if isinstance(first, Started):
            return self._started(_same(Started, events))
        if isinstance(first, Compiled):
            return Compiled(seconds=max(each.seconds for each in _same(Compiled, events)))
        if isinstance(first, Steps):
            return self._steps(_same(Steps, events))
        if isinstance(first, Evaluated):
            return _evaluated(_same(Evaluated, events))
        if isinstance(first, Resident):
            return first.model_copy(update=_window(_same(Resident, events)))
        if isinstance(first, Finished):
            return self._finished(_same(Finished, events))
        raise AssertionError(f"a failure is not merged: {first}")

    def _started(self, events: Sequence[Started]) -> Started:
        if len({each.initial_weights_sha256 for each in events}) > 1:
            raise DisagreementError("the ranks do not begin with the same weights")
        software = events[0].software
        details = {**software.details, "ranks": str(len(events))}
        return events[0].model_copy(update={"software": software.model_copy(update={"details": details})})

    def _steps(self, events: Sequence[Steps]) -> Steps:
        window = _window(events)
        if len({each.steps for each in events}) > 1:
            raise DisagreementError("the ranks do not count the same steps")
        losses = [_mean(values) for values in zip(*(each.losses for each in events), strict=True)]
        self._losses.update(struct.pack(f"<{len(losses)}f", *(math.nan if each is None else each for each in losses)))
        return events[0].model_copy(update={**window, "losses": tuple(losses)})

    def _finished(self, events: Sequence[Finished]) -> Finished:
        if len({each.final_weights_sha256 for each in events}) > 1:
            raise DisagreementError("the ranks do not end with the same weights")
        peaks = [each.peak_memory_bytes for each in events if each.peak_memory_bytes is not None]
        slowest = max(events, key=lambda each: each.phases.wall_seconds)
        return slowest.model_copy(
            update={
                "losses_sha256": self._losses.hexdigest(),
                "peak_memory_bytes": sum(peaks) if len(peaks) == len(events) else None,
            }
        )


def _same(kind: type[E], events: Sequence[Event]) -> list[E]:
    same = [each for each in events if isinstance(each, kind)]
    if len(same) != len(events):
        raise DisagreementError(f"the ranks do not report the same: {', '.join(each.event for each in events)}")
    return same


def _mean(losses: Sequence[float | None]) -> float | None:
    """The whole batch's loss: the mean of equal shares' means."""
    finite = [loss for loss in losses if loss is not None]
    return sum(finite) / len(finite) if len(finite) == len(losses) else None


def _window(events: Sequence[Steps] | Sequence[Resident]) -> dict[str, float | int]:
    if len({(each.first_step, each.warmup) for each in events}) > 1:
        raise DisagreementError("the ranks are not at the same step")
    return {"seconds": max(each.seconds for each in events), "images": sum(each.images for each in events)}


def _evaluated(events: Sequence[Evaluated]) -> Evaluated:
    """Every rank judges the whole test set with the same weights; rank 0's judgement is the case's."""
    return events[0].model_copy(
        update={
            "seconds": max(each.seconds for each in events),
            "training_seconds": max(each.training_seconds for each in events),
            "training_loss": _mean([each.training_loss for each in events]),
        }
    )
