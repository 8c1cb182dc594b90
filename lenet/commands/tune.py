"""Tuning: the search of `lenet.analysis.tune`, with each process a case of a run and so a record.

The workload never changes: a candidate whose losses differ from the default's is out of the search, however fast it is.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated

from pydantic import PlainSerializer

from lenet.analysis import traces
from lenet.analysis.paired import TimedTurn
from lenet.analysis.tune.candidate import DRIFT, NOISE, Look, Measured, SearchResult
from lenet.analysis.tune.lost import lost
from lenet.analysis.tune.search import Search
from lenet.analysis.tune.space import space
from lenet.cases.case import TUNED, WARMUP_STEPS_AT_LEAST, Case, Plan, RuntimeProfile
from lenet.cases.matrix import Matrix
from lenet.cases.profile import ALLOCATORS
from lenet.commands.measurement import Find, Log, Run, begin
from lenet.engine.environments import releases
from lenet.engine.local import Judged, LocalEngine
from lenet.engine.turns import takes_turns
from lenet.errors import UsageError
from lenet.files.plain import as_text
from lenet.machine.card import MachineCard, describe
from lenet.machine.installed import has_library
from lenet.store.profiles import Scope, TunedProfile, save, writable
from lenet.store.record import Record, Status, Window

TRACE_STEPS = 200
TRACE_TOLERANCE = 1e-4
"""A profile may change the order of a sum, and so the last bits of a loss. Over 200 steps that stays far below one part
in ten thousand; another batch order or another arithmetic does not."""

RACE = Plan(
    warmup_steps=5,
    window_steps=1,
    window_seconds=0.25,
    windows=8,
    resident_windows=0,
    budget_seconds=10,
    evaluation_images=1,
)
"""Two seconds of turns, after little warm-up: a profile that is fast leaves the tuning of its kernels behind within its
first turns, and one that is ten times slower need not."""

CONFIRMATION = Plan(
    window_steps=1, window_seconds=0.25, windows=10, resident_windows=0, budget_seconds=20, evaluation_images=1
)
"""With the ordinary warm-up, which lets the framework tune its kernels first."""

KEPT_SECONDS = 5.0
"""Of the budget, for what the command itself takes: to begin, to end the last workers and to write; in a small budget a
twentieth of it."""

SETTLED_TURNS = 8
"""Turns past the tuning of the kernels from which only they count. Where there are fewer, all do: they scatter more
than the tuning changes. In whole-step jit turns of one process differ tenfold, and the last three say nothing."""


@dataclass(frozen=True)
class TuneResult:
    """The search of one case, and what was saved of it."""

    case: Case
    """The case as installed: its device, mode, batch size and data."""
    search: SearchResult
    seconds: float
    """The time that it took."""
    tuned: TunedProfile | None
    """None if not even the default could be measured."""
    path: Annotated[Path | None, PlainSerializer(lambda path: path and as_text(path))]
    """The file that `tuned` was saved in."""


def prepare(matrix: Matrix, find: Find, log: Log, output: Path | None, resume: Path | None = None) -> Run:
    """Begin or resume a run of the cases to tune: each point of `matrix`, as installed.

    Raises:
        UsageError: the matrix has more than one dataset, or a case has no setting that is worth a measurement.
        CacheError: there is no folder to save a profile in.
        StoreError: it cannot be written.
        Others as `lenet.commands.measurement.begin`.
    """
    if len(matrix.datasets) > 1:
        raise UsageError(f"--dataset {','.join(matrix.datasets)}: a profile is tuned on one dataset; name one")
    description = "measurements of `lenet-bench tune`: short, speed only"
    matrix = matrix.model_copy(update={"name": "tune", "description": description, "plan": RACE})
    writable()  # a user without a folder for profiles must know before the measurements
    cases = matrix.cases()
    card = describe()
    for case in cases:
        if not _space(case, card):
            words = f"{case.framework.value} on {case.device_target.value}"
            raise UsageError(f"{words}: no setting of a profile is worth a measurement on this machine; leave it out")
    releases.prepare(cases, log)
    return begin(cases, find, output, resume=resume, matrix=matrix)


def tune(
    run: Run, budget_seconds: float, log: Log, engine: LocalEngine, alive: int | None = None
) -> Iterator[TuneResult]:
    """Tune the run's cases in turn; `budget_seconds` is for each, and `alive` the most workers of a look.

    Raises:
        StoreError: the run or a profile cannot be written.
        KeyboardInterrupt: on Ctrl-C; the run keeps its records, and profiles that were saved stay.
    """
    machine = run.store.manifest.machine
    search_seconds = budget_seconds - min(KEPT_SECONDS, budget_seconds / 20)
    for case in run.cases:
        settings = _space(case, machine)
        began = time.monotonic()
        search = Search(
            settings,
            Looks(run, case, began + search_seconds, log, engine),
            time.monotonic,
            search_seconds,
            alive=alive,
            noise=NOISE if takes_turns(case) else DRIFT,
            warm_up_images=CONFIRMATION.warmup_steps * case.global_batch_size,
        ).run()
        seconds = time.monotonic() - began
        if not search.default.rates:
            yield TuneResult(case, search, seconds, None, None)
            continue
        named = {"name": TUNED, "tuned_by": run.store.path.resolve().name[:120]}
        profile = search.winner.profile.model_copy(update=named)
        tuned = TunedProfile(
            scope=Scope.of(case, machine.id),
            profile=RuntimeProfile.model_validate(profile.model_dump()),
            tuned_at=datetime.now(timezone.utc),
            default_images_per_second=search.default.median,
            tuned_images_per_second=search.winner.median,
        )
        yield TuneResult(case, search, seconds, tuned, save(tuned))


def _space(case: Case, machine: MachineCard) -> list[RuntimeProfile]:
    allocators = [name for name, each in ALLOCATORS.items() if has_library(each.library)]
    sets = machine.instruction_sets
    return space(case.framework, case.device_target, case.mode, machine.usable_cores, sets, allocators)


class RaceJudge:
    """Ends what has clearly lost, and everything when the time of the look is over."""

    option = "--budget"

    def __init__(self, deadline: float, *, drops: bool) -> None:
        self._deadline = deadline
        self._drops = drops
        self.in_order = drops
        """The default and the likely winners start first; a confirmation only compares."""

    def seconds_left(self) -> float:
        """Time until the look has to have ended."""
        return self._deadline - time.monotonic()

    def losers(self, turns: Mapping[Case, Sequence[Window]]) -> dict[Case, str]:
        """The members that have clearly lost; all of them when the time is over."""
        if self.seconds_left() <= 0:
            return dict.fromkeys(turns, f"ended early: the time was over ({self.option})")
        if not self._drops:
            return {}
        settled = {case for case, windows in turns.items() if windows[-1].first_step >= WARMUP_STEPS_AT_LEAST}
        found = lost({case: TimedTurn.of(windows) for case, windows in turns.items()}, settled)
        return {case: f"dropped from the race: the fastest is {lead:.1f} times faster" for case, lead in found.items()}


def counted_turns(steady: Sequence[Window]) -> Sequence[Window]:
    """Of the windows after the warm-up of a race those that count: past the tuning of the kernels, or else all."""
    settled = [window for window in steady if window.first_step >= WARMUP_STEPS_AT_LEAST]
    return settled if len(settled) >= SETTLED_TURNS else steady


class Looks:
    """Measures the looks of a search as groups of a case's workers, and compares their losses with the default's.

    All members of a look have its number as their repetition. A look that the run has measured, in full or until it was
    interrupted, is not measured again.
    """

    def __init__(self, run: Run, case: Case, deadline: float, log: Log, engine: LocalEngine) -> None:
        self._run = run
        self._case = case
        self._deadline = deadline
        self._log = log
        self._engine = engine
        self._numbers = {False: 0, True: 0}
        self._reference: list[float] = []

    def __call__(self, look: Look) -> list[Measured]:
        """Measure the look."""
        plan, number = CONFIRMATION if look.confirms else RACE, self._numbers[look.confirms]
        self._numbers[look.confirms] += 1
        update = {"plan": plan, "repetition": number}
        cases = [self._case.model_copy(update={**update, "profile": profile}) for profile in look.profiles]
        what = f"confirmation {number + 1}" if look.confirms else f"look {number + 1}"
        left = self._deadline - time.monotonic()
        self._log(f"{what}: {len(cases)} profiles are alive together; at most {max(left, 0):.0f} s left")
        judge = RaceJudge(look.deadline, drops=not look.confirms)
        records = self._run.measure_added(cases, Judged(self._engine, judge))
        # Where workers cannot take turns, those that were measured one after the other are the group.
        names = [record.group or what for record in records]
        found = [
            self.measured(each, name, _share(records, names, name)) for each, name in zip(records, names, strict=True)
        ]
        for profile, measured in zip(look.profiles, found, strict=True):
            if measured.fault:
                self._log(f"{profile.text}: {measured.fault}")
        return found

    def measured(self, record: Record, group: str, seconds: float) -> Measured:
        """What the record says; `seconds` is its share of the time of its group."""
        if record.status not in (Status.OK, Status.DROPPED):
            return Measured(None, f"{record.status.value}: {record.reason}", seconds=seconds)
        steady = [window for window in record.windows if not window.warmup]
        if not steady:
            return Measured(None, seconds=seconds)
        trace = traces.losses(self._run.store, record.case)[:TRACE_STEPS]
        if not self._reference:
            self._reference = trace
        agreement = traces.compare(self._reference, trace, TRACE_TOLERANCE)
        if agreement.first_beyond is not None:
            words = f"differs from the default's by more than {TRACE_TOLERANCE:g}"
            fault = f"changes the training: the loss of step {agreement.first_beyond + 1} {words}"
            return Measured(None, fault, seconds=seconds)
        counted = counted_turns(steady)
        return Measured(
            sum(window.images for window in counted) / sum(window.seconds for window in counted),
            group=group,
            turns=TimedTurn.of(counted),
            settled=max(steady[-1].first_step, record.case.plan.warmup_steps) >= WARMUP_STEPS_AT_LEAST,
            seconds=seconds,
        )


def _share(records: Sequence[Record], groups: Sequence[str], group: str) -> float:
    """Seconds of the group for each of its records.

    The first worker of a search may take many times longer to start, as long as the framework is not in the page cache.
    In a group of three or more the time therefore counts from the start of the second, for all but one.
    """
    members = [record for record, name in zip(records, groups, strict=True) if name == group]
    starts = sorted(each.started_at for each in members)
    skipped = 1 if len(members) > 2 else 0
    took = max(each.finished_at for each in members) - starts[skipped]
    return took.total_seconds() / (len(members) - skipped)
