"""The command `run`: which cases it measures, and how."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lenet.analysis.paired import LOOKS
from lenet.cases.case import Case
from lenet.cases.matrix import Matrix
from lenet.cases.presets import load_file, load_preset
from lenet.cases.wheels import is_wheel
from lenet.commands.measurement import Find, Log, Run, begin, open_run, with_devices
from lenet.commands.ratios import OPTION, families, sample_ratios, selector_of
from lenet.commands.sampling import Goal, sample_until
from lenet.engine import Observer, TimeLimits, available, choose
from lenet.engine.busy import Busy
from lenet.engine.environments.releases import prepare
from lenet.engine.turns import Interleave
from lenet.errors import UsageError
from lenet.machine.card import describe, with_host_name


@dataclass(frozen=True)
class RunRequest:
    """What `lenet-bench run` measures, and how."""

    axes: Mapping[str, Any] = field(default_factory=dict)
    """The options that replace an axis of the matrix."""
    preset: str | None = None
    matrix: Path | None = None
    """A TOML file."""
    output: Path | None = None
    with_host: bool = False
    resume: Path | None = None
    """A run to continue; no option above this one goes with it."""
    retry_failed: bool = False
    force: bool = False
    engine: str = "local"
    limits: TimeLimits = field(default_factory=TimeLimits)
    busy: Busy = "wait"
    interleave: Interleave = "windows"
    alive: int | None = None
    """The most workers that are alive together on a machine or node; None: as many as memory holds."""
    cann: Path | None = None
    goal: Goal | None = None

    def begin(self, find: Find, log: Log) -> Run:
        """Begin the run, or resume it.

        Raises:
            UsageError: options that do not go together, or that `begin` refuses.
            DatasetError: data cannot be found.
            StoreError: the folder cannot be read or written.
        """
        available(self.engine)
        if self.cann is not None:
            from lenet.machine.devices.cann import source

            os.environ.update(source(self.cann))
        if self.resume is not None:
            run = open_run(self.resume, find, write=True)
            self._check_ratios(run.cases)
            self._make_environments(self.outstanding(run), log)
            return run
        if self.retry_failed or self.force:
            raise UsageError("--retry-failed and --force continue a run: name it with --resume")
        matrix = self._matrix()
        cases = matrix.cases()
        self._check_ratios(cases)
        self._make_environments(cases, log)
        machine = with_host_name(describe()) if self.with_host else None
        return begin(cases, find, self.output, matrix=matrix, machine=machine)

    def _check_ratios(self, cases: Sequence[Case]) -> None:
        """Refuse cases that cannot be sampled to the precision of their ratios, if that is asked for."""
        if self.goal is None or self.goal.baseline is None:
            return
        if self.engine != "local":
            raise UsageError(f"{OPTION} needs workers that take turns on this machine: omit --engine {self.engine}")
        if self.interleave != "windows":
            raise UsageError(f"{OPTION} needs workers that take turns: omit --interleave {self.interleave}")
        if self.alive == 1:
            raise UsageError(f"{OPTION} needs two workers alive together: choose --alive 2 or more")
        families(cases, selector_of(self.goal, cases))

    def _make_environments(self, cases: Sequence[Case], log: Log) -> None:
        """Before the run begins, so that a release that cannot be installed leaves no folder."""
        if self.engine == "local":
            prepare(cases, log)
        elif any(is_wheel(case.framework_version) for case in cases):  # each node makes its own environments
            raise UsageError(f"--versions: the nodes of a cluster have no wheel file: omit --engine {self.engine}")

    def _matrix(self) -> Matrix:
        if self.preset is not None and self.matrix is not None:
            raise UsageError("--preset and --matrix both name a matrix: give one of them")
        matrix = load_file(self.matrix) if self.matrix is not None else load_preset(self.preset or "quick")
        return with_devices(matrix, self.axes)

    def outstanding(self, run: Run) -> list[Case]:
        """The cases that the request measures."""
        return run.outstanding(cluster=self.engine != "local", retry_failed=self.retry_failed, force=self.force)

    def measure(self, run: Run, observer: Observer, log: Log) -> None:
        """Measure the outstanding cases, then more processes of them until the goal is reached.

        Raises: as `Run.measure`.
        """
        began = time.monotonic()
        engine = choose(self.engine, self.limits, observer, self.busy, self.interleave, self.alive)
        of_ratios = self.goal is not None and self.goal.baseline is not None
        run.store.planned_looks = LOOKS if of_ratios else ()
        run.measure(self.outstanding(run), engine)

        def more(cases: Sequence[Case]) -> None:
            run.measure(cases, engine)

        if self.goal is not None and of_ratios:
            sample_ratios(run.store, more, self.goal, log, began, self.alive)
        elif self.goal is not None:
            sample_until(run.store, more, self.goal, log, began)
