"""The local engine: cases one after another on this machine, each in a worker process of its own."""

from __future__ import annotations

import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

from pydantic import ValidationError

from lenet.cases.case import Case
from lenet.dataset import Dataset
from lenet.engine import Limits, Observer, SilentObserver
from lenet.engine.busy import Busy, devices, held
from lenet.engine.process import Ended, Line, Overdue, WorkerProcess
from lenet.errors import StoreError
from lenet.machine.load import LoadMeter
from lenet.machine.redact import without_names
from lenet.store import events
from lenet.store.freshness import workload_sha256
from lenet.store.record import Evaluation, Record, Status, Window, summarise
from lenet.store.run import Store
from lenet.worker.work import Assignment

LOG_TAIL_BYTES = 4000


def worker_command(python: str = sys.executable) -> tuple[str, ...]:
    """What starts a worker with that interpreter."""
    return (python, "-m", "lenet.worker")


def out_of_memory_kills() -> int | None:
    """How many processes the kernel has killed for memory since it started, in whichever group; None if it is mute."""
    try:
        with Path("/proc/vmstat").open(encoding="ascii") as lines:
            return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)
    except (OSError, ValueError):
        return None


class Outcome:
    """Gathers a case's events and makes its record."""

    def __init__(self, case: Case, dataset: Dataset, machine_id: str) -> None:
        self.attempt = uuid.uuid4().hex[:12]
        self._case = case
        self._dataset = dataset
        self._machine_id = machine_id
        self._started_at = datetime.now(timezone.utc)
        self._began = time.monotonic()
        self._kills_before = out_of_memory_kills()
        self._started: events.Started | None = None
        self._finished: events.Finished | None = None
        self._windows: list[Window] = []
        self._resident: list[Window] = []
        self._evaluations: list[Evaluation] = []
        self._final_loss: float | None = None
        self.failed: events.Failed | None = None

    def take(self, event: events.Event) -> None:
        """Note one event."""
        if isinstance(event, events.Started):
            self._started = event
        elif isinstance(event, events.Steps):
            self._windows.append(event.window)
            finite = [loss for loss in event.losses if loss is not None]
            self._final_loss = finite[-1] if finite else self._final_loss
        elif isinstance(event, events.Resident):
            self._resident.append(event.window)
        elif isinstance(event, events.Evaluated):
            self._evaluations.append(event.evaluation)
        elif isinstance(event, events.Failed):
            self.failed = event
        elif isinstance(event, events.Finished):
            self._finished = event

    def _judge(self, code: int) -> tuple[Status, str]:
        """The status that events and exit code give."""
        if self.failed is not None:
            return self.failed.status, self.failed.reason
        end = f"exit code {code}"
        if code < 0:
            end = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        if code != 0 and self._finished is None:
            hint = ""
            if end == "SIGKILL":
                if None not in (kills := (self._kills_before, out_of_memory_kills())) and kills[0] != kills[1]:
                    return Status.OUT_OF_MEMORY, "the system killed the worker when memory ran out"
                hint = "; the system kills so when memory runs out"
            return Status.CRASHED, f"the worker ended with {end} before it had reported the case{hint}"
        if self._finished is None or self._started is None or not self._evaluations:
            return Status.INVALID, "the worker ended well but did not report the whole case"
        last = self._evaluations[-1]
        if last.distinct_answers == 1:
            if self._case.plan.epochs is not None:
                words = f"a constant answer after {last.steps:,} steps"
                return Status.PLATEAU, f"{words}: the training never left its first plateau"
            return Status.OK, "measured for speed: training was stopped on its first plateau, a constant answer"
        return Status.OK, f"after it had reported the whole case the worker ended with {end}" if code else ""

    def record(self, code: int | None, log: Path, status: Status | None = None, reason: str = "") -> Record:
        """The record; `status` overrules what events and exit code say."""
        if status is None:
            status, reason = self._judge(code or 0)
        phases = self._finished.phases if self._finished else None
        weights: dict[str, str] = {}
        if self._started:
            weights["initial"] = self._started.initial_weights_sha256
        if self._finished:
            weights["final"] = self._finished.final_weights_sha256
        windows, resident = tuple(self._windows), tuple(self._resident)
        evaluations = tuple(self._evaluations)
        return Record(
            case_id=self._case.id,
            case=self._case,
            status=status,
            reason=reason,
            attempt=self.attempt,
            machine_id=self._machine_id,
            workload_sha256=workload_sha256(),
            started_at=self._started_at,
            finished_at=self._started_at + timedelta(seconds=time.monotonic() - self._began),
            dataset=self._dataset.card,
            software=self._started.software if self._started else None,
            phases=phases,
            windows=windows,
            resident_windows=resident,
            evaluations=evaluations,
            losses_sha256=self._finished.losses_sha256 if self._finished else None,
            weights_sha256=weights,
            stderr_tail="" if status is Status.OK else tail(log),
            exit_code=code,
            summary=summarise(
                phases,
                windows,
                resident,
                evaluations,
                self._final_loss,
                self._finished.peak_memory_bytes if self._finished else None,
            ),
        )


