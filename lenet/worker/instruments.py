"""The instrumented worker: measures where the time of a step goes, in a process of its own.

The parent starts `python -m lenet.worker.instruments FD` as it starts a worker, and reads one `ProbeResult`. There are
two methods, each in its own process because one would slow the other. `onednn` makes oneDNN log every primitive to the
case's log, over steps on one batch that stays on the device. `parts` divides the steps of the training, with its
pipeline, into their parts, in windows that alternate with windows of plain steps.

The windows are of one process: two processes of one case keep a difference of their own, as MindSpore tunes its kernels
by the clock. Each is short, because a shared machine changes its speed within a second.
"""

from __future__ import annotations

import math
import os
import statistics
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import Field, TypeAdapter

from lenet.cases.case import Frozen
from lenet.store.events import STEPS_BEGIN, STEPS_END, Failed
from lenet.store.parts import PartTimes
from lenet.worker import parts
from lenet.worker.parent import end_with_parent
from lenet.worker.profilers import OperatorRun, OperatorTime, Profiler, Read, profiler, summed
from lenet.worker.work import Assignment, failure, set_environment

if TYPE_CHECKING:
    from lenet.training import Trainer

ONEDNN_VARIABLES = {"ONEDNN_VERBOSE": "profile_exec", "DNNL_VERBOSE": "1"}
"""oneDNN before 2.3 reads only the DNNL_ name; with both set, 3.x uses the ONEDNN_ name."""

WINDOW_SECONDS = 0.1
"""Length of a window, about. Between shorter ones the switching costs more, and longer ones see other machines
(docs/statistics.md)."""
WINDOW_STEPS = 2
"""Steps of a window, at least."""
PACE_STEPS = 10
"""Steps that say how many make a window."""
BEFORE, AFTER = "pccp", "cppc"
"""The windows of a round before and after the profiled one, which is as long as four: `p` of plain steps, `c` of steps
at which the clock is read. A steady drift of the machine cancels between the kinds."""
LEAST_ROUNDS = 4
"""Rounds, at least: their spread gives an interval."""
PRECISION = 0.0125
"""Standard error of the ratio of clocked to plain steps at which enough rounds are measured: half of a 95% interval is
then half of the 5% within which an account adds up."""

Method = Literal["parts", "onednn"]


class ProbeRequest(Frozen):
    """The input of the instrumented worker."""

    assignment: Assignment
    method: Method
    steps: int = Field(ge=1)
    """With `onednn` those in the log; with `parts` those of each kind, fewer where their ratio is precise before."""


class ProbeResult(Frozen):
    """The result of the instrumented steps. Seconds are sums over all `steps`."""

    event: Literal["probed"] = "probed"
    steps: int = Field(ge=1)
    """With `parts`, those under the profiler, and as many plain ones."""
    seconds: float = Field(gt=0)
    """Of plain steps; with oneDNN's log if that is the method."""
    user_seconds: float = Field(ge=0)
    """Processor time of all threads in user mode."""
    system_seconds: float = Field(ge=0)
    """Processor time in the operating system."""
    rounds: tuple[PartTimes, ...] = ()
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


class _Round(NamedTuple):
    """The windows of a round."""

    plain_seconds: float
    clocked_seconds: float
    user_seconds: float
    """Processor time of the plain steps."""
    system_seconds: float
    marks: list[parts.StepMarks]
    """Of the instrumented steps."""
    read: Read | None
    """None without a profiler."""


def _divided(trainer: Trainer, request: ProbeRequest) -> ProbeResult:
    """Train with the pipeline, in rounds of windows, until there are enough of them."""
    case = request.assignment.case
    steps = parts.TrainingSteps(trainer)
    steps.plain(case.plan.warmup_steps)
    pace = steps.plain(PACE_STEPS) / PACE_STEPS
    count = max(WINDOW_STEPS, math.ceil(WINDOW_SECONDS / pace))
    run = profiler(case)
    measured: list[_Round] = []
    while len(measured) < LEAST_ROUNDS or (
        sum(len(each.marks) for each in measured) < request.steps and not _precise(measured)
    ):
        measured.append(_round(steps, count, run))
    rounds: list[PartTimes] = []
    executions: list[OperatorRun] = []
    for each in measured:
        spans = None
        if each.read is not None:
            begin, end = each.marks[0].begun, each.marks[-1].ended
            runs = [one for one in each.read() if begin <= one.begin < end]
            executions += runs
            spans = [(one.begin, one.end) for one in runs]
        rounds.append(parts.divided(each.plain_seconds, each.clocked_seconds, each.marks, spans))
    return ProbeResult(
        steps=sum(each.steps for each in rounds),
        seconds=sum(each.plain_seconds for each in measured),
        user_seconds=sum(each.user_seconds for each in measured),
        system_seconds=sum(each.system_seconds for each in measured),
        rounds=tuple(rounds),
        operators=summed(executions),
    )


def _round(steps: parts.TrainingSteps, count: int, run: Profiler | None) -> _Round:
    """Train windows of `count` steps, and between them one of as many instrumented steps as of each other kind."""
    seconds = dict.fromkeys(BEFORE, 0.0)
    user = system = 0.0

    def windows(kinds: str) -> None:
        nonlocal user, system
        # While nothing trained, the pipeline ran ahead: a first window that uses that up is not measured.
        steps.plain(count)
        for kind in kinds:
            processor, began = os.times(), time.perf_counter()
            if kind == "p":
                steps.plain(count)
            else:
                steps.marked(count)
            seconds[kind] += time.perf_counter() - began
            if kind == "p":
                now = os.times()
                user, system = user + now.user - processor.user, system + now.system - processor.system

    marks: list[parts.StepMarks] = []

    def instrumented() -> None:
        steps.plain(count)
        marks.extend(steps.marked(count * len(BEFORE + AFTER) // 2))

    windows(BEFORE)
    read = None
    if run is None:
        instrumented()
    else:
        read = run(instrumented)
    windows(AFTER)
    return _Round(seconds["p"], seconds["c"], user, system, marks, read)


def _precise(measured: Sequence[_Round]) -> bool:
    """Whether the ratio of clocked to plain steps is known well enough, from two rounds or more."""
    ratios = [math.log(each.clocked_seconds / each.plain_seconds) for each in measured]
    return statistics.stdev(ratios) <= PRECISION * math.sqrt(len(ratios))


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
