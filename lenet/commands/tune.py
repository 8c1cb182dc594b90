"""Tuning: the search of `lenet.analysis.tune`, with each measurement a case of a run and so a record.

The workload never changes: a candidate whose losses differ from the default's is out of the search, however fast it is.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from lenet.analysis import traces
from lenet.analysis.tune import Measured, Search, SearchResult, space
from lenet.cases.case import TUNED, Case, Plan, RuntimeProfile
from lenet.cases.matrix import Matrix
from lenet.commands.run import Find, Log, Run, begin
from lenet.engine import Engine
from lenet.engine.environments import releases
from lenet.errors import UsageError
from lenet.store.profiles import Scope, TunedProfile, save
from lenet.store.profiles import folder as profiles_folder
from lenet.store.record import Record, Status

TRACE_STEPS = 200
TRACE_TOLERANCE = 1e-4
"""A profile may change the order of a sum, and so the last bits of a loss. Over 200 steps that stays far below one part
in ten thousand; another batch order or another arithmetic does not."""

PLAN = Plan(window_steps=5, window_seconds=0.25, windows=6, resident_windows=0, budget_seconds=10, evaluation_images=1)
"""Short, but with the ordinary warm-up, which lets the framework tune its kernels first."""


@dataclass(frozen=True)
class TuneResult:
    """The search of one case, and what was saved of it."""

    case: Case
    """The case as installed: its device, mode, batch size and data."""
    search: SearchResult
    tuned: TunedProfile | None
    """None if not even the default could be measured."""
    path: Path | None
    """The file that `tuned` was saved in."""


def prepare(matrix: Matrix, find: Find, log: Log, output: Path | None, resume: Path | None = None) -> Run:
    """Begin or resume a run of the cases to tune: each point of `matrix`, as installed.

    Raises:
        UsageError: the matrix has more than one dataset.
        CacheError: there is no folder to save a profile in.
        Others as `lenet.commands.run.begin`.
    """
    if len(matrix.datasets) > 1:
        raise UsageError(f"--dataset {','.join(matrix.datasets)}: a profile is tuned on one dataset; name one")
    description = "measurements of `lenet-bench tune`: short, speed only"
    matrix = matrix.model_copy(update={"name": "tune", "description": description, "plan": PLAN})
    profiles_folder()  # a user without one must know before the measurements
    cases = matrix.cases()
    releases.prepare(cases, log)
    return begin(cases, find, output, resume=resume, matrix=matrix)


def tune(run: Run, budget_seconds: float, log: Log, engine: Engine) -> Iterator[TuneResult]:
    """Tune the run's cases in turn; `budget_seconds` is for each.

    Raises:
        StoreError: the run or a profile cannot be written.
        KeyboardInterrupt: on Ctrl-C; the run keeps its records, and profiles that were saved stay.
    """
    for case in run.cases:
        yield _tune(run, case, budget_seconds, log, engine)


class Measurements:
    """Measures profiles of one case, each time in a new process, and compares their losses with the default's."""

    def __init__(self, run: Run, case: Case, log: Log, engine: Engine) -> None:
        self._run = run
        self._case = case
        self._log = log
        self._engine = engine
        self._repetitions: dict[str, int] = {}
        self._reference: list[float] = []

    def __call__(self, profile: RuntimeProfile) -> Measured:
        """Measure the profile once more."""
        repetition = self._repetitions.get(profile.text, 0)
        self._repetitions[profile.text] = repetition + 1
        case = self._case.model_copy(update={"profile": profile, "repetition": repetition})
        measured = self._measured(self._run.measure_once(case, self._engine))
        if measured.fault:
            self._log(f"{profile.text}: {measured.fault}")
        return measured

    def _measured(self, record: Record) -> Measured:
        seconds = (record.finished_at - record.started_at).total_seconds()
        speed = record.summary.throughput
        if record.status is not Status.OK or speed is None:
            return Measured(None, f"{record.status.value}: {record.reason}", seconds=seconds)
        trace = traces.losses(self._run.store, record.case)[:TRACE_STEPS]
        if not self._reference:
            self._reference = trace
        if fault := _disagreement(self._reference, trace):
            return Measured(None, fault, seconds=seconds)
        return Measured(speed.median, low=speed.low, high=speed.high, seconds=seconds)


def _disagreement(reference: list[float], trace: list[float]) -> str:
    """Why these losses are those of another training; empty if they agree within the tolerance."""
    agreement = traces.compare(reference, trace, TRACE_TOLERANCE)
    if agreement.within:
        return ""
    step = (agreement.first_beyond or 0) + 1
    return f"changes the training: the loss of step {step} differs from the default's by more than {TRACE_TOLERANCE:g}"


def _tune(run: Run, case: Case, budget_seconds: float, log: Log, engine: Engine) -> TuneResult:
    machine = run.store.manifest.machine
    settings = space(case.framework, case.device_target, case.mode, machine.usable_cores, machine.instruction_sets)
    search = Search(settings, Measurements(run, case, log, engine), time.monotonic, budget_seconds).run()
    if not search.default.rates:
        return TuneResult(case, search, None, None)
    profile = search.winner.profile.model_copy(update={"name": TUNED, "tuned_by": run.store.path.resolve().name[:120]})
    tuned = TunedProfile(
        scope=Scope.of(case, machine.id),
        profile=RuntimeProfile.model_validate(profile.model_dump()),
        tuned_at=datetime.now(timezone.utc),
        default_images_per_second=search.default.median,
        tuned_images_per_second=search.winner.median,
    )
    return TuneResult(case, search, tuned, save(tuned))
