"""The instrumented worker: measures where the time of a step goes, in a process of its own.

The parent starts `python -m lenet.worker.instruments FD` as it starts a worker, and reads one `ProbeResult`. There are
two methods, each in its own process because one would slow the other. `parts` divides the steps of the training, with
its pipeline, into their parts: blocks of plain steps alternate with blocks under the framework's profiler. `onednn`
makes oneDNN log every primitive to the case's log, over steps on one batch that stays on the device.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from lenet.cases.case import Frozen
from lenet.store.events import STEPS_BEGIN, STEPS_END, Failed
from lenet.store.parts import PartTimes
from lenet.worker import parts
from lenet.worker.parent import end_with_parent
from lenet.worker.profilers import OperatorTime, Profiler, merged, profiler
from lenet.worker.work import Assignment, failure, set_environment

if TYPE_CHECKING:
    from lenet.training import Trainer

ONEDNN_VARIABLES = {"ONEDNN_VERBOSE": "profile_exec", "DNNL_VERBOSE": "1"}
"""oneDNN before 2.3 reads only the DNNL_ name; with both set, 3.x uses the ONEDNN_ name."""

BLOCKS = 4
"""Blocks of steps whose parts are measured: their spread gives an interval."""

Method = Literal["parts", "onednn"]


class ProbeRequest(Frozen):
    """The input of the instrumented worker."""

    assignment: Assignment
    method: Method
    steps: int = Field(ge=1)


class ProbeResult(Frozen):
    """The result of the instrumented steps. Seconds are sums over all `steps`."""

    event: Literal["probed"] = "probed"
    steps: int = Field(ge=1)
    """With `parts`, those under the profiler, and as many without."""
    seconds: float = Field(gt=0)
    """Of steps without a profiler; with oneDNN's log if that is the method."""
    user_seconds: float = Field(ge=0)
    """Processor time of all threads in user mode."""
    system_seconds: float = Field(ge=0)
    """Processor time in the operating system."""
    blocks: tuple[PartTimes, ...] = ()
    operators: tuple[OperatorTime, ...] = ()


_adapter: TypeAdapter[ProbeResult | Failed] = TypeAdapter(Annotated[ProbeResult | Failed, Field(discriminator="event")])


def parse(line: bytes) -> ProbeResult | Failed:
    """Return the event of a line.

    Raises:
        ValueError: the line is not such an event.
    """
    return _adapter.validate_json(line)


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
    result = _logged(trainer, request) if request.method == "onednn" else _divided(trainer, request)
    trainer.close()
    return result


def _logged(trainer: Trainer, request: ProbeRequest) -> ProbeResult:
    """Train on one batch, with marks around the steps in the log."""
    steps = trainer.train_resident()
    _train(steps, trainer, request.assignment.case.plan.warmup_steps)
    print(STEPS_BEGIN, flush=True)
    seconds, user, system = _train(steps, trainer, request.steps)
    print(STEPS_END, flush=True)
    return ProbeResult(steps=request.steps, seconds=seconds, user_seconds=user, system_seconds=system)


def _train(steps: Iterator[Any], trainer: Trainer, count: int) -> tuple[float, float, float]:
    """Train `count` steps; return seconds, and processor time, user and system."""
    processor, start = os.times(), time.perf_counter()
    for _ in range(count):
        loss = next(steps)
    trainer.synchronize(loss)
    seconds, now = time.perf_counter() - start, os.times()
    return seconds, now.user - processor.user, now.system - processor.system


def _divided(trainer: Trainer, request: ProbeRequest) -> ProbeResult:
    """Train with the pipeline, plain and profiled blocks in turn: plain, profiled, profiled, plain and so on."""
    case = request.assignment.case
    steps = parts.TrainingSteps(trainer)
    steps.plain(case.plan.warmup_steps)
    run = profiler(case)
    count = -(-request.steps // BLOCKS)
    blocks, profiles = [], []
    seconds = user = system = 0.0
    for number in range(BLOCKS):
        marked = None if number % 2 == 0 else _marked(steps, count, run)
        processor = os.times()
        plain, now = steps.plain(count), os.times()
        user, system = user + now.user - processor.user, system + now.system - processor.system
        marks, operators, spans = marked or _marked(steps, count, run)
        seconds += plain
        profiles.append(operators)
        blocks.append(parts.divided(plain, marks, spans))
    return ProbeResult(
        steps=count * BLOCKS,
        seconds=seconds,
        user_seconds=user,
        system_seconds=system,
        blocks=tuple(blocks),
        operators=merged(profiles),
    )


def _marked(
    steps: parts.TrainingSteps, count: int, run: Profiler | None
) -> tuple[list[parts.StepMarks], tuple[OperatorTime, ...], list[parts.Span] | None]:
    """Train a block of steps under the profiler, if there is one."""
    if run is None:
        return steps.marked(count), (), None
    marks: list[parts.StepMarks] = []
    operators, spans = run(lambda: marks.extend(steps.marked(count)))
    return marks, operators, spans


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
