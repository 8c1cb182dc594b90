"""The instrumented worker: where the time of a step goes. Never timed together with the throughput.

The parent starts `python -m lenet.worker.instruments FD` as it starts a worker, and reads one `Probed` event. The
steps are those of the worker, on one batch that stays on the device. Two methods, each a process of its own, because
one would slow the other: `operators` times plain steps (Python's share, the processor time) and then lets MindSpore's
profiler watch as many; `onednn` lets oneDNN log every primitive into the case's log.
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
"""oneDNN 3.x reads the first, 2.x before 2.3 only the second; 3.x takes the ONEDNN_ name where both are set."""

PROFILER_FOLDER = "profile"
PROFILER_FILE = "cpu_op_type_info_*.csv"
"""MindSpore's profiler writes it for the CPU target: a line an operator type, times in milliseconds."""

Method = Literal["operators", "onednn"]


class Probe(Frozen):
    """What the parent hands the instrumented worker."""

    assignment: Assignment
    method: Method
    steps: int = Field(ge=1)


class OperatorTime(Frozen):
    """One type of operator, over all instrumented steps."""

    name: str = Field(max_length=120)
    calls: int = Field(ge=0)
    milliseconds: float = Field(ge=0)


class Probed(Frozen):
    """What the instrumented steps showed. Seconds over all `steps`."""

    event: Literal["probed"] = "probed"
    steps: int = Field(ge=1)
    seconds: float = Field(gt=0)
    """Steps without MindSpore's profiler; with oneDNN's log where that is the method."""
    host_seconds: float = Field(ge=0)
    """Until the call of the step had returned to the loop: Python, launching, and what of the step is synchronous."""
    user_seconds: float = Field(ge=0)
    """Processor time of all threads."""
    system_seconds: float = Field(ge=0)
    """Of which in the operating system."""
    profiled_seconds: float | None = None
    """As many steps under MindSpore's profiler; null where it was not used."""
    operators: tuple[OperatorTime, ...] = ()


_adapter: TypeAdapter[Probed | Failed] = TypeAdapter(Annotated[Probed | Failed, Field(discriminator="event")])


def parse(line: bytes) -> Probed | Failed:
    """The event that one line holds.

    Raises:
        ValueError: the line is none.
    """
    return _adapter.validate_json(line)


def take(steps: Iterator[Any], trainer: Trainer, count: int) -> tuple[float, float, float, float]:
    """Train `count` steps; seconds in all, until the calls returned, user and system processor time."""
    used = os.times()
    began = time.perf_counter()
    host = 0.0
    for _ in range(count):
        called = time.perf_counter()
        loss = next(steps)
        host += time.perf_counter() - called
    trainer.synchronize(loss)
    seconds = time.perf_counter() - began
    now = os.times()
    return seconds, host, now.user - used.user, now.system - used.system


def watch(probe: Probe) -> Probed:
    """Build the case's trainer, warm it up as a worker does, and watch its steps. Errors are raised."""
    case = probe.assignment.case
    set_environment(case.profile)
    if probe.method == "onednn":
        os.environ.update(ONEDNN_VARIABLES)
    from lenet import training
    from lenet.dataset import Dataset

    data = Dataset(folder=probe.assignment.dataset_folder, card=probe.assignment.dataset)
    trainer = training.build(case, data)
    steps = trainer.train_resident()
    for _ in range(case.plan.warmup_steps):
        loss = next(steps)
    trainer.synchronize(loss)
    print(STEPS_BEGIN, flush=True)
    seconds, host, user, system = take(steps, trainer, probe.steps)
    print(STEPS_END, flush=True)
    profiled: float | None = None
    operators: tuple[OperatorTime, ...] = ()
    mindspores = case.framework is Framework.MINDSPORE and case.device_target is DeviceTarget.CPU
    if probe.method == "operators" and mindspores:
        profiled, operators = _profiled(steps, trainer, probe.steps)
    trainer.close()
    return Probed(
        steps=probe.steps,
        seconds=seconds,
        host_seconds=host,
        user_seconds=user,
        system_seconds=system,
        profiled_seconds=profiled,
        operators=operators,
    )


def _profiled(steps: Iterator[Any], trainer: Trainer, count: int) -> tuple[float, tuple[OperatorTime, ...]]:
    """Seconds of `count` steps under MindSpore's profiler, and its operators."""
    from mindspore.profiler import ProfilerActivity, profile, tensorboard_trace_handler

    watcher = profile(
        activities=[ProfilerActivity.CPU],
        on_trace_ready=tensorboard_trace_handler(str(Path(PROFILER_FOLDER).resolve())),
    )
    seconds = take(steps, trainer, count)[0]
    watcher.stop()
    files = sorted(Path(PROFILER_FOLDER).rglob(PROFILER_FILE))
    return seconds, read_operators(files[-1].read_text(encoding="utf-8").splitlines()) if files else ()


def read_operators(lines: list[str]) -> tuple[OperatorTime, ...]:
    """The operators of the profiler's table, the most time first.

    Raises:
        ValueError: the table has not the columns that are read.
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
        raise ValueError("MindSpore's profiler wrote a table of another form than this lenet-bench reads") from error
    return tuple(sorted(found, key=lambda each: each.milliseconds, reverse=True))


def main() -> int:
    """Entry of the process; exit code 0 when the steps were watched."""
    end_with_parent()
    channel_number = int(sys.argv[1])
    os.set_inheritable(channel_number, False)
    probe = Probe.model_validate_json(sys.stdin.buffer.read())
    with os.fdopen(channel_number, "wb", buffering=0) as channel:
        try:
            event: Probed | Failed = watch(probe)
        except Exception as error:
            traceback.print_exc()
            event = failure(error)
        channel.write(event.model_dump_json().encode() + b"\n")
    return 0 if isinstance(event, Probed) else 1


if __name__ == "__main__":
    raise SystemExit(main())
