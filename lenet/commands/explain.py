"""Explaining a case: it is measured, watched by instruments in processes of their own, and suspected causes are tested.

Instruments slow the training down, so no figure of an instrumented process is reported as a speed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lenet.analysis import onednn
from lenet.analysis.explain.findings import Explanation, TriedChange, conclude
from lenet.analysis.explain.observation import Bounds, Observed, Operator, Speed, StepTimes
from lenet.analysis.explain.suspicions import Key, Suspicion, suspicions
from lenet.cases.case import Case, DeviceTarget, Mode, Plan
from lenet.cases.matrix import Matrix
from lenet.cases.presets import override, single_case
from lenet.commands.run import Find, Log, Run, begin
from lenet.engine import Engine, TimeLimits
from lenet.engine.environments import releases
from lenet.engine.probe import PROBE_COMMAND, probe
from lenet.errors import UsageError
from lenet.files.plain import open_plain
from lenet.machine import roofline
from lenet.machine.card import describe
from lenet.store.events import Failed
from lenet.store.record import Record, Status
from lenet.store.run import Store
from lenet.worker.instruments import Method, ProbeResult

PLAN = Plan(window_steps=5, window_seconds=0.25, windows=6, resident_windows=4, budget_seconds=10, evaluation_images=1)
PROCESSES = 2
"""Processes of each variant, measured in turn."""
PROBE_SECONDS = 1.0
PROBE_STEPS = (10, 300)
"""Instrument about a second of steps, but at least and at most so many."""
MAX_LOG_BYTES = 256 * 2**20
"""Read at most so much of a log."""


class NothingToExplainError(Exception):
    """The case could not be run; the message says why."""


@dataclass(frozen=True)
class Explainer:
    """Explains the case of a run, which keeps every record and every log."""

    run: Run
    engine: Engine
    limits: TimeLimits
    log: Log

    def explain(self) -> Explanation:
        """Measure the case, watch it, and test what is suspected.

        Raises:
            NothingToExplainError: the case cannot be run here.
            StoreError: the run cannot be written.
            KeyboardInterrupt: on Ctrl-C; the run keeps its records.
        """
        (case,) = self.run.cases
        self.log("measuring the case without instruments")
        record = self._measure(case)
        speed = record.summary.throughput
        if record.status is not Status.OK or speed is None:
            raise NothingToExplainError(f"{record.status.value}: {record.reason}")
        count = self._steps(record)
        self.log(f"watching {count} steps: operators, processor time")
        watched = self._probe(case, "operators", count)
        log: onednn.Log | None = None
        kernels: tuple[onednn.Kernel, ...] = ()
        caveats = self._busy()
        caveats += [f"operators could not be measured: {watched.reason}"] if isinstance(watched, Failed) else []
        if case.device_target is DeviceTarget.CPU:
            self.log(f"watching {count} steps: oneDNN's log")
            log, kernels, problem = self._kernels(case, count)
            caveats += [f"oneDNN's log could not be read: {problem}"] if problem else []
        else:
            caveats.append(f"operators and kernels are read on CPU only, not on {case.device_target.value}")
        self.log("measuring this machine's matrix product and memory")
        observed = observe(record, watched if isinstance(watched, ProbeResult) else None, log, kernels, tuple(caveats),
                           self.run.store.manifest.machine.usable_cores, roofline.measure())  # fmt: skip
        suspected = suspicions(observed)
        trials, remedied = self._try(case, speed.median, suspected, count)
        return Explanation(observed=observed, findings=tuple(conclude(suspected, trials, remedied, observed)))

    def _busy(self) -> list[str]:
        """A caveat if other programs used the cores when the run began: figures are of a part of the machine then."""
        machine = self.run.store.manifest.machine
        if machine.load_average is None or machine.load_average < machine.usable_cores / 2:
            return []
        return [
            f"the machine was busy before: load {machine.load_average:.1f} on {machine.usable_cores} cores; measure "
            "again when it is idle"
        ]

    def _measure(self, case: Case, repetition: int = 0, plan: Plan = PLAN) -> Record:
        case = case.model_copy(update={"plan": plan, "repetition": repetition})
        return self.run.measure_once(case, self.engine)

    @staticmethod
    def _steps(record: Record) -> int:
        steady = [window for window in record.windows if not window.warmup]
        pace = sum(window.seconds for window in steady) / sum(window.steps for window in steady)
        return max(PROBE_STEPS[0], min(PROBE_STEPS[1], round(PROBE_SECONDS / pace)))

    def _probe(self, case: Case, method: Method, count: int) -> ProbeResult | Failed:
        log = self.run.store.log_path(case, method)
        command: Sequence[str] = PROBE_COMMAND
        if case.framework_version is not None:
            command = (releases.interpreter(case.framework, case.framework_version, self.log), *command[1:])
        return probe(case, self.run.datasets[case.dataset], method, count, log, self.limits, command)

    def _kernels(self, case: Case, count: int) -> tuple[onednn.Log | None, tuple[onednn.Kernel, ...], str]:
        """oneDNN's log and its kernels per step, or why there is none."""
        watched = self._probe(case, "onednn", count)
        if isinstance(watched, Failed):
            return None, (), watched.reason
        path = self.run.store.log_path(case, "onednn")
        with os.fdopen(open_plain(path), "rb") as file:
            lines = file.read(MAX_LOG_BYTES).decode(errors="replace").splitlines()
        log = onednn.parse(lines)
        if not log.executions:
            return log, (), f"{case.framework.value} wrote none"
        return log, onednn.kernels(log, count), ""

    def _try(
        self, case: Case, first: float, suspected: Sequence[Suspicion], count: int
    ) -> tuple[Mapping[Key, TriedChange], Mapping[Key, Sequence[onednn.Kernel]]]:
        """Test the change of each suspicion, in turn with the case; oneDNN's kernels with each change that gained."""
        plan = PLAN.model_copy(update={"resident_windows": 0})
        changes = {each.key: each.change for each in suspected if each.change is not None}
        before = [first]
        after: dict[Key, list[float]] = {key: [] for key in changes}
        for number in range(PROCESSES):
            if number and changes:
                self.log("measuring the case again")
                before += self._rates(case, number, plan)
            for key, change in changes.items():
                self.log(f"trying {change.option}")
                after[key] += self._rates(change.apply(case), number, plan)
        speed = Speed(rates=tuple(before))
        trials = {
            key: TriedChange(change=changes[key].option, before=speed, after=Speed(rates=tuple(rates)))
            for key, rates in after.items()
            if len(rates) == len(before)
        }
        remedied: dict[Key, Sequence[onednn.Kernel]] = {}
        for key, trial in trials.items():
            if trial.gained and case.device_target is DeviceTarget.CPU:
                self.log(f"watching oneDNN with {trial.change}")
                remedied[key] = self._kernels(changes[key].apply(case), count)[1]
        return trials, remedied

    def _rates(self, case: Case, repetition: int, plan: Plan) -> list[float]:
        speed = self._measure(case, repetition, plan).summary.throughput
        return [speed.median] if speed else []


