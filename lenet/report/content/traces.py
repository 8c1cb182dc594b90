"""Loss traces for charts: every step's loss from the event log, thinned."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from lenet.analysis.traces import losses
from lenet.cases.axes import AXES
from lenet.cases.axis import Kind
from lenet.cases.case import Case, Mode
from lenet.errors import StoreError
from lenet.report.table.words import count
from lenet.store.manifest import EVENTS
from lenet.store.run import Store

MAX_TRACES = 24
"""More lines cannot be told apart."""
POINTS = 160
"""Points of a thinned trace."""
Point = tuple[int, float, float, float]
"""The last step of a bucket of consecutive steps, the first of all being 1; the mean, lowest and highest loss."""
MAX_LOG_BYTES = 96 * 2**20
"""The largest event log that is read for its traces, and all of them together."""


@dataclass(frozen=True)
class Trace:
    """One case's losses, thinned."""

    run: str
    case: Case
    points: Sequence[Point]


def thin(trace: Sequence[float], most: int = POINTS) -> list[Point]:
    """A trace as at most `most` buckets of equal length, each a point.

    The lowest and the highest loss keep the spikes that a mean hides. A bucket without a finite loss is omitted.

    >>> thin([4.0, 2.0, 3.0, 1.0, 1.0], most=3)
    [(2, 3.0, 2.0, 4.0), (4, 2.0, 1.0, 3.0), (5, 1.0, 1.0, 1.0)]
    """
    size = max(1, math.ceil(len(trace) / most))
    thinned = []
    for first in range(0, len(trace), size):
        bucket = trace[first : first + size]
        finite = [loss for loss in bucket if math.isfinite(loss)]
        if finite:
            thinned.append((first + len(bucket), statistics.fmean(finite), min(finite), max(finite)))
    return thinned


def read_traces(stores: Sequence[tuple[str, Store]], notes: list[str]) -> list[Trace]:
    """One trace of each kind of case, the longest trainings first.

    `stores` are runs with their names. What cannot be read is added to `notes`.
    """
    chosen: dict[tuple[str, ...], tuple[str, Store, Case]] = {}
    for name, store in stores:
        for case in store.manifest.cases:
            if store.record_path(case).exists():
                chosen.setdefault((store.manifest.machine.id, *_kind(case)), (name, store, case))
    traces: list[Trace] = []
    wanted = sorted(chosen.values(), key=lambda each: _order(each[2]))[:MAX_TRACES]
    read = 0
    for place, (name, store, case) in enumerate(wanted):
        read += (store.path / EVENTS).stat().st_size  # for each case: its events are looked for in the whole log
        if read > MAX_LOG_BYTES:
            notes.append(f"no loss curve of {count(len(wanted) - place, 'case')}: the event logs are too long")
            break
        try:
            trace = losses(store, case)
        except StoreError as error:
            notes.append(f"no loss curve: {str(error).replace(str(store.path), name)}")
            continue
        if len(trace) > 1 and (points := thin(trace)):
            traces.append(Trace(name, case, points))
    return traces


def _kind(case: Case) -> list[str]:
    """What cases of one kind agree on: every axis but seed and repetition."""
    return [
        each.identity(each.of_case(case))
        for each in AXES
        if each.path and each.kind is not Kind.REPETITION and each.name != "seed"
    ]


def _order(case: Case) -> tuple[int, bool, int, int]:
    order = list(Mode).index(case.mode)
    return -(case.plan.epochs or 0), bool(case.profile.settings), case.hyperparameters.batch_size, order
