"""Watching a case by instruments, each in a process of its own: they slow the training down."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property

from lenet.analysis import onednn
from lenet.analysis.explain.account import StepAccount, account
from lenet.analysis.explain.observation import Bounds, Observed, Operator, Speed, StepTimes
from lenet.analysis.stability import sample
from lenet.cases.case import Case, DeviceTarget
from lenet.commands.measurement import Log, Run
from lenet.engine import TimeLimits
from lenet.engine.environments import releases
from lenet.engine.probe import PROBE_COMMAND, probe
from lenet.files.plain import open_plain
from lenet.machine import roofline
from lenet.store.events import Failed
from lenet.store.record import Record, throughput
from lenet.worker.instruments import Method, ProbeResult

LOG_SECONDS = 1.0
LOG_STEPS = (12, 300)
"""oneDNN logs about a second of steps, but at least and at most so many."""
PART_STEPS = 32
"""Steps of each kind of window in which the parts are measured, at least."""
MAX_LOG_BYTES = 256 * 2**20
"""Read at most so much of a log."""


class Watcher:
    """Watches cases of a run; the output of the instruments is kept beside the records."""

    def __init__(self, run: Run, limits: TimeLimits, log: Log, part_seconds: float) -> None:
        """`part_seconds`: about how long each kind of window is trained in which the parts of a step are measured."""
        self._part_seconds = part_seconds
        self._run = run
        self._limits = limits
        self._log = log

    @cached_property
    def _roofline(self) -> roofline.Roofline:
        self._log("measuring this machine's matrix product and memory")
        return roofline.measure()

    def look(self, case: Case, records: Sequence[Record]) -> Observed:
        """Everything that can be observed of a case, of which at least one record has a throughput."""
        (record, *_) = [each for each in records if each.summary.throughput is not None]
        self._log("watching the parts of a step, operators and processor time")
        watched = self._probe(case, "parts", record)
        log = onednn.Log(onednn.Library(), ())
        kernels: tuple[onednn.Kernel, ...] = ()
        caveats = []
        if isinstance(watched, Failed):
            caveats.append(f"the parts of a step could not be measured: {watched.reason}")
        if case.device_target is DeviceTarget.CPU:
            self._log("watching oneDNN's log")
            log, kernels, problem = self._kernels(case, record)
            caveats += [f"oneDNN's log could not be read: {problem}"] if problem else []
        else:
            target = case.device_target.value
            caveats.append(f"operators, kernels and limits are measured on CPU only, not on {target}")
        cores = self._run.store.manifest.machine.usable_cores
        return observe(
            record, watched if isinstance(watched, ProbeResult) else None, log.library, kernels, tuple(caveats), cores,
            self._roofline if case.device_target is DeviceTarget.CPU else None,
        )  # fmt: skip

    def parts(self, case: Case, records: Sequence[Record]) -> tuple[StepAccount, tuple[Operator, ...]] | None:
        """The account of a step and its operators; None if they cannot be measured."""
        measured = [each for each in records if each.summary.throughput is not None]
        if not measured:
            return None
        self._log(f"watching {case.framework.value}: the parts of its step")
        watched = self._probe(case, "parts", measured[0])
        if isinstance(watched, Failed) or (found := account(watched.rounds)) is None:
            return None
        return found, _operators(watched)

    def _probe(self, case: Case, method: Method, record: Record) -> ProbeResult | Failed:
        log = self._run.store.log_path(case, method)
        command: Sequence[str] = PROBE_COMMAND
        if case.framework_version is not None:
            command = (releases.interpreter(case.framework, case.framework_version, self._log), *command[1:])
        steady = [window for window in record.windows if not window.warmup]
        pace = sum(window.seconds for window in steady) / sum(window.steps for window in steady)
        if method == "parts":
            steps = max(PART_STEPS, round(self._part_seconds / pace))
        else:
            steps = max(LOG_STEPS[0], min(LOG_STEPS[1], round(LOG_SECONDS / pace)))
        return probe(case, self._run.datasets[case.dataset], method, steps, log, self._limits, command)

    def _kernels(self, case: Case, record: Record) -> tuple[onednn.Log, tuple[onednn.Kernel, ...], str]:
        """oneDNN's log and its kernels per step, or why there is none."""
        watched = self._probe(case, "onednn", record)
        if isinstance(watched, Failed):
            return onednn.Log(onednn.Library(), ()), (), watched.reason
        path = self._run.store.log_path(case, "onednn")
        with os.fdopen(open_plain(path), "rb") as file:
            lines = file.read(MAX_LOG_BYTES).decode(errors="replace").splitlines()
        log = onednn.parse(lines)
        if not log.executions:
            return log, (), f"{case.framework.value} wrote none"
        return log, onednn.kernels(log, watched.steps), ""


def _operators(watched: ProbeResult) -> tuple[Operator, ...]:
    return tuple(
        Operator(name=each.name, calls=each.calls / watched.steps, milliseconds=each.milliseconds / watched.steps)
        for each in watched.operators
    )


def observe(
    record: Record,
    watched: ProbeResult | None,
    library: onednn.Library,
    kernels: tuple[onednn.Kernel, ...],
    caveats: tuple[str, ...],
    cores: int,
    limits: roofline.Roofline | None,
) -> Observed:
    """What was observed of a case. The record has a throughput. `limits` are those of the device, if measured."""
    case, resident = record.case, throughput(record.resident_windows)
    measured = sample(record.windows)
    if measured is None:
        raise ValueError("the record has no throughput")
    speed, batch = measured.median, case.global_batch_size
    used = watched.user_seconds + watched.system_seconds if watched else 0.0
    return Observed(
        case=case.first_repetition,
        cores=cores,
        speed=Speed(rates=(speed,)),
        step=StepTimes(
            whole=1e3 * batch / speed,
            resident=1e3 * batch / resident.median if resident else None,
            cores_busy=used / watched.seconds if watched else None,
            system_share=watched.system_seconds / used if watched and used > 0 else None,
        ),
        account=account(watched.rounds) if watched else None,
        operators=_operators(watched) if watched else (),
        kernels=kernels,
        library=library,
        bounds=Bounds.of(limits.gflops, limits.gigabytes_per_second, batch, speed) if limits else None,
        caveats=caveats,
    )