def observe(
    record: Record,
    watched: ProbeResult | None,
    log: onednn.Log | None,
    kernels: tuple[onednn.Kernel, ...],
    caveats: tuple[str, ...],
    cores: int,
    limits: roofline.Roofline,
) -> Observed:
    """What was observed of a case. The record has a throughput."""
    case, summary = record.case, record.summary
    speed, resident = summary.throughput, summary.resident_throughput
    if speed is None:
        raise ValueError("the record has no throughput")
    batch = case.global_batch_size
    operators: tuple[Operator, ...] = ()
    in_operators = sum(kernel.milliseconds for kernel in kernels) if kernels else None
    if watched is not None and watched.operators:
        operators = tuple(
            Operator(name=each.name, calls=each.calls / watched.steps, milliseconds=each.milliseconds / watched.steps)
            for each in watched.operators
        )
        in_operators = sum(each.milliseconds for each in operators)
    used = watched.user_seconds + watched.system_seconds if watched else 0.0
    step = StepTimes(
        whole=1e3 * batch / speed.median,
        resident=1e3 * batch / resident.median if resident else None,
        host=1e3 * watched.host_seconds / watched.steps if watched else None,
        operators=in_operators,
        instrumented=1e3 * watched.profiled_seconds / watched.steps if watched and watched.profiled_seconds else None,
        cores_busy=used / watched.seconds if watched else None,
        system_share=watched.system_seconds / used if watched and used > 0 else None,
    )
    return Observed(
        case=case,
        cores=cores,
        speed=Speed(rates=(speed.median,)),
        step=step,
        operators=operators,
        kernels=kernels,
        library=log.library if log else onednn.Library(),
        bounds=Bounds.of(limits.gflops, limits.gigabytes_per_second, batch, speed.median),
        caveats=caveats,
    )


def chosen_case(target: Path | None, case_id: str | None, axes: Mapping[str, str], log: Log) -> Case:
    """The case to explain: that of a record, or else the one that the options of the axes name.

    Raises:
        UsageError: there is no such record, both are given, or an option names several values.
    """
    if target is None:
        return single_case(override(Matrix(), **{"mode": Mode.GRAPH.value, **axes}), axes)
    if axes:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in axes)
        raise UsageError(f"{target} names the case: omit {named}")
    record = recorded(target, case_id)
    if record.machine_id != describe().id:
        log(f"the record is of another machine ({record.machine_id}); all figures that follow are of this one")
    if record.summary.throughput is not None:
        log(f"the record has {record.summary.throughput.median:,.0f} images/s")
    return record.case


def recorded(target: Path, case_id: str | None) -> Record:
    """The record in the file `RUN/records/ID.json`, or that of a case id in a run.

    Raises:
        UsageError: there is none; the message lists those of the run.
    """
    folder, wanted = target, case_id
    if case_id is None and target.suffix == ".json":
        folder, wanted = target.resolve().parents[1], target.stem
    records = Store.open(folder).records()
    for record in records:
        if record.case_id == wanted:
            return record
    known = ", ".join(record.case_id for record in records[:6]) + (", …" if len(records) > 6 else "")
    problem = f"{folder} has no record {wanted}" if wanted else f"{folder} is a run: add the id of a case"
    raise UsageError(f"{problem}; it has {known or 'none'}")


def prepare(case: Case, find: Find, log: Log, output: Path | None = None, resume: Path | None = None) -> Run:
    """Begin or resume a run for the explanation of one case; its plan is replaced by a short one.

    Raises: as `lenet.commands.run.begin`.
    """
    case = case.model_copy(update={"plan": PLAN, "repetition": 0})
    matrix = Matrix.around([case], "explain", "measurements of `lenet-bench explain`: short, speed only")
    releases.prepare([case], log)
    return begin([case], find, output, resume=resume, matrix=matrix)
