"""One case's worker, from its start to its record."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from lenet.cases.case import Case, TurnLength
from lenet.dataset import Dataset
from lenet.engine.builder import RecordBuilder
from lenet.engine.observer import Observer
from lenet.engine.process import OverdueError, TimeLimits, WorkerProcess, WorkerStartError, worker
from lenet.errors import StoreError
from lenet.machine.load import LoadMeter
from lenet.machine.redact import without_names
from lenet.store.events import Event, Failed
from lenet.store.record import Record, Status, Window, turn_fields
from lenet.store.run import Store
from lenet.worker.turns import Paused, Turn, parse
from lenet.worker.work import Assignment


class Session:
    """A case and its worker: started, followed until it pauses or ends, and recorded.

    Whoever makes a session closes it. Every method but `close` raises `StoreError` if the run or a temporary folder
    cannot be written.
    """

    def __init__(
        self,
        case: Case,
        dataset: Dataset,
        store: Store,
        observer: Observer,
        group: str = "",
        place: int | None = None,
    ) -> None:
        self.case = case
        self.record: Record | None = None
        """The outcome, once the worker has ended."""
        self.turns_left = 0
        """How many turns the worker wants; 0 unless it has paused."""
        self._dataset = dataset
        self._store = store
        self._observer = observer
        self._in_group: dict[str, object] = {"group": group, "place": place}
        """What the record says of how the case took turns."""
        self._log = store.log_path(case)
        self._builder = RecordBuilder(case, dataset, store.manifest.machine.id, store.now())
        self._meter: LoadMeter | None = None
        self._process: WorkerProcess | None = None
        self._lines: Iterator[bytes] = iter(())
        self._opened = ExitStack()

    @property
    def resident_bytes(self) -> int:
        """Resident memory of the worker; 0 where it has ended."""
        return self._process.resident_bytes if self._process is not None and self.record is None else 0

    @property
    def turns(self) -> list[Window]:
        """The windows of training so far that were turns."""
        return self._builder.turns

    def start(
        self,
        command: Sequence[str],
        limits: TimeLimits,
        turn: TurnLength | None = None,
    ) -> None:
        """Start the worker, which sets itself up meanwhile. With `turn` it then waits for turns of that length."""
        self._meter = LoadMeter()
        self._in_group |= turn_fields(turn)
        assignment = Assignment(
            case=self.case,
            dataset_folder=self._dataset.folder.resolve(),
            dataset=self._dataset.card,
            turn=turn,
        ).model_dump_json()
        try:
            self._process = self._opened.enter_context(
                worker(
                    command,
                    assignment.encode(),
                    self._log,
                    limits,
                    turns=turn is not None,
                    preloaded=self.case.profile.preloaded,
                )
            )
        except WorkerStartError as error:
            self.end(Status.CRASHED, str(error))
            return
        self._lines = self._process.lines()

    def take_turn(self, turn: Turn) -> None:
        """Let the worker warm up or train one window: follow it until it pauses again, or ends."""
        if self._process is None:
            raise AssertionError("a worker is started before it takes turns")
        self._process.give_turn(turn.model_dump_json().encode())
        self.follow()

    def drop(self, reason: str) -> None:
        """End a worker that waits for a turn; its record has what it trained so far, and the reason."""
        if self._process is not None:
            self._process.kill()
        self.end(Status.DROPPED, reason)

    def follow(self) -> None:
        """Store and report the worker's events until it pauses or has ended."""
        if (process := self._process) is None or self.record is not None:
            return
        try:
            for line in self._lines:
                try:
                    event = parse(line)
                    if isinstance(event, Paused) and not process.paused:
                        raise ValueError("written in another form than the worker's")
                except ValueError:
                    shown = line[:80].decode(errors="replace")
                    process.kill()
                    self.end(Status.INVALID, f"the worker wrote something that is not an event: {shown!r}")
                    return
                if isinstance(event, Paused):
                    self.turns_left = max(1, event.turns_left)
                    return
                self._keep(event)
        except OverdueError as error:
            process.kill()
            self.end(error.status, str(error))
            return
        self.end()

    def _keep(self, event: Event) -> None:
        if isinstance(event, Failed):
            event = event.model_copy(update={"reason": without_names(event.reason)})
        self._builder.add(event)
        self._store.append_event(self.case, event, self._builder.attempt)
        self._observer.event(self.case, event)

    def end(self, status: Status | None = None, reason: str = "") -> None:
        """Write the record; `status` overrules what events and exit code say."""
        self.turns_left = 0
        code = self._process.code if self._process is not None else None
        record = self._builder.build(code, self._log, status, reason)
        load = self._meter.finish() if self._meter is not None else None
        self.record = record.model_copy(update={"load": load, **self._in_group})
        self._opened.close()
        self._store.write_record(self.record)
        self._observer.case_finished(self.case, self.record)

    def close(self) -> None:
        """End a worker that still runs and remove its folder; there is a record if it had reported the whole case."""
        if self._process is not None and self.record is None:
            self._process.kill()
            if self._builder.complete:
                # MindSpore takes seconds to end. Measured again after an interruption then, the case would have a
                # finished attempt without a record, which `verify` refuses.
                with contextlib.suppress(StoreError):
                    self.end()
        self._opened.close()
