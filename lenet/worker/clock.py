"""The worker's clock."""

from __future__ import annotations

import time
from collections.abc import Callable

from lenet.store.record import Phases


class PhaseClock:
    """Divides the worker's time into phases, which add up to its wall time."""

    def __init__(self, born: float, read: Callable[[], float] = time.perf_counter) -> None:
        """A clock that reads seconds with `read`, by which the worker was started at `born`."""
        self._born = self._since = born
        self._read = read
        self._phase = "import_and_setup"
        self.spent: dict[str, float] = {}

    def enter(self, phase: str, ended: str | None = None) -> float:
        """End the current phase, begin `phase`, and return the time in seconds.

        `ended` is the phase of the time since the last call, if it is not the one entered then. The caller has
        synchronised the device.
        """
        now = self._read()
        ended = ended or self._phase
        self.spent[ended] = self.spent.get(ended, 0.0) + now - self._since
        self._phase, self._since = phase, now
        return now

    @property
    def training(self) -> float:
        """Seconds of training up to the last `enter`, with compilation and first step."""
        return self.spent.get("compile_and_first_step", 0.0) + self.spent.get("training", 0.0)

    def phases(self) -> Phases:
        """End the current phase and return all phases."""
        now = self.enter("other")
        return Phases(
            wall_seconds=now - self._born,
            **{f"{name}_seconds": self.spent.get(name, 0.0) for name in self.names},
        )

    names = ("import_and_setup", "compile_and_first_step", "training", "evaluation", "resident", "waiting", "other")
