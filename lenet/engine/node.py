"""A node's side of a run over several: one group of cases with the local engine, reported message by message.

How messages travel is not known here.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, wait
from pathlib import Path

import psutil

from lenet.cases.case import Case
from lenet.cases.matrix import Matrix
from lenet.dataset.files import keep
from lenet.engine.builder import end_of
from lenet.engine.local import LocalEngine
from lenet.engine.messages import (
    MAX_NOTICE_LENGTH,
    MemberEvent,
    MemberResult,
    MemberTurn,
    NodeMessage,
    NodeTask,
    Report,
)
from lenet.engine.observer import SilentObserver
from lenet.files.leftovers import TEMPORARY_PREFIX
from lenet.machine.card import describe
from lenet.store.events import Event, Failed, Finished
from lenet.store.record import Record
from lenet.store.run import Store

REPORT_SECONDS = 1.0
"""How often a node sends a message. Rarely, because it takes time from the training."""

MAX_LOG_BYTES = 16 * 2**20
"""How much of a worker's log is sent: its end."""


def run_group(task: bytes, *contents: Mapping[str, bytes]) -> Iterator[bytes]:
    """Run the cases of a `NodeTask` in a temporary folder; yields `NodeMessage`s.

    `contents` are the files of each dataset, in the order of the task. A worker's last event comes with the record:
    whoever has received `finished` has the record too. The workers are killed when the iteration is interrupted.

    Raises:
        BusyError: another run measures on the device, and the task says to refuse.
        CacheError: the node's cache cannot be written.
        StoreError: the temporary folder cannot be written; the records before were sent.
    """
    asked = NodeTask.model_validate_json(task)
    os.environ.pop("OMP_NUM_THREADS", None)
    if asked.omp_threads is not None:
        os.environ["OMP_NUM_THREADS"] = asked.omp_threads
    yield NodeMessage(machine=describe()).model_dump_json().encode()
    datasets = {
        card.name: keep(files, f"sent-{card.sha256[:16]}", card.name)
        for card, files in zip(asked.datasets, contents, strict=True)
    }
    with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX) as folder, ThreadPoolExecutor(1) as thread:
        cards = {card.name: card for card in asked.datasets}
        store = Store.create(Path(folder) / "run", Matrix(), asked.cases, cards, describe())
        outbox = Outbox(asked.cases, lambda case: end_of(store.log_path(case), MAX_LOG_BYTES))
        engine = LocalEngine(
            asked.limits, outbox, asked.command, busy=asked.busy, notify=outbox.notify, interleave=asked.interleave
        )
        running = thread.submit(engine.run, asked.cases, datasets, store)
        running.add_done_callback(lambda _: outbox.wake())
        try:
            while not running.done():
                outbox.wait(REPORT_SECONDS)
                yield outbox.take().model_dump_json().encode()
        except BaseException:
            outbox.cancel()
            while not wait([running], timeout=0.1).done:
                _kill_children()
            raise
        while (message := outbox.take()).reports or message.notices:
            yield message.model_dump_json().encode()
        running.result()


class Outbox(SilentObserver):
    """What the engine, in its thread, has reported and was not sent yet.

    One thread appends, another takes from the front, each in one operation: that needs no lock.
    """

    def __init__(self, cases: Sequence[Case], log: Callable[[Case], bytes]) -> None:
        self._numbers = {case: number for number, case in enumerate(cases)}
        self._log = log
        self._reports: list[Report] = []
        self._notices: list[str] = []
        self._turn: MemberTurn | None = None
        self._ready = threading.Event()
        self._cancelled = False

    def case_started(self, case: Case, done: int, total: int, node: str = "") -> None:
        """Go on unless the run is cancelled."""
        del case, done, total, node
        self._check()

    def event(self, case: Case, event: Event) -> None:
        """Keep it."""
        self._reports.append(MemberEvent(member=self._numbers[case], event=event))

    def turn(self, case: Case, cycle: int, cycles: int) -> None:
        """Keep the last one, unless the run is cancelled."""
        self._check()
        self._turn = MemberTurn(member=self._numbers[case], cycle=cycle, cycles=cycles)

    def case_finished(self, case: Case, record: Record) -> None:
        """Keep the record, which is sent at once."""
        self._reports.append(MemberResult(member=self._numbers[case], record=record, log=self._log(case)))
        self.wake()

    def notify(self, text: str) -> None:
        """Keep it."""
        self._notices.append(text[:MAX_NOTICE_LENGTH])

    def cancel(self) -> None:
        """Let the engine's next call raise CancelledError."""
        self._cancelled = True

    def _check(self) -> None:
        if self._cancelled:
            raise CancelledError

    def wake(self) -> None:
        """End a wait."""
        self._ready.set()

    def wait(self, seconds: float) -> None:
        """Wait for so long, or until there is a record."""
        self._ready.wait(seconds)
        self._ready.clear()

    def take(self) -> NodeMessage:
        """A message with what is here, up to the first record; a worker's last event stays until its record is here."""
        reports = list(self._reports)
        ends = (number for number, each in enumerate(reports, 1) if isinstance(each, MemberResult))
        if (count := next(ends, None)) is None:
            lasts = (
                number
                for number, each in enumerate(reports)
                if isinstance(each, MemberEvent) and isinstance(each.event, Failed | Finished)
            )
            count = next(lasts, len(reports))
        elif any(isinstance(each, MemberResult) for each in reports[count:]):
            self.wake()
        turn, self._turn = self._turn, None
        message = NodeMessage(reports=tuple(reports[:count]), notices=tuple(self._notices), turn=turn)
        del self._reports[:count], self._notices[: len(message.notices)]
        return message


def _kill_children() -> None:
    """Kill the workers, or pip: the engine, in its thread, then ends."""
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            process.kill()
