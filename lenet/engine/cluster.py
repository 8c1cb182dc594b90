"""One run on a Ray cluster: cases that wait, cases that run, and the nodes.

Ray transports and cancels, reports lost nodes, and gives each task its devices: all CPUs of its node, or as many of its
GPUs or NPUs as the case has processes. Two things are done here, because Ray has no means for them:

- The choice of the node. Ray has no request for all CPUs of a node of any size; it would place a case again on a node
  that no longer answers, and let one that no node can run wait without end.
- The retry. Ray takes the messages of the next attempt for those of the lost one, sent again; but they are another
  measurement.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from lenet.cases.case import Case, DeviceTarget
from lenet.dataset import Dataset
from lenet.dataset.files import NAMES
from lenet.engine.node import NodeTask, run_case
from lenet.engine.observer import Observer
from lenet.engine.remote import MessageError, RemoteCase
from lenet.errors import UsageError, reason
from lenet.store.record import Record, Status
from lenet.store.run import Store

ATTEMPTS = 3
"""How often a case is started whose node or process is lost."""

LOOK_SECONDS = 2.0
"""How often the cluster is asked for its nodes."""

SILENT_SECONDS = 60.0
"""A node that runs a case and sends nothing for this long, not even a sign of life, is lost for the rest of the run.