def tail(log: Path) -> str:
    """The end of a worker's log, as text without control characters and without names of user and host."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - LOG_TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    shown = "".join(character for character in text if character.isprintable() or character in "\n\t")
    return without_names(shown)


class LocalEngine:
    """Runs cases one at a time. `command` starts a worker, by default one with this interpreter.

    `commands` starts those of the cases that ask for a release of their framework, by release.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        observer: Observer | None = None,
        command: Sequence[str] | None = None,
        commands: Mapping[str, Sequence[str]] | None = None,
        busy: Busy = "wait",
    ) -> None:
        self._limits = limits or Limits()
        self._observer = observer or SilentObserver()
        self._command = command or worker_command()
        self._commands = commands or {}
        self._busy = busy

    def run(self, cases: Sequence[Case], datasets: Mapping[str, Dataset], store: Store) -> list[Record]:
        """Carry the cases out in order; a bad one becomes a record and never ends the run.

        `datasets` maps a case's dataset name to the data. Returns the records, which are on disk too. Their devices
        are held meanwhile: another run that measures there is waited for, or refuses this one, as `busy` says.

        Raises:
            StoreError: the store can no longer be written; what was finished before is intact.
            BusyError: another run measures on one of the devices, and is not to be waited for.
            KeyboardInterrupt: on Ctrl-C, after the worker was ended; the case in hand leaves no record.
        """
        with held(devices(cases), self._busy):
            return self._run_all(cases, datasets, store)

    def _run_all(self, cases: Sequence[Case], datasets: Mapping[str, Dataset], store: Store) -> list[Record]:
        records = []
        for index, case in enumerate(cases):
            self._observer.case_started(case, index, len(cases))
            meter = LoadMeter()
            record = self._run_case(case, datasets[case.dataset], store)
            record = record.model_copy(update={"load": meter.finish()})
            store.write_record(record)
            self._observer.case_finished(case, record)
            records.append(record)
        return records

    def _run_case(self, case: Case, dataset: Dataset, store: Store) -> Record:
        outcome = Outcome(case, dataset, store.manifest.machine.id)
        log = store.log_path(case)
        smallest = min(dataset.card.training_images, dataset.card.test_images)
        if (batch := case.global_batch_size) > smallest:
            reason = f"batch size {batch} is larger than the {smallest} images of a set"
            return outcome.record(None, log, Status.INVALID, reason)
        command = self._command
        if case.framework_version is not None:
            if case.framework_version not in self._commands:
                reason = f"there is no environment with {case.framework.value} {case.framework_version} here"
                return outcome.record(None, log, Status.UNAVAILABLE, reason)
            command = self._commands[case.framework_version]
        assignment = Assignment(case=case, dataset_folder=dataset.folder.resolve(), dataset=dataset.card)
        # MindSpore writes dumps into the working folder; they must not litter the user's.
        try:
            own = tempfile.TemporaryDirectory(prefix="lenet-bench-", ignore_cleanup_errors=True)
        except OSError as error:
            raise StoreError(
                f"no temporary folder can be made ({error.strerror or error}): free space or set TMPDIR, then --resume"
            ) from error
        with own as folder:
            try:
                process = WorkerProcess(command, assignment.model_dump_json().encode(), log, Path(folder), self._limits)
            except OSError as error:
                return outcome.record(None, log, Status.CRASHED, f"the worker cannot be started: {error}")
            try:
                return self._follow(process, case, outcome, store)
            except BaseException:
                process.kill()
                raise

    def _follow(self, process: WorkerProcess, case: Case, outcome: Outcome, store: Store) -> Record:
        log = store.log_path(case)
        while True:
            message = process.receive()
            if isinstance(message, Ended):
                return outcome.record(message.code, log)
            if isinstance(message, Overdue):
                return outcome.record(process.kill(), log, Status.TIMED_OUT, message.reason)
            event = self._understand(message)
            if event is None:
                shown = message.text[:80].decode(errors="replace")
                reason = f"the worker wrote something that is not an event: {shown!r}"
                return outcome.record(process.kill(), log, Status.INVALID, reason)
            outcome.take(event)
            store.append_event(case, event, outcome.attempt)
            self._observer.event(case, event)

    @staticmethod
    def _understand(line: Line) -> events.Event | None:
        try:
            event = events.parse(line.text)
        except ValidationError:
            return None
        if isinstance(event, events.Failed):
            return event.model_copy(update={"reason": without_names(event.reason)})
        return event
