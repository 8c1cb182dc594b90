"""Loss traces for a picture: every step's loss from the event log, thinned in the open."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from lenet.analysis.traces import losses
from lenet.cases.case import Case, Mode
from lenet.errors import StoreError
from lenet.store.run import EVENTS, Store

MAX_TRACES = 24
"""More lines than this nobody tells apart."""
POINTS = 160
"""Points of a thinned trace."""
MAX_LOG_BYTES = 96 * 2**20
"""The largest event log that is read for its traces, and all of them together."""


@dataclass(frozen=True)
class Trace:
    """One case's losses. Each point stands for `steps_a_point` consecutive steps."""

    run: str
    case: Case
    steps: int
    steps_a_point: int
    last_step: tuple[int, ...]
    """The last step of each point, the first of all being 1."""
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    not_finite: int
    """Steps whose loss was not a finite number: they are in no point."""


def thin(trace: Sequence[float], points: int = POINTS) -> tuple[int, list[tuple[int, float, float, float]]]:
    """A trace as at most `points` buckets of equal length: last step, mean, lowest and highest of each.

    Nothing is dropped: the lowest and the highest keep the spikes that a mean hides. A bucket without a finite loss is
    left out.

    >>> thin([4.0, 2.0, 3.0, 1.0, 1.0], points=3)
    (2, [(2, 3.0, 2.0, 4.0), (4, 2.0, 1.0, 3.0), (5, 1.0, 1.0, 1.0)])
    """
    size = max(1, math.ceil(len(trace) / points))
    thinned = []
    for first in range(0, len(trace), size):
        bucket = trace[first : first + size]
        finite = [loss for loss in bucket if math.isfinite(loss)]
        if finite:
            thinned.append((first + len(bucket), statistics.fmean(finite), min(finite), max(finite)))
    return size, thinned


def read_traces(stores: Sequence[tuple[str, Store]], notes: list[str]) -> tuple[list[Trace], int]:
    """The traces to show: one for each kind of case, the longest trainings first; and how many were left out.

    What cannot be read is said in `notes`.
    """
    order = list(Mode)
    chosen: dict[tuple[object, ...], tuple[str, Store, Case]] = {}
    count = 0
    for name, store in stores:
        for case in store.manifest.cases:
            if not store.record_path(case).exists():
                continue
            count += 1
            kind = (
                *(case.framework, case.device_target, case.mode, case.profile.name, case.plan.epochs, case.dataset),
                *(case.hyperparameters.batch_size, case.world_size, store.manifest.machine.id),
            )
            chosen.setdefault(kind, (name, store, case))
    wanted = sorted(
        chosen.values(),
        key=lambda each: (
            *(-(each[2].plan.epochs or 0), each[2].profile.name != "default", each[2].hyperparameters.batch_size),
            order.index(each[2].mode),
        ),
    )
    traces: list[Trace] = []
    read = 0
    for name, store, case in wanted[:MAX_TRACES]:
        read += (store.path / EVENTS).stat().st_size
        if read > MAX_LOG_BYTES:
            break
        try:
            trace = losses(store, case)
        except StoreError as error:
            notes.append(f"no loss curve: {str(error).replace(str(store.path), name)}")
            continue
        if len(trace) < 2:
            continue
        size, points = thin(trace)
        if not points:
            continue
        steps, mean, low, high = zip(*points, strict=True)
        missing = sum(not math.isfinite(loss) for loss in trace)
        traces.append(Trace(name, case, len(trace), size, steps, mean, low, high, missing))
    return traces, count - len(traces)