Ray may see it alive: its network can be cut on the way to this machine alone.
"""

FETCH_SECONDS = 60.0
"""How long a message that was announced may take to arrive."""

END_SECONDS = 10.0
"""How long the nodes may take to end their workers after Ctrl-C."""

RESOURCES = {DeviceTarget.CPU: "CPU", DeviceTarget.GPU: "GPU", DeviceTarget.ASCEND: "NPU"}


class ClusterRun:
    """The state of the run. `task` makes what a node is sent."""

    def __init__(
        self,
        cases: Sequence[Case],
        datasets: Mapping[str, Dataset],
        store: Store,
        observer: Observer,
        task: Callable[[Case, Dataset], NodeTask],
    ) -> None:
        self._total = len(cases)
        self._datasets = datasets
        self._store = store
        self._observer = observer
        self._task = task
        self._contents = {
            name: ray.put({file: (datasets[name].folder / file).read_bytes() for file in NAMES})
            for name in {case.dataset for case in cases}
        }
        self._waiting = {
            target: deque(case for case in cases if case.device_target is target) for target in DeviceTarget
        }
        self._running: dict[Any, RemoteCase] = {}
        """By the generator of the node's messages."""
        self._nodes: dict[str, Mapping[str, Any]] = {}
        """Nodes that Ray sees alive, by id, as it describes them."""
        self._looked_at = 0.0
        self._lost: set[str] = set()
        """Nodes that get no more cases."""
        self._losses: Counter[str] = Counter()
        """Lost attempts, by case and by node."""
        self._last_loss = "the cluster has none"
        self._records: list[Record] = []

    def run(self) -> list[Record]:
        """Run the cases; returns their records in the order in which they arrived."""
        self._look()
        for target, queue in self._waiting.items():
            most = max((self._devices(node, target) for node in self._nodes), default=0)
            for case in [case for case in queue if _devices_needed(case) > most]:
                queue.remove(case)
                devices = f"{case.world_size} {target.value}s" if _devices_needed(case) > 1 else target.value
                why = f"no node of the cluster has {devices}"
                self._finish(self._begin(case).end(Status.UNAVAILABLE, why))
        try:
            while waiting := sum(map(len, self._waiting.values())) + len(self._running):
                for queue in self._waiting.values():
                    while queue and (node := self._free_node(queue[0])) is not None:
                        self._start(queue.popleft(), node)
                if not self._running:
                    raise UsageError(
                        f"no node with the devices of {waiting} cases is left ({self._last_loss}); "
                        f"resume with: lenet-bench run --resume {self._store.path} --engine ray"
                    )
                self._receive()
                if time.monotonic() - self._looked_at >= LOOK_SECONDS:
                    self._look()
        except BaseException:
            self._cancel()
            raise
        return self._records

    def _look(self) -> None:
        """Ask for the cluster's nodes, and lose the cases of those that are dead or silent.

        Ray raises no error for a task whose node was cut off.
        """
        self._looked_at = time.monotonic()
        self._nodes = {node["NodeID"]: node for node in ray.nodes() if node["Alive"]}
        for messages, remote in list(self._running.items()):
            if remote.silent_seconds > SILENT_SECONDS:
                self._lost.add(remote.node)
                self._lose(messages, f"the node was silent for {SILENT_SECONDS:g} s")
            elif remote.node not in self._nodes:
                self._lose(messages, "the node is dead")

    def _devices(self, node: str, target: DeviceTarget) -> int:
        """How many the node has. Its CPU is one device; a node that lends none, as a head often does, has none."""
        count = int(self._nodes[node]["Resources"].get(RESOURCES[target], 0))
        return min(count, 1) if target is DeviceTarget.CPU else count

    def _free_node(self, case: Case) -> str | None:
        """A node with enough free devices, if there is one.

        It is one that lost the fewest cases, since Ray may not know yet that a node is dead; then the fullest one, so
        that whole nodes stay free for cases that need many devices.
        """
        target = case.device_target
        free = {node: self._devices(node, target) for node in self._nodes if node not in self._lost}
        for other in self._running.values():
            if other.node in free and other.case.device_target is target:
                free[other.node] -= _devices_needed(other.case)
        fitting = [node for node, count in free.items() if count >= _devices_needed(case)]
        return min(fitting, key=lambda node: (self._losses[node], free[node]), default=None)

    def _begin(self, case: Case, node: str = "") -> RemoteCase:
        """Report that the case starts on the node."""
        name = self._nodes[node]["NodeManagerAddress"] if node else ""
        if [each["NodeManagerAddress"] for each in self._nodes.values()].count(name) > 1:
            name = f"{name}/{node[:6]}"
        self._observer.case_started(case, len(self._records), self._total, name)
        return RemoteCase(case, self._datasets[case.dataset], self._store, self._observer, node, name)

    def _start(self, case: Case, node: str) -> None:
        count = _devices_needed(case)
        needs: dict[str, Any] = {
            DeviceTarget.CPU: {"num_cpus": self._nodes[node]["Resources"].get("CPU", 0)},
            DeviceTarget.GPU: {"num_cpus": 0, "num_gpus": count},
            DeviceTarget.ASCEND: {"num_cpus": 0, "resources": {"NPU": count}},
        }[case.device_target]
        strategy = NodeAffinitySchedulingStrategy(node, soft=False)
        run_there = ray.remote(run_case).options(
            max_retries=0, num_returns="streaming", scheduling_strategy=strategy, **needs
        )
        task = self._task(case, self._datasets[case.dataset])
        messages = run_there.remote(task.model_dump_json().encode(), self._contents[case.dataset])
        self._running[messages] = self._begin(case, node)

    def _receive(self) -> None:
        """Wait for messages, and take one of each case that has sent one."""
        ready, _ = ray.wait(list(self._running), num_returns=1, timeout=LOOK_SECONDS)
        if ready:  # the others that are ready too
            ready, _ = ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
        for messages in ready:
            remote = self._running[messages]
            try:
                record = remote.receive(ray.get(next(messages), timeout=FETCH_SECONDS))
            except RayTaskError as error:  # what runs on the node raised it
                record = remote.fail(error.cause)
            except MessageError as error:
                ray.cancel(messages, force=True)
                record = remote.fail(error)
            except (RayError, StopIteration) as error:
                self._lose(messages, reason(error))
                continue
            if record is not None:
                del self._running[messages]
                self._finish(record)

    def _lose(self, messages: Any, why: str) -> None:
        """An attempt is lost. Its case waits again, before all others, unless it had its attempts.

        A node that lost it before it began, dead or without the `runtime_env`, gets no more cases.
        """
        ray.cancel(messages, force=True)
        remote = self._running.pop(messages)
        case, node = remote.case, remote.node
        self._looked_at = 0.0
        self._last_loss = why
        self._losses[node] += 1
        if not remote.began:
            self._lost.add(node)
        else:
            self._losses[case.id] += 1
        if self._losses[case.id] < ATTEMPTS:
            self._waiting[case.device_target].appendleft(case)
        else:
            why = f"the case was lost with its process or node {ATTEMPTS} times ({why})"
            self._finish(remote.end(Status.CRASHED, why))

    def _finish(self, record: Record) -> None:
        self._store.write_record(record)
        self._observer.case_finished(record.case, record)
        self._records.append(record)

    def _cancel(self) -> None:
        """End what runs: the nodes end their workers, or are made to."""
        for messages in self._running:
            ray.cancel(messages)
        due = time.monotonic() + END_SECONDS
        while self._running and (left := due - time.monotonic()) > 0:
            ready, _ = ray.wait(list(self._running), num_returns=1, timeout=left)
            for messages in ready:
                try:
                    ray.get(next(messages), timeout=left)
                except (RayError, StopIteration):
                    del self._running[messages]
        for messages in self._running:
            ray.cancel(messages, force=True)


def _devices_needed(case: Case) -> int:
    """How many of a node's devices the case takes. A node's CPU is one device, which its processes share."""
    return 1 if case.device_target is DeviceTarget.CPU else case.world_size
