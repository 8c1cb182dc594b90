"""The frameworks' own profilers: which operators ran in some steps, when, and for how long."""

from __future__ import annotations

import csv
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pydantic import Field

from lenet.cases.case import Case, DeviceTarget, Frozen
from lenet.cases.frameworks import Framework
from lenet.worker.parts import Span

TYPES_FILE = "cpu_op_type_info_*.csv"
"""A table of MindSpore's profiler for CPU: a line for each operator type, times in milliseconds."""
TIMES_FILE = "cpu_op_execute_timestamp_*.txt"
"""A file of the same: a line for each operator, with the beginning of each execution and its milliseconds."""
UNKNOWN_FORM = "this version of MindSpore's profiler writes a table that lenet-bench does not know"
TORCH_OPERATORS = "aten::"
"""How the names of PyTorch's operators begin; other events of its profiler are of autograd and of the optimiser."""
TORCH_BEGIN = "lenet-bench: begin"


class OperatorTime(Frozen):
    """An operator type, summed over all instrumented steps."""

    name: str = Field(max_length=120)
    calls: int = Field(ge=0)
    milliseconds: float = Field(ge=0)


Profile = tuple[tuple[OperatorTime, ...], list[Span]]
Profiler = Callable[[Callable[[], None]], Profile]
"""Calls its argument under the profiler; returns the operators and when they ran."""


def profiler(case: Case) -> Profiler | None:
    """The profiler of the case's framework on its device, or None."""
    if case.device_target is not DeviceTarget.CPU:
        return None
    return {Framework.MINDSPORE: _mindspore, Framework.PYTORCH: _torch}.get(case.framework)


def _mindspore(train: Callable[[], None]) -> Profile:
    from mindspore.profiler import ProfilerActivity, profile, tensorboard_trace_handler

    folder = Path(tempfile.mkdtemp(prefix="profile-", dir=".")).resolve()
    running = profile(activities=[ProfilerActivity.CPU], on_trace_ready=tensorboard_trace_handler(str(folder)))
    train()
    running.stop()
    operators = [each for path in folder.rglob(TYPES_FILE) for each in read_operators(_lines(path))]
    spans = [each for path in folder.rglob(TIMES_FILE) for each in read_spans(_lines(path))]
    return tuple(operators), spans


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def read_operators(lines: list[str]) -> tuple[OperatorTime, ...]:
    """The operators of MindSpore's table, sorted by time, the largest first.

    Raises:
        ValueError: a column is missing or has another content.
    """
    try:
        found = [
            OperatorTime(
                name=line["op_type"],
                calls=int(line["type_occurrences"]),
                milliseconds=float(line["total_compute_time"]),
            )
            for line in csv.DictReader(lines)
        ]
    except (KeyError, TypeError) as error:
        raise ValueError(UNKNOWN_FORM) from error
    return tuple(sorted(found, key=lambda each: each.milliseconds, reverse=True))


def read_spans(lines: Iterable[str]) -> Iterator[Span]:
    """When MindSpore's operators ran: `NAME;KIND;BEGIN,MILLISECONDS,THREAD BEGIN,…`, begins in nanoseconds.

    Raises:
        ValueError: a line has another form.
    """
    for line in lines:
        try:
            _, _, executions = line.rsplit(";", 2)
            for execution in executions.split():
                begin, milliseconds, _ = execution.split(",")
                yield int(begin), int(begin) + round(1e6 * float(milliseconds))
        except ValueError as error:
            raise ValueError(UNKNOWN_FORM) from error


def _torch(train: Callable[[], None]) -> Profile:
    import torch

    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as running:
        now = time.time_ns()
        with torch.profiler.record_function(TORCH_BEGIN):
            pass
        train()
    events = list(running.events())
    start = now - round(1e3 * next(each.time_range.start for each in events if each.name == TORCH_BEGIN))
    operators: dict[str, list[float]] = {}
    spans = []
    for event in events:
        if not event.name.startswith(TORCH_OPERATORS):
            continue
        operators.setdefault(event.name.removeprefix(TORCH_OPERATORS)[:120], []).append(event.self_cpu_time_total)
        if event.cpu_parent is None or not event.cpu_parent.name.startswith(TORCH_OPERATORS):
            spans.append((start + round(1e3 * event.time_range.start), start + round(1e3 * event.time_range.end)))
    found = [
        OperatorTime(name=name, calls=len(times), milliseconds=max(sum(times), 0) / 1e3)
        for name, times in operators.items()
    ]
    return tuple(found), spans


def merged(profiles: Iterable[tuple[OperatorTime, ...]]) -> tuple[OperatorTime, ...]:
    """The operators of several profiles, sorted by time, the largest first."""
    calls: dict[str, int] = {}
    times: dict[str, float] = {}
    for each in (operator for profile in profiles for operator in profile):
        calls[each.name] = calls.get(each.name, 0) + each.calls
        times[each.name] = times.get(each.name, 0.0) + each.milliseconds
    found = (OperatorTime(name=name, calls=calls[name], milliseconds=times[name]) for name in times)
    return tuple(sorted(found, key=lambda each: each.milliseconds, reverse=True))
