"""The Ray engine: groups of cases over the nodes of a Ray cluster, each run there by the local engine.

A node needs this package and MindSpore: its own, or those of the Ray job's `runtime_env`. The data is sent to it once
and kept in its cache. Ray's address is `RAY_ADDRESS`, as for every Ray program; without it Ray connects to the cluster
that `ray start` has made on this machine, or starts one of this machine alone.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import RayError

from lenet.cases.case import Case, DeviceTarget
from lenet.dataset import Dataset
from lenet.engine.busy import Busy
from lenet.engine.cluster import ClusterRun
from lenet.engine.messages import NodeTask
from lenet.engine.observer import Observer, SilentObserver
from lenet.engine.process import TimeLimits
from lenet.engine.turns import Interleave, groups
from lenet.errors import UsageError, reason
from lenet.store.record import DatasetCard, Record
from lenet.store.run import Store


def init(runtime_env: Mapping[str, Any] | None) -> None:
    """`ray.init`, which replaces the handler of SIGTERM in this process: it is set again, so that a run can end."""
    handler = signal.getsignal(signal.SIGTERM)
    ray.init(log_to_driver=False, logging_level="ERROR", runtime_env=runtime_env)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


class RayEngine:
    """Runs cases on the nodes of a Ray cluster. `command` starts a worker there, by default the usual one.

    With `interleave` `windows` a node gets the timed CPU cases of a repetition, at most `alive` of them, and their
    workers take turns there (`lenet.engine.turns`).
    """

    def __init__(
        self,
        limits: TimeLimits | None = None,
        observer: Observer | None = None,
        command: Sequence[str] | None = None,
        busy: Busy = "wait",
        runtime_env: Mapping[str, Any] | None = None,
        interleave: Interleave = "rounds",
        alive: int | None = None,
    ) -> None:
        self._limits = limits or TimeLimits()
        self._observer = observer or SilentObserver()
        self._command = tuple(command) if command else None
        self._busy: Busy = busy
        self._runtime_env = dict(runtime_env) if runtime_env else None
        self._interleave: Interleave = interleave
        self._alive = alive

    def run(self, cases: Sequence[Case], datasets: Mapping[str, Dataset], store: Store) -> list[Record]:
        """Run the cases, in order on each kind of device; a failure becomes a record and does not end the run.

        Returns the records in the order in which they arrived; they are on disk too.

        Raises:
            UsageError: there is no cluster, or no node is left; finished records are intact.
            BusyError: another run measures on a node, and `busy` is `refuse`; finished records are intact.
            StoreError: the store cannot be written; finished records are intact.
            KeyboardInterrupt: on Ctrl-C, after the cases in progress were ended.
        """
        starts_ray = not ray.is_initialized()
        if starts_ray:
            try:
                init(self._runtime_env)
            except (RayError, ConnectionError, RuntimeError, ValueError) as error:
                raise UsageError(f"--engine ray: no Ray cluster (RAY_ADDRESS): {reason(error)}") from error
        try:
            return ClusterRun(self._groups(cases), datasets, store, self._observer, self._task).run()
        finally:
            if starts_ray:
                ray.shutdown()

    def _groups(self, cases: Sequence[Case]) -> list[list[Case]]:
        """The cases of each kind of device, those that a node gets together in one list."""
        queues = ([case for case in cases if case.device_target is target] for target in DeviceTarget)
        return [group for queue in queues for group in groups(queue, self._interleave, self._alive)]

    def _task(self, cases: Sequence[Case], datasets: Sequence[DatasetCard]) -> NodeTask:
        return NodeTask(
            cases=tuple(cases),
            datasets=tuple(datasets),
            limits=self._limits,
            busy=self._busy,
            interleave=self._interleave,
            command=self._command,
            omp_threads=os.environ.get("OMP_NUM_THREADS"),
        )
