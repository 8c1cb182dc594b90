"""Engines carry cases out in isolated workers and hand records to a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from lenet.cases.case import Case
from lenet.errors import UsageError
from lenet.store.events import Event
from lenet.store.record import Record

if TYPE_CHECKING:
    from lenet.dataset import Dataset
    from lenet.engine.busy import Busy
    from lenet.store.run import Store

ENGINES = ("local", "ray")


@dataclass(frozen=True)
class Limits:
    """When a worker is killed, in seconds: `wall_seconds` since its start, `silence_seconds` without an event."""

    wall_seconds: float | None = None
    silence_seconds: float = 600.0


class Observer(Protocol):
    """Who watches a run. Called from the parent, never at the same time.

    The local engine has one case under way, an engine of several nodes one on each device.
    """

    def case_started(self, case: Case, done: int, total: int, node: str = "") -> None:
        """The worker of a case is about to start, on `node` where there are several; `done` of `total` are finished.

        A case that was lost with its node is started again.
        """

    def event(self, case: Case, event: Event) -> None:
        """The worker reported an event."""

    def case_finished(self, case: Case, record: Record) -> None:
        """The record is on disk."""


class SilentObserver:
    """Watches and says nothing."""

    def case_started(self, case: Case, done: int, total: int, node: str = "") -> None:
        """Say nothing."""

    def event(self, case: Case, event: Event) -> None:
        """Say nothing."""

    def case_finished(self, case: Case, record: Record) -> None:
        """Say nothing."""


class Engine(Protocol):
    """Carries cases out, each in a worker process of its own, and keeps their records."""

    def run(self, cases: Sequence[Case], datasets: Mapping[str, Dataset], store: Store) -> list[Record]:
        """Carry the cases out; a bad one becomes a record and never ends the run.

        `datasets` maps a case's dataset name to the data. Returns the records, which are on disk too.
        """


def available(name: str) -> None:
    """Nothing, when there is an engine of that name here.

    Raises:
        UsageError: there is none, or it is not installed.
    """
    if name not in ENGINES:
        raise UsageError(f"--engine {name!r}: choose from {', '.join(ENGINES)}")
    if name == "ray" and find_spec("ray") is None:
        raise UsageError("--engine ray: Ray is not installed; pip install 'lenet-bench[ray]'")


def choose(
    name: str, limits: Limits, observer: Observer, interpreters: Mapping[str, str], busy: Busy = "wait"
) -> Engine:
    """The engine of that name; `interpreters` are those of other releases of a framework, by release.

    Raises:
        UsageError: there is none, or it is not installed.
    """
    available(name)
    if name == "ray":
        from lenet.engine.ray import RayEngine

        return RayEngine(limits, observer)
    from lenet.engine.local import LocalEngine, worker_command

    commands = {version: worker_command(python) for version, python in interpreters.items()}
    return LocalEngine(limits, observer, commands=commands, busy=busy)
