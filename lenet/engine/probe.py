"""Starts an instrumented worker and takes what it saw."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from lenet.cases.case import Case
from lenet.dataset import Dataset
from lenet.engine import Limits
from lenet.engine.local import tail
from lenet.engine.process import Ended, Overdue, WorkerProcess
from lenet.store.events import Failed
from lenet.store.record import Status
from lenet.worker.instruments import Method, Probe, Probed, parse
from lenet.worker.work import Assignment

PROBE_COMMAND = (sys.executable, "-m", "lenet.worker.instruments")


def probe(
    case: Case,
    dataset: Dataset,
    method: Method,
    steps: int,
    log: Path,
    limits: Limits,
    command: Sequence[str] = PROBE_COMMAND,
) -> Probed | Failed:
    """Watch `steps` steps of the case; what the worker prints, oneDNN's log among it, goes into `log`."""
    assignment = Assignment(case=case, dataset_folder=dataset.folder.resolve(), dataset=dataset.card)
    asked = Probe(assignment=assignment, method=method, steps=steps).model_dump_json().encode()
    # MindSpore's profiler and its dumps write into the working folder.
    with tempfile.TemporaryDirectory(prefix="lenet-bench-", ignore_cleanup_errors=True) as folder:
        try:
            process = WorkerProcess(command, asked, log.resolve(), Path(folder), limits)
        except OSError as error:
            return Failed(status=Status.CRASHED, reason=f"the instrumented worker cannot be started: {error}")
        try:
            return _follow(process, log)
        except BaseException:
            process.kill()
            raise


def _follow(process: WorkerProcess, log: Path) -> Probed | Failed:
    answer: Probed | Failed | None = None
    while True:
        message = process.receive()
        if isinstance(message, Overdue):
            process.kill()
            return Failed(status=Status.TIMED_OUT, reason=message.reason)
        if isinstance(message, Ended):
            said = " ".join(tail(log).split())[-300:]
            return answer or Failed(
                status=Status.CRASHED, reason=f"the instrumented worker ended with code {message.code}: {said}"
            )
        try:
            answer = parse(message.text)
        except ValidationError:
            process.kill()
            return Failed(status=Status.INVALID, reason="the instrumented worker wrote something that is not its event")
