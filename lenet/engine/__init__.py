"""Engines run cases in isolated worker processes and write their records to a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from lenet.cases.case import Case
from lenet.engine.observer import Observer, SilentObserver
from lenet.engine.process import TimeLimits
from lenet.errors import UsageError
from lenet.machine.installed import install_command
from lenet.store.record import Record

if TYPE_CHECKING:
    from lenet.dataset import Dataset
    from lenet.engine.busy import Busy
    from lenet.engine.turns import Interleave
    from lenet.store.run import Store

__all__ = ["ENGINES", "Engine", "Observer", "SilentObserver", "TimeLimits", "available", "choose"]

ENGINES = ("local", "ray")


class Engine(Protocol):
    """Runs cases, each in a worker process of its own, and writes their records."""

    def run(self, cases: Sequence[Case], datasets: Mapping[str, Dataset], store: Store) -> list[Record]:
        """Run the cases; a failure becomes a record and does not end the run.

        `datasets` maps a case's dataset name to the data. Returns the records, which are on disk too.
        """


def available(name: str) -> None:
    """Check that there is an engine of that name here.

    Raises:
        UsageError: there is none, or it is not installed.
    """
    if name not in ENGINES:
        raise UsageError(f"--engine {name!r}: choose from {', '.join(ENGINES)}")
    if name == "ray" and find_spec("ray") is None:
        raise UsageError(f"--engine ray: Ray is not installed: {install_command('ray>=2.40')}")


def choose(
    name: str,
    limits: TimeLimits,
    observer: Observer,
    busy: Busy = "wait",
    interleave: Interleave = "windows",
    alive: int | None = None,
) -> Engine:
    """The engine of that name, which makes environments of the releases that cases ask for.

    Raises:
        UsageError: there is none, or it is not installed.
    """
    available(name)
    if name == "ray":
        from lenet.engine.ray import RayEngine

        return RayEngine(limits, observer, busy=busy, interleave=interleave, alive=alive)
    from lenet.engine.local import LocalEngine

    return LocalEngine(limits, observer, busy=busy, interleave=interleave, alive=alive)
