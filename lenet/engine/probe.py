"""Runs an instrumented worker and returns its measurement."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lenet.cases.case import Case
from lenet.dataset import Dataset
from lenet.engine.builder import tail
from lenet.engine.process import OverdueError, TimeLimits, WorkerStartError, worker, worker_command
from lenet.store.events import Failed
from lenet.store.record import Status
from lenet.worker.instruments import Method, ProbeRequest, ProbeResult, parse
from lenet.worker.work import Assignment

PROBE_COMMAND = worker_command(module="lenet.worker.instruments")


def probe(
    case: Case,
    dataset: Dataset,
    method: Method,
    steps: int,
    log: Path,
    limits: TimeLimits,
    command: Sequence[str] = PROBE_COMMAND,
) -> ProbeResult | Failed:
    """Instrument `steps` steps of the case; the worker's output, oneDNN's log among it, goes into `log`."""
    assignment = Assignment(case=case, dataset_folder=dataset.folder.resolve(), dataset=dataset.card)
    request = ProbeRequest(assignment=assignment, method=method, steps=steps).model_dump_json().encode()
    answer: ProbeResult | Failed | None = None
    try:
        with worker(command, request, log.resolve(), limits, preloaded=case.profile.preloaded) as process:
            for line in process.lines():
                try:
                    answer = parse(line)
                except ValueError:
                    process.kill()
                    reason = "the instrumented worker wrote something that is not its event"
                    return Failed(status=Status.INVALID, reason=reason)
    except WorkerStartError as error:
        return Failed(status=Status.CRASHED, reason=f"the instrumented run failed: {error}")
    except OverdueError as error:
        return Failed(status=Status.TIMED_OUT, reason=str(error))
    output = " ".join(tail(log).split())[-300:]
    return answer or Failed(
        status=Status.CRASHED, reason=f"the instrumented worker ended with code {process.code}: {output}"
    )
