"""One run on a Ray cluster: groups of cases that wait, groups that run, and the nodes.

A group is what a node gets: cases whose workers take turns there, or one case. Ray transports and cancels, reports lost
nodes, and gives each task its devices: all CPUs of its node, or as many of its GPUs or NPUs as the case has processes.
Two things are done here, because Ray has no means for them:

- The choice of the node. Ray has no request for all CPUs of a node of any size; it would place a case again on a node
  that no longer answers, and let one that no node can run wait without end.
- The retry. Ray takes the messages of the next attempt for those of the lost one, sent again; but they are another
  measurement.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from lenet.cases.case import Case, DeviceTarget
from lenet.dataset import Dataset
from lenet.dataset.files import NAMES
from lenet.engine.messages import NodeTask
from lenet.engine.node import run_group
from lenet.engine.observer import Observer
from lenet.engine.remote import MessageError, RemoteGroup
from lenet.errors import StoreError, UsageError, reason
from lenet.store.record import NODE_LENGTH, DatasetCard, Record, Status
from lenet.store.run import Store

ATTEMPTS = 3
"""How often a case is started whose node or process is lost. The last time it is alone: it may be what ends them."""

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
        groups: Sequence[Sequence[Case]],
        datasets: Mapping[str, Dataset],
        store: Store,
        observer: Observer,
        task: Callable[[Sequence[Case], Sequence[DatasetCard]], NodeTask],
    ) -> None:
        self._total = sum(map(len, groups))
        self._datasets = datasets
        self._store = store
        self._observer = observer
        self._task = task
        self._contents = {
            name: ray.put({file: (datasets[name].folder / file).read_bytes() for file in NAMES})
            for name in {case.dataset for group in groups for case in group}
        }
        self._waiting = {
            target: deque(group for group in groups if group[0].device_target is target) for target in DeviceTarget
        }
        self._running: dict[Any, RemoteGroup] = {}
        """By the generator of the node's messages."""
        self._nodes: dict[str, Mapping[str, Any]] = {}
        """Nodes that Ray sees alive, by id, as it describes them."""
        self._looked_at = 0.0
        self._lost: set[str] = set()
        """Nodes that get no more cases."""
        self._losses: Counter[str] = Counter()
        """Lost attempts, by case and by node."""
        self._ends: dict[str, datetime] = {}
        """When the last case of a node had finished, by its clock."""
        self._last_loss = "the cluster has none"
        self._records: list[Record] = []

    def run(self) -> list[Record]:
        """Run the cases; returns their records in the order in which they arrived."""
        self._look()
        for target, queue in self._waiting.items():
            most = max((self._devices(node, target) for node in self._nodes), default=0)
            for group in [group for group in queue if _devices_needed(group) > most]:
                queue.remove(group)
                devices = f"{count} {target.value}s" if (count := _devices_needed(group)) > 1 else target.value
                for case in group:
                    why = f"no node of the cluster has {devices}"
                    for record in self._begin([case]).end([case], Status.UNAVAILABLE, why):
                        self._finish(record)
        try:
            while self._running or any(self._waiting.values()):
                for queue in self._waiting.values():
                    while queue and (node := self._free_node(queue[0])) is not None:
                        self._start(queue.popleft(), node)
                if not self._running:
                    waiting = sum(len(group) for queue in self._waiting.values() for group in queue)
                    raise UsageError(f"no node with the devices of {waiting} cases is left ({self._last_loss})")
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

    def _free_node(self, group: Sequence[Case]) -> str | None:
        """A node with enough free devices for the group, if there is one.

        It is one that lost the fewest cases, since Ray may not know yet that a node is dead; then the fullest one, so
        that whole nodes stay free for cases that need many devices.
        """
        target = group[0].device_target
        free = {node: self._devices(node, target) for node in self._nodes if node not in self._lost}
        for other in self._running.values():
            if other.node in free and other.device_target is target:
                free[other.node] -= _devices_needed(other.cases)
        fitting = [node for node, count in free.items() if count >= _devices_needed(group)]
        return min(fitting, key=lambda node: (self._losses[node], free[node]), default=None)

    def _begin(self, group: Sequence[Case], node: str = "") -> RemoteGroup:
        """Report that the cases start on the node."""
        name = self._nodes[node]["NodeManagerAddress"] if node else ""
        if [each["NodeManagerAddress"] for each in self._nodes.values()].count(name) > 1:
            name = f"{name}/{node[:6]}"
        if len(group) > 1:
            self._observer.group_started(group, name)
        for case in group:
            self._observer.case_started(case, len(self._records), self._total, name)
        ended = self._ends.get(node[:NODE_LENGTH])
        return RemoteGroup(group, self._datasets, self._store, self._observer, node, name, ended)

    def _start(self, group: Sequence[Case], node: str) -> None:
        count = _devices_needed(group)
        needs: dict[str, Any] = {
            DeviceTarget.CPU: {"num_cpus": self._nodes[node]["Resources"].get("CPU", 0)},
            DeviceTarget.GPU: {"num_cpus": 0, "num_gpus": count},
            DeviceTarget.ASCEND: {"num_cpus": 0, "resources": {"NPU": count}},
        }[group[0].device_target]
        strategy = NodeAffinitySchedulingStrategy(node, soft=False)
        run_there = ray.remote(run_group).options(
            max_retries=0, num_returns="streaming", scheduling_strategy=strategy, **needs
        )
        names = list(dict.fromkeys(case.dataset for case in group))
        task = self._task(group, [self._datasets[name].card for name in names])
        messages = run_there.remote(task.model_dump_json().encode(), *(self._contents[name] for name in names))
        self._running[messages] = self._begin(group, node)

    def _receive(self) -> None:
        """Wait for messages, and take one of each group that has sent one."""
        ready, _ = ray.wait(list(self._running), num_returns=1, timeout=LOOK_SECONDS)
        if ready:  # the others that are ready too
            ready, _ = ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
        for messages in ready:
            remote = self._running[messages]
            try:
                records = remote.receive(ray.get(next(messages), timeout=FETCH_SECONDS))
            except RayTaskError as error:  # what runs on the node raised it
                records = remote.fail(error.cause)
            except MessageError as error:
                ray.cancel(messages, force=True)
                records = remote.fail(error)
            except (RayError, StopIteration) as error:
                self._lose(messages, reason(error))
                continue
            for record in records:
                self._finish(record)
            if not remote.cases:
                del self._running[messages]

    def _lose(self, messages: Any, why: str) -> None:
        """An attempt is lost. The cases without a record wait again, before all others, unless they had their attempts.

        A node that lost it before it began, dead or without the `runtime_env`, gets no more cases.
        """
        ray.cancel(messages, force=True)
        remote = self._running.pop(messages)
        node, left = remote.node, remote.cases
        self._looked_at = 0.0
        self._last_loss = why
        self._losses[node] += 1
        if not remote.began:
            self._lost.add(node)
        else:
            self._losses.update(case.id for case in left)
        given_up = [case for case in left if self._losses[case.id] >= ATTEMPTS]
        alone = [case for case in left if self._losses[case.id] == ATTEMPTS - 1]
        together = [case for case in left if self._losses[case.id] < ATTEMPTS - 1]
        again = [[case] for case in alone] + ([together] if together else [])
        self._waiting[remote.device_target].extendleft(reversed(again))
        why = f"the case was lost with its process or node {ATTEMPTS} times ({why})"
        for record in remote.end(given_up, Status.CRASHED, why):
            self._finish(record)

    def _finish(self, record: Record) -> None:
        if record.phases is not None:  # one that was lost has the time of this machine
            self._ends[record.node] = max(record.finished_at, self._ends.get(record.node, record.finished_at))
        self._store.write_record(record)
        self._observer.case_finished(record.case, record)
        self._records.append(record)

    def _cancel(self) -> None:
        """End what runs: the nodes end their workers, or are made to. Records that were on their way are kept."""
        for messages in self._running:
            ray.cancel(messages)
        due = time.monotonic() + END_SECONDS
        while self._running and (left := due - time.monotonic()) > 0:
            ready, _ = ray.wait(list(self._running), num_returns=1, timeout=left)
            for messages in ready:
                try:
                    for record in self._running[messages].receive(ray.get(next(messages), timeout=left)):
                        self._finish(record)
                except (RayError, StopIteration, MessageError, StoreError):
                    del self._running[messages]
        for messages in self._running:
            ray.cancel(messages, force=True)


def _devices_needed(group: Sequence[Case]) -> int:
    """How many of a node's devices the group takes. A node's CPU is one device, which its processes share."""
    return 1 if group[0].device_target is DeviceTarget.CPU else group[0].world_size
