"""The instrumented worker: measures where the time of a step goes, in a process of its own.

The parent starts `python -m lenet.worker.instruments FD` as it starts a worker, and reads one `ProbeResult`. The steps
are those of the worker, on one batch that stays on the device. There are two methods, each in its own process because
one would slow the other: `operators` times plain steps (Python's share, processor time) and then as many under
MindSpore's profiler; `onednn` makes oneDNN log every primitive to the case's log.
"""

from __future__ import annotations

import csv
import os
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from lenet.cases.case import DeviceTarget, Frozen
from lenet.cases.frameworks import Framework
from lenet.store.events import STEPS_BEGIN, STEPS_END, Failed
from lenet.worker.parent import end_with_parent
from lenet.worker.work import Assignment, failure, set_environment

if TYPE_CHECKING:
    from lenet.training import Trainer

ONEDNN_VARIABLES = {"ONEDNN_VERBOSE": "profile_exec", "DNNL_VERBOSE": "1"}
"""oneDNN before 2.3 reads only the DNNL_ name; with both set, 3.x uses the ONEDNN_ name."""

PROFILER_FOLDER = "profile"
PROFILER_FILE = "cpu_op_type_info_*.csv"
"""The table of MindSpore's profiler for CPU: a line for each operator type, times in milliseconds."""

Method = Literal["operators", "onednn"]


class ProbeRequest(Frozen):
    """The input of the instrumented worker."""

    assignment: Assignment
    method: Method
    steps: int = Field(ge=1)


class OperatorTime(Frozen):
    """An operator type, summed over all instrumented steps."""

    name: str = Field(max_length=120)
    calls: int = Field(ge=0)
    milliseconds: float = Field(ge=0)


class ProbeResult(Frozen):
    """The result of the instrumented steps. Seconds are sums over all `steps`."""

    event: Literal["probed"] = "probed"
    steps: int = Field(ge=1)
    seconds: float = Field(gt=0)
    """Without MindSpore's profiler; with oneDNN's log if that is the method."""
    host_seconds: float = Field(ge=0)
    """Until the call of the step returns: Python, launching, and what is synchronous of the step."""
    user_seconds: float = Field(ge=0)
    """Processor time of all threads in user mode."""
    system_seconds: float = Field(ge=0)
    """Processor time in the operating system."""
    profiled_seconds: float | None = None
    """As many steps under MindSpore's profiler; None if it was not used."""
    operators: tuple[OperatorTime, ...] = ()


_adapter: TypeAdapter[ProbeResult | Failed] = TypeAdapter(Annotated[ProbeResult | Failed, Field(discriminator="event")])


def parse(line: bytes) -> ProbeResult | Failed:
    """Return the event of a line.

    Raises:
        ValueError: the line is not such an event.
    """
    return _adapter.validate_json(line)


def time_steps(steps: Iterator[Any], trainer: Trainer, count: int) -> tuple[float, float, float, float]:
    """Train `count` steps; return seconds in total, in the calls, and of processor time, user and system."""
    processor = os.times()
    start = time.perf_counter()
    host = 0.0
    for _ in range(count):
        call = time.perf_counter()
        loss = next(steps)
        host += time.perf_counter() - call
    trainer.synchronize(loss)
    seconds = time.perf_counter() - start
    now = os.times()
    return seconds, host, now.user - processor.user, now.system - processor.system


def instrument(request: ProbeRequest) -> ProbeResult:
    """Build the case's trainer, warm it up as a worker does, and instrument its steps. Errors are raised."""
    case = request.assignment.case
    set_environment(case.profile)
    if request.method == "onednn":
        os.environ.update(ONEDNN_VARIABLES)
    from lenet import training
    from lenet.dataset import Dataset

    data = Dataset(folder=request.assignment.dataset_folder, card=request.assignment.dataset)
    trainer = training.build(case, data)
    steps = trainer.train_resident()
    for _ in range(case.plan.warmup_steps):
        loss = next(steps)
    trainer.synchronize(loss)
    print(STEPS_BEGIN, flush=True)
    seconds, host, user, system = time_steps(steps, trainer, request.steps)
    print(STEPS_END, flush=True)
    profiled: float | None = None
    operators: tuple[OperatorTime, ...] = ()
    has_profiler = case.framework is Framework.MINDSPORE and case.device_target is DeviceTarget.CPU
    if request.method == "operators" and has_profiler:
        profiled, operators = _profiled(steps, trainer, request.steps)
    trainer.close()
    return ProbeResult(
        steps=request.steps,
        seconds=seconds,
        host_seconds=host,
        user_seconds=user,
        system_seconds=system,
        profiled_seconds=profiled,
        operators=operators,
    )


def _profiled(steps: Iterator[Any], trainer: Trainer, count: int) -> tuple[float, tuple[OperatorTime, ...]]:
    """Train `count` steps under MindSpore's profiler; return seconds and operators."""
    from mindspore.profiler import ProfilerActivity, profile, tensorboard_trace_handler

    profiler = profile(
        activities=[ProfilerActivity.CPU],
        on_trace_ready=tensorboard_trace_handler(str(Path(PROFILER_FOLDER).resolve())),
    )
    seconds = time_steps(steps, trainer, count)[0]
    profiler.stop()
    files = sorted(Path(PROFILER_FOLDER).rglob(PROFILER_FILE))
    return seconds, read_operators(files[-1].read_text(encoding="utf-8").splitlines()) if files else ()


def read_operators(lines: list[str]) -> tuple[OperatorTime, ...]:
    """Return the operators of the profiler's table, sorted by time, the largest first.

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
        raise ValueError(
            "this version of MindSpore's profiler writes a table that lenet-bench does not know"
        ) from error
    return tuple(sorted(found, key=lambda each: each.milliseconds, reverse=True))


def main() -> int:
    """Run the instrumented worker; return exit code 0 if it has a result."""
    end_with_parent()
    channel_number = int(sys.argv[1])
    os.set_inheritable(channel_number, False)
    request = ProbeRequest.model_validate_json(sys.stdin.buffer.read())
    with os.fdopen(channel_number, "wb", buffering=0) as channel:
        try:
            event: ProbeResult | Failed = instrument(request)
        except Exception as error:
            traceback.print_exc()
            event = failure(error)
        channel.write(event.model_dump_json().encode() + b"\n")
    return 0 if isinstance(event, ProbeResult) else 1


if __name__ == "__main__":
    raise SystemExit(main())
