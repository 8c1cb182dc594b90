"""The local engine: cases on this machine, each in a worker process of its own, alone or taking turns in a group."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import psutil

from lenet.cases.case import Case
from lenet.cases.frameworks import Framework
from lenet.dataset import Dataset
from lenet.engine.busy import Busy, devices, held
from lenet.engine.environments import releases
from lenet.engine.observer import Observer, SilentObserver
from lenet.engine.process import TimeLimits, worker_command
from lenet.engine.session import Session
from lenet.engine.turns import TURN, Interleave, Judge, Schedule, groups, start_order
from lenet.errors import UsageError
from lenet.files.locks import Notify, print_notice
from lenet.machine.container import memory_available
from lenet.machine.cores import usable_cores
from lenet.store.record import Record, Status
from lenet.store.run import Store
from lenet.worker.turns import WARM_UP, Turn

MEMORY_MARGIN = 1.5
"""Free memory that another worker of a group must find, in sizes of the largest that was alive."""

Interpreter = Callable[[Framework, str, Notify], str]
"""Gives the interpreter for a release of a framework, or raises UsageError; it reports what takes long."""


@dataclass(frozen=True)
class Refusal:
    """Why a case's worker is not started."""

    status: Status
    reason: str


class LocalEngine:
    """Runs cases, one at a time or in groups whose workers take turns.

    `command` starts a worker, by default with this interpreter; a case that asks for a release of its framework gets
    the one that `interpreter` gives, by default that of an environment which is made. The devices are locked for the
    whole run: where another run measures on one of them, this one waits or refuses, as `busy` says. `notify` gets what
    takes long: waiting, making environments.

    With `interleave` `windows` the timed cases of a repetition are alive together and take turns, at most `alive` of
    them and as many as memory holds; with `rounds` each runs alone (`lenet.engine.turns`).
    """

    def __init__(
        self,
        limits: TimeLimits | None = None,
        observer: Observer | None = None,
        command: Sequence[str] | None = None,
        interpreter: Interpreter = releases.interpreter,
        busy: Busy = "wait",
        notify: Notify = print_notice,
        interleave: Interleave = "rounds",
        alive: int | None = None,
    ) -> None:
        self._limits = limits or TimeLimits()
        self._observer = observer or SilentObserver()
        self._command = command or worker_command()
        self._interpreter = interpreter
        self._busy = busy
        self._notify = notify
        self._interleave = interleave
        self._alive = alive
        self._largest = 0
        """Resident bytes of the largest worker so far that has warmed up."""

    def run(
        self, cases: Sequence[Case], datasets: Mapping[str, Dataset], store: Store, judge: Judge | None = None
    ) -> list[Record]:
        """Run the cases, group by group; a failure becomes a record and does not end the run.

        `datasets` maps a case's dataset name to the data. Returns the records in the order of the cases; they are on
        disk too. A `judge` ends members of a group early: their status is `dropped`.

        Raises:
            StoreError: the store cannot be written; finished records are intact.
            BusyError: another run measures on one of the devices, and `busy` is `refuse`.
            KeyboardInterrupt: on Ctrl-C, after the worker was ended; the case in progress leaves no record.
        """
        records: list[Record] = []
        with held(devices(cases), self._busy, self._notify):
            for group in groups(cases, self._interleave, self._alive):
                left = start_order(group, str(store.manifest.created_at), judge)
                while left:
                    measured = self._run_group(left, datasets, store, judge, len(records), len(cases))
                    records += measured
                    left = left[len(measured) :]
        places = {case: place for place, case in enumerate(cases)}
        return sorted(records, key=lambda record: places[record.case])

    def _run_group(
        self,
        cases: Sequence[Case],
        datasets: Mapping[str, Dataset],
        store: Store,
        judge: Judge | None,
        done: int,
        total: int,
    ) -> list[Record]:
        """Start as many of the cases as memory holds, in this order, and let them take turns; returns their records.

        As many workers as there are cores set themselves up together. Then each of them warms up alone.
        """
        turns = len(cases) > 1
        group = uuid.uuid4().hex[:12] if turns else ""
        sessions: list[Session] = []
        if turns:
            self._observer.group_started(cases)
        with ExitStack() as opened:
            while len(sessions) < len(cases):
                first = len(sessions)
                for case in cases[first : first + len(usable_cores())]:
                    if not self._room_for_another(sessions):
                        break
                    finished = done + sum(session.record is not None for session in sessions)
                    self._observer.case_started(case, finished, total)
                    command = self._command_for(case, datasets[case.dataset])
                    place = len(sessions) if turns else None
                    session = Session(case, datasets[case.dataset], store, self._observer, group, place)
                    opened.callback(session.close)
                    sessions.append(session)
                    self._start(session, command, turns, judge)
                if not (started := sessions[first:]):
                    break
                for session in started:
                    session.follow()
                for session in started:
                    if session.turns_left:
                        session.take_turn(WARM_UP)
                        self._largest = max(self._largest, session.resident_bytes)
            _take_turns(sessions, group, self._observer, judge)
            return [session.record for session in sessions if session.record is not None]

    def _start(self, session: Session, command: Sequence[str] | Refusal, turns: bool, judge: Judge | None) -> None:
        """Start the worker, or record why it cannot run."""
        limits = self._limits
        if judge is not None:
            left = judge.seconds_left()
            limits = limits.within(left, judge.option)
            if left <= 0 and not isinstance(command, Refusal):
                command = Refusal(Status.DROPPED, f"not started: the time was over ({judge.option})")
        if isinstance(command, Refusal):
            session.end(command.status, command.reason)
        else:
            session.start(command, limits, TURN if turns else None)

    def _room_for_another(self, sessions: Sequence[Session]) -> bool:
        """Whether the free memory holds one more worker like the largest so far, beside what those alive still take.

        The first worker of all warms up before there is a second one: it shows how large they are.
        """
        sizes = [size for session in sessions if (size := session.resident_bytes)]
        if not self._largest or not sizes:
            return not sizes
        free = psutil.virtual_memory().available
        if (left := memory_available()) is not None:
            free = min(free, left)
        return free - sum(max(0, self._largest - size) for size in sizes) > MEMORY_MARGIN * self._largest

    def _command_for(self, case: Case, dataset: Dataset) -> Sequence[str] | Refusal:
        """The worker's command, or why the case cannot run.

        An environment is made here, before the case's time begins.
        """
        smallest = min(dataset.card.training_images, dataset.card.test_images)
        if (batch := case.global_batch_size) > smallest:
            return Refusal(Status.INVALID, f"batch size {batch} is larger than the {smallest} images of a set")
        if case.framework_version is None:
            return self._command
        try:
            return worker_command(self._interpreter(case.framework, case.framework_version, self._notify))
        except UsageError as error:
            return Refusal(Status.UNAVAILABLE, str(error))


@dataclass(frozen=True)
class Judged:
    """A local engine with a judge, who ends members of a group early: their status is `dropped`."""

    engine: LocalEngine
    judge: Judge

    def run(self, cases: Sequence[Case], datasets: Mapping[str, Dataset], store: Store) -> list[Record]:
        """As `LocalEngine.run`."""
        return self.engine.run(cases, datasets, store, self.judge)


def _take_turns(sessions: Sequence[Session], seed: str, observer: Observer, judge: Judge | None) -> None:
    """Give the workers turns until none of them wants any, without those that the judge ends after a block."""
    schedule, cycle, number = Schedule(seed), 0, 0
    while wanted := {index: each.turns_left for index, each in enumerate(sessions) if each.turns_left}:
        cycles = cycle + max(wanted.values())
        for order in schedule.block(wanted):
            for index in order:
                if sessions[index].turns_left:
                    observer.turn(sessions[index].case, cycle, cycles)
                    sessions[index].take_turn(Turn(cycle=cycle, number=number))
                    number += 1
            cycle += 1
        if judge is not None:
            reasons = judge.losers({each.case: turns for each in sessions if (turns := each.turns)})
            for each in sessions:
                if each.turns_left and each.case in reasons:
                    each.drop(reasons[each.case])
