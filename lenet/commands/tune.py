"""Tuning: the pure search of `lenet.analysis.tune`, its measurements carried out by the ordinary engine.

Every measurement is a case of a run of its own and leaves a record. The workload is never touched: a candidate whose
losses part from the default's is out of the search, however fast it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from lenet.analysis import traces
from lenet.analysis.tune import Measured, Search, SearchResult, space
from lenet.cases.case import TUNED, Case, Plan, RuntimeProfile
from lenet.cases.matrix import Matrix
from lenet.commands.run import Find, Run, begin
from lenet.engine.local import LocalEngine
from lenet.store.profiles import Scope, TunedProfile, save
from lenet.store.record import Record, Status

TRACE_STEPS = 200
TRACE_TOLERANCE = 1e-4
"""A profile may change the order of a sum and so the last bits of a loss. In 200 steps that stays far below one part in
ten thousand; another batch order or another arithmetic does not."""

PLAN = Plan(window_steps=5, window_seconds=0.25, windows=6, resident_windows=0, budget_seconds=10, evaluation_images=1)
"""Short, and past the framework's own tuning: the warm-up is the ordinary one."""


@dataclass(frozen=True)
class Tuned:
    """One target's search and what was kept of it."""

    case: Case
    """The case as installed: its device, mode, batch size and data."""
    outcome: SearchResult
    saved: TunedProfile | None
    """None where not even the default could be measured."""
    path: Path | None


def tune(run: Run, budget_seconds: float, tell: Callable[[str], None], engine: LocalEngine) -> Iterator[Tuned]:
    """Tune the run's cases in turn; `budget_seconds` is for each.

    Raises:
        StoreError: the run or the profile cannot be written.
        KeyboardInterrupt: on Ctrl-C; what was measured is in the run, what was tuned before is kept.
    """
    for case in run.store.manifest.cases:
        yield _tune(run, case, budget_seconds, tell, engine)


def prepare(matrix: Matrix, find: Find, output: Path | None) -> Run:
    """Begin a run of the cases that are tuned: each device, mode and batch size of `matrix`, as installed.

    Raises: as `lenet.commands.run.begin`.
    """
    description = "measurements of `lenet-bench tune`: short, speed only"
    matrix = matrix.model_copy(update={"name": "tune", "description": description, "plan": PLAN})
    return begin(matrix.cases(), find, output, matrix=matrix)


class Measurements:
    """Measures profiles of one case, each time in a fresh process, and compares their losses with the default's."""

    def __init__(self, run: Run, case: Case, tell: Callable[[str], None], engine: LocalEngine) -> None:
        self._run = run
        self._case = case
        self._tell = tell
        self._engine = engine
        self._repetitions: dict[str, int] = {}
        self._reference: list[float] = []
        self.steps_compared: list[int] = []

    def __call__(self, profile: RuntimeProfile) -> Measured:
        """Measure it once more."""
        repetition = self._repetitions.get(profile.text, 0)
        self._repetitions[profile.text] = repetition + 1
        case = self._case.model_copy(update={"profile": profile, "repetition": repetition})
        self._run.store.extend([case])
        (record,) = self._engine.run([case], self._run.datasets, self._run.store)
        sample = self._judge(record)
        rate = "no figure" if sample.images_per_second is None else f"{sample.images_per_second:,.0f} images/s"
        self._tell(f"{profile.text}: {sample.fault or rate}")
        return sample

    def _judge(self, record: Record) -> Measured:
        speed = record.summary.throughput
        if record.status is not Status.OK or speed is None:
            return Measured(None, f"{record.status.value}: {record.reason}")
        trace = traces.losses(self._run.store, record.case)[:TRACE_STEPS]
        if not self._reference:
            self._reference = trace
        fault = disagreement(self._reference, trace)
        if fault:
            return Measured(None, fault)
        return Measured(speed.median, "", speed.low, speed.high)


def disagreement(reference: list[float], trace: list[float]) -> str:
    """Why these losses are another training's; empty where they agree within the tolerance."""
    agreement = traces.compare(reference, trace, TRACE_TOLERANCE)
    if agreement.within:
        return ""
    step = (agreement.first_beyond or 0) + 1
    return f"changes the training: its loss parts from the default's at step {step} by more than {TRACE_TOLERANCE:g}"


def _tune(run: Run, case: Case, budget_seconds: float, tell: Callable[[str], None], engine: LocalEngine) -> Tuned:
    machine = run.store.manifest.machine
    settings = space(case.framework, case.device_target, case.mode, machine.usable_cores, machine.instruction_sets)
    outcome = Search(settings, Measurements(run, case, tell, engine), time.monotonic, budget_seconds).run()
    if not outcome.default.rates:
        return Tuned(case, outcome, None, None)
    profile = outcome.winner.profile.model_copy(update={"name": TUNED, "tuned_by": run.store.path.resolve().name[:120]})
    saved = TunedProfile(
        scope=Scope.of(case, machine.id),
        profile=RuntimeProfile.model_validate(profile.model_dump()),
        tuned_at=datetime.now(timezone.utc),
        default_images_per_second=outcome.default.median,
        tuned_images_per_second=outcome.winner.median,
    )
    return Tuned(case, outcome, saved, save(saved))
