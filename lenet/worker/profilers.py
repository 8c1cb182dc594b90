"""The frameworks' own profilers: which operators ran in some steps, when, and for how long."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from lenet.cases.case import Case, DeviceTarget, Frozen
from lenet.cases.frameworks import Framework

TIMES_FILE = "cpu_op_execute_timestamp_*.txt"
"""What MindSpore's profiler for CPU writes: a line for each operator, with the begin of each execution and its
milliseconds."""
UNKNOWN_FORM = "this version of MindSpore's profiler writes a table that lenet-bench does not know"
TORCH_OPERATORS = "aten::"
"""How the names of PyTorch's operators begin; other events of its profiler are of autograd and of the optimiser."""
TORCH_BEGIN = "lenet-bench: begin"

TORCH_MARKS = 5
"""Events that tell the profiler's clock; of these the one closest to ours counts. A thread may be stopped between the
two readings, and operators of the first step would then seem to come before it."""


class OperatorTime(Frozen):
    """An operator type, summed over all instrumented steps."""

    name: str = Field(max_length=120)
    calls: int = Field(ge=0)
    milliseconds: float = Field(ge=0)


class OperatorRun(NamedTuple):
    """One execution of an operator; begin and end in nanoseconds of the wall clock."""

    name: str
    begin: int
    end: int
    own_milliseconds: float
    """Without the operators that it called."""


Read = Callable[[], list[OperatorRun]]
"""Reads what the profiler has recorded. That takes long, and is done when nothing is measured."""
Profiler = Callable[[Callable[[], None]], Read]
"""Calls its argument under the profiler."""


def profiler(case: Case) -> Profiler | None:
    """The profiler of the case's framework on its device, or None."""
    if case.device_target is not DeviceTarget.CPU:
        return None
    return {Framework.MINDSPORE: _mindspore, Framework.PYTORCH: _torch}.get(case.framework)


def _mindspore(train: Callable[[], None]) -> Read:
    from mindspore.profiler import ProfilerActivity, profile, tensorboard_trace_handler

    folder = Path(tempfile.mkdtemp(prefix="profile-", dir=".")).resolve()
    # What it writes itself is enough: its analysis makes tables and timelines of it, and takes seconds.
    ready = tensorboard_trace_handler(str(folder), analyse_flag=False)
    running = profile(activities=[ProfilerActivity.CPU], on_trace_ready=ready)
    train()
    running.stop()

    def read() -> list[OperatorRun]:
        return [
            run for path in folder.rglob(TIMES_FILE) for run in read_runs(path.read_text(encoding="utf-8").splitlines())
        ]

    return read


def read_runs(lines: Iterable[str]) -> Iterator[OperatorRun]:
    """When MindSpore's operators ran: `SCOPE/TYPE-opNUMBER;KIND;BEGIN,MILLISECONDS,THREAD BEGIN,…`.

    Begins are in nanoseconds; scope and number may be missing.

    Raises:
        ValueError: a line has another form.
    """
    for line in lines:
        try:
            name, _, executions = line.rsplit(";", 2)
            operator = re.sub(r"-op\d+$", "", name.rsplit("/", 1)[-1])[:120]
            for execution in executions.split():
                begin, milliseconds, _ = execution.split(",")
                duration = float(milliseconds)
                yield OperatorRun(operator, int(begin), int(begin) + round(1e6 * duration), duration)
        except ValueError as error:
            raise ValueError(UNKNOWN_FORM) from error


def _torch(train: Callable[[], None]) -> Read:
    import torch

    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as running:
        marks = []
        for name in (f"{TORCH_BEGIN}{number}" for number in range(TORCH_MARKS)):
            began = time.time_ns()
            with torch.profiler.record_function(name):
                pass
            marks.append((time.time_ns() - began, began, name))
        train()
    _, now, mark = min(marks)

    def read() -> list[OperatorRun]:
        events = list(running.events())
        start = now - round(1e3 * next(each.time_range.start for each in events if each.name == mark))
        return [
            OperatorRun(
                each.name.removeprefix(TORCH_OPERATORS)[:120],
                start + round(1e3 * each.time_range.start),
                start + round(1e3 * each.time_range.end),
                max(each.self_cpu_time_total, 0.0) / 1e3,
            )
            for each in events
            if each.name.startswith(TORCH_OPERATORS)
        ]

    return read


def summed(runs: Iterable[OperatorRun]) -> tuple[OperatorTime, ...]:
    """The executions by operator, the largest time first."""
    times: dict[str, list[float]] = {}
    for each in runs:
        times.setdefault(each.name, []).append(each.own_milliseconds)
    found = (OperatorTime(name=name, calls=len(each), milliseconds=sum(each)) for name, each in times.items())
    return tuple(sorted(found, key=lambda each: each.milliseconds, reverse=True))
