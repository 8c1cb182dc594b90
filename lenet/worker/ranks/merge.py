"""The ranks' events as one case's events.

Every time is rank 0's. The ranks wait for one another in each step's all-reduce, at each evaluation and before the
first step, so that one rank's clock sees them all; and times of one clock add up, which the slowest rank's of each
window would not. What the ranks share is summed (images, memory) or averaged (losses).
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections import deque
from collections.abc import Sequence
from typing import TypeVar

from typing_extensions import assert_never

from lenet.store.events import Compiled, Evaluated, Event, Failed, Finished, Resident, Sketched, Started, Steps, Traced

E = TypeVar("E", Compiled, Evaluated, Finished, Resident, Sketched, Started, Steps)


class DisagreementError(RuntimeError):
    """The ranks do not do the same training."""


class Merger:
    """Takes the events of `size` ranks, each rank's in order, and returns the case's."""

    def __init__(self, size: int) -> None:
        self._waiting: list[deque[Event]] = [deque() for _ in range(size)]
        self._digest = hashlib.sha256()
        self._losses: list[float] = []
        """Since the last evaluation."""

    def take(self, rank: int, event: Event) -> list[Event]:
        """The case's events that this one completes.

        A failure is passed on at once: the other ranks wait in vain for the one that failed.

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
        match first:
            case Started():
                return _started(_same(first, events))
            case Compiled():
                return _same(first, events)[0]
            case Steps():
                return self._steps(_same(first, events))
            case Evaluated():
                return self._evaluated(_same(first, events)[0])
            case Resident():
                return first.model_copy(update={"images": _images(_same(first, events))})
            case Sketched():
                if any(each != first for each in _same(first, events)):
                    raise DisagreementError(f"the ranks do not have the same weights after step {first.step}")
                return first
            case Finished():
                return self._finished(_same(first, events))
            case Traced():
                raise DisagreementError("a case of several ranks is not traced")
            case Failed():
                raise AssertionError("a failure is not merged")
            case _:
                assert_never(first)

    def _steps(self, events: Sequence[Steps]) -> Steps:
        images = _images(events)
        if len({each.steps for each in events}) > 1:
            raise DisagreementError("the ranks do not count the same steps")
        losses = [_mean(values) for values in zip(*(each.losses for each in events), strict=True)]
        self._losses += losses
        self._digest.update(struct.pack(f"<{len(losses)}f", *losses))
        finite = tuple(loss if math.isfinite(loss) else None for loss in losses)
        return events[0].model_copy(update={"images": images, "losses": finite})

    def _evaluated(self, event: Evaluated) -> Evaluated:
        """Every rank evaluates the same test images with the same weights: rank 0's result is the case's."""
        mean = sum(self._losses) / len(self._losses) if self._losses else math.nan
        self._losses.clear()
        return event.model_copy(update={"training_loss": mean if math.isfinite(mean) else None})

    def _finished(self, events: Sequence[Finished]) -> Finished:
        if len({each.final_weights_sha256 for each in events}) > 1:
            raise DisagreementError("the ranks do not end with the same weights")
        peaks = [each.peak_memory_bytes for each in events if each.peak_memory_bytes is not None]
        return events[0].model_copy(
            update={
                "losses_sha256": self._digest.hexdigest(),
                "peak_memory_bytes": sum(peaks) if len(peaks) == len(events) else None,
            }
        )


def _same(first: E, events: Sequence[Event]) -> list[E]:
    """The events, which must all be of the first one's kind."""
    same = [each for each in events if isinstance(each, type(first))]
    if len(same) != len(events):
        raise DisagreementError(f"the ranks do not report the same: {', '.join(each.event for each in events)}")
    return same


def _started(events: Sequence[Started]) -> Started:
    if len({each.initial_weights_sha256 for each in events}) > 1:
        raise DisagreementError("the ranks do not begin with the same weights")
    software = events[0].software
    details = {**software.details, "ranks": str(len(events))}
    return events[0].model_copy(update={"software": software.model_copy(update={"details": details})})


def _images(events: Sequence[Steps] | Sequence[Resident]) -> int:
    """All ranks' images of one window."""
    if len({(each.first_step, each.warmup) for each in events}) > 1:
        raise DisagreementError("the ranks are not at the same step")
    return sum(each.images for each in events)


def _mean(losses: Sequence[float | None]) -> float:
    """The whole batch's loss, the mean of equal shares' means, as float32 like a loss of one process.

    NaN where a rank's was not finite.
    """
    mean = sum(math.nan if loss is None else loss for loss in losses) / len(losses)
    single: tuple[float] = struct.unpack("<f", struct.pack("<f", mean))
    return single[0]
