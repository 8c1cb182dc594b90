"""The local engine: cases one after another on this machine, each in a worker process of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from lenet.cases.case import Case
from lenet.cases.frameworks import Framework
from lenet.dataset import Dataset
from lenet.engine.builder import RecordBuilder
from lenet.engine.busy import Busy, devices, held, print_notice
from lenet.engine.observer import Observer, SilentObserver
from lenet.engine.process import OverdueError, TimeLimits, WorkerProcess, WorkerStartError, worker, worker_command
from lenet.errors import UsageError
from lenet.machine.load import LoadMeter
from lenet.machine.redact import without_names
from lenet.store import events
from lenet.store.record import Record, Status
from lenet.store.run import Store
from lenet.worker.work import Assignment

Notify = Callable[[str], None]
Interpreter = Callable[[Framework, str, Notify], str]
"""Gives the interpreter for a release of a framework, or raises UsageError; it reports what takes long."""


def no_interpreter(framework: Framework, version: str, notify: Notify) -> NoReturn:
    """The interpreter of a release where no environments are made.

    Raises:
        UsageError: always.
    """
    del notify
    raise UsageError(f"there is no environment with {framework.value} {version} here")


class LocalEngine:
    """Runs cases one at a time.

    `command` starts a worker, by default with this interpreter; a case that asks for a release of its framework gets
    the one that `interpreter` gives. The devices are locked for the whole run: where another run measures on one of
    them, this one waits or refuses, as `busy` says. `notify` gets what takes long: waiting, making environments.
    """

    def __init__(
        self,
        limits: TimeLimits | None = None,
        observer: Observer | None = None,
        command: Sequence[str] | None = None,
        interpreter: Interpreter = no_interpreter,
        busy: Busy = "wait",
        notify: Notify = print_notice,
    ) -> None:
        self._limits = limits or TimeLimits()
        self._observer = observer or SilentObserver()
        self._command = command or worker_command()
        self._interpreter = interpreter
        self._busy = busy
        self._notify = notify

    def run(self, cases: Sequence[Case], datasets: Mapping[str, Dataset], store: Store) -> list[Record]:
        """Run the cases in order; a failure becomes a record and does not end the run.

        `datasets` maps a case's dataset name to the data. Returns the records, which are on disk too.

        Raises:
            StoreError: the store cannot be written; finished records are intact.
            BusyError: another run measures on one of the devices, and `busy` is `refuse`.
            KeyboardInterrupt: on Ctrl-C, after the worker was ended; the case in progress leaves no record.
        """
        records = []
        with held(devices(cases), self._busy, self._notify):
            for index, case in enumerate(cases):
                self._observer.case_started(case, index, len(cases))
                record = self._run_case(case, datasets[case.dataset], store)
                store.write_record(record)
                self._observer.case_finished(case, record)
                records.append(record)
        return records

    def _run_case(self, case: Case, dataset: Dataset, store: Store) -> Record:
        log = store.log_path(case)

        def builder() -> RecordBuilder:
            return RecordBuilder(case, dataset, store.manifest.machine.id)

        smallest = min(dataset.card.training_images, dataset.card.test_images)
        if (batch := case.global_batch_size) > smallest:
            reason = f"batch size {batch} is larger than the {smallest} images of a set"
            return builder().build(None, log, Status.INVALID, reason)
        try:
            command = self._command_for(case)
        except UsageError as error:
            return builder().build(None, log, Status.UNAVAILABLE, str(error))
        meter = LoadMeter()
        record = self._measure(command, case, dataset, builder(), store)
        return record.model_copy(update={"load": meter.finish()})

    def _command_for(self, case: Case) -> Sequence[str]:
        if case.framework_version is None:
            return self._command
        return worker_command(self._interpreter(case.framework, case.framework_version, self._notify))

    def _measure(
        self, command: Sequence[str], case: Case, dataset: Dataset, builder: RecordBuilder, store: Store
    ) -> Record:
        log = store.log_path(case)
        assignment = Assignment(case=case, dataset_folder=dataset.folder.resolve(), dataset=dataset.card)
        try:
            with worker(command, assignment.model_dump_json().encode(), log, self._limits) as process:
                return self._follow(process, case, builder, store)
        except WorkerStartError as error:
            return builder.build(None, log, Status.CRASHED, str(error))
        except OverdueError as error:
            return builder.build(process.code, log, Status.TIMED_OUT, str(error))

    def _follow(self, process: WorkerProcess, case: Case, builder: RecordBuilder, store: Store) -> Record:
        """Store and report the worker's events until it has ended."""
        log = store.log_path(case)
        for line in process.lines():
            try:
                event = events.parse(line)
            except ValueError:
                shown = line[:80].decode(errors="replace")
                reason = f"the worker wrote something that is not an event: {shown!r}"
                return builder.build(process.kill(), log, Status.INVALID, reason)
            if isinstance(event, events.Failed):
                event = event.model_copy(update={"reason": without_names(event.reason)})
            builder.add(event)
            store.append_event(case, event, builder.attempt)
            self._observer.event(case, event)
        return builder.build(process.code, log)
