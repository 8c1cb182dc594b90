"""The Ray engine: cases over the nodes of a Ray cluster, each carried out there as the local engine does it here.

A case goes to one node and takes what it needs of it alone: all its CPUs, or as many of its GPUs or NPUs as it has
processes. The node receives the data (once; it is kept in its cache), and says what its worker says while it says it
(`lenet.engine.node`). A node needs this package and MindSpore: its own, or those of the Ray job's `runtime_env`.

Ray's address is `RAY_ADDRESS`, as for every Ray program; without it a Ray of this machine alone is started.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from lenet.cases.case import Case, DeviceTarget
from lenet.dataset import Dataset
from lenet.dataset.files import NAMES
from lenet.engine import Observer, SilentObserver, TimeLimits
from lenet.engine.home import Home
from lenet.engine.node import Errand, Result, carry_out
from lenet.engine.placement import Placed, devices_needed
from lenet.engine.spread import BrokenOff, Done, Message, Said, spread
from lenet.errors import UsageError
from lenet.store.record import Record
from lenet.store.run import Store

LOOK_SECONDS = 2.0
"""How often the cluster's nodes are looked at."""

SETTLE_SECONDS = 30.0
"""How long a node may take to be known as dead after a case on it broke off; alive then, the case's process crashed."""

SILENT_SECONDS = 60.0
"""How long a node that has a case may say nothing, not even that it is there: then it counts as lost.

To Ray it may live: its network can be cut on the way to this machine alone.
"""

FETCH_SECONDS = 60.0
"""How long a piece that has been announced may be on its way."""

END_SECONDS = 10.0
"""How long the nodes have for ending their workers after Ctrl-C."""

RESOURCES = {"CPU": DeviceTarget.CPU, "GPU": DeviceTarget.GPU, "NPU": DeviceTarget.ASCEND}


@dataclass
class Running:
    """A case on its way through a node."""

    placed: Placed
    heard: float | None = None
    """When the node last said something, by the steady clock; None before it has begun (it may wait for a device)."""


class Cluster:
    """The nodes of the Ray cluster as `spread` sees them."""

    def __init__(self, contents: Mapping[str, Any], errands: Mapping[str, Errand]) -> None:
        """`contents` holds references to each dataset's files, by name; `errands` each case's, by its id."""
        self._contents = contents
        self._errands = errands
        self._cpus: dict[str, float] = {}
        self._addresses: dict[str, str] = {}
        self._running: dict[Any, Running] = {}
        """By the generator of what the node says."""
        self._suspects: list[tuple[float, Placed]] = []
        self._silent: set[str] = set()
        """Nodes that said nothing for too long."""
        self._looked = 0.0

    def nodes(self) -> dict[str, dict[DeviceTarget, int]]:
        """The nodes that are alive, with their devices."""
        self._looked = time.monotonic()
        found = {}
        for node in ray.nodes():
            if not node["Alive"] or node["NodeID"] in self._silent:
                continue
            resources = node["Resources"]
            devices = {target: int(resources.get(name, 0)) for name, target in RESOURCES.items()}
            self._cpus[node["NodeID"]] = resources.get("CPU", 0)
            self._addresses[node["NodeID"]] = node["NodeManagerAddress"]
            # A node's CPU is one device. A node that lends none, as a head often does, carries no CPU case out.
            found[node["NodeID"]] = {**devices, DeviceTarget.CPU: min(devices[DeviceTarget.CPU], 1)}
        return found

    def name(self, node: str) -> str:
        """The node's address; where several have one address, with the beginning of the node's id."""
        address = self._addresses[node]
        alone = list(self._addresses.values()).count(address) == 1
        return address if alone else f"{address}/{node[:6]}"

    def start(self, placed: Placed) -> None:
        """Send the case to its node."""
        case, count = placed.case, devices_needed(placed.case)
        needs: dict[str, Any] = {"num_cpus": 0}
        if case.device_target is DeviceTarget.CPU:
            needs["num_cpus"] = self._cpus[placed.node]
        elif case.device_target is DeviceTarget.GPU:
            needs["num_gpus"] = count
        else:
            needs["resources"] = {"NPU": count}
        strategy = NodeAffinitySchedulingStrategy(placed.node, soft=False)
        task = ray.remote(carry_out).options(
            max_retries=0, num_returns="streaming", scheduling_strategy=strategy, **needs
        )
        said = task.remote(self._errands[case.id], self._contents[case.dataset])
        self._running[said] = Running(placed)

    def wait(self) -> list[Message]:
        """What has been said and what has ended since."""
        if self._running:
            ready, _ = ray.wait(list(self._running), num_returns=1, timeout=LOOK_SECONDS)
            if ready:  # the others that are ready too
                ready, _ = ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
        else:
            ready = []
            time.sleep(LOOK_SECONDS)
        messages = [message for said in ready if (message := self._next(said)) is not None]
        now = time.monotonic()
        for said, running in list(self._running.items()):
            if running.heard is not None and now - running.heard > SILENT_SECONDS:
                del self._running[said]
                ray.cancel(said, force=True)
                self._silent.add(running.placed.node)
                self._looked = 0.0
        messages += [BrokenOff(placed) for due, placed in self._suspects if due <= now]
        self._suspects = [(due, placed) for due, placed in self._suspects if due > now]
        return messages

    def _next(self, said: Any) -> Message | None:
        """The next of what a node says, which is there; None when the case broke off and the node is suspected."""
        running = self._running[said]
        try:
            content = ray.get(next(said), timeout=FETCH_SECONDS)
        except RayTaskError as error:
            content = error  # our own code on the node raised
        except (RayError, StopIteration):
            del self._running[said]
            self._suspects.append((time.monotonic() + SETTLE_SECONDS, running.placed))
            self._looked = 0.0
            return None
        running.heard = time.monotonic()
        if isinstance(content, Result | RayTaskError):
            del self._running[said]
            return Done(running.placed, content)
        return Said(running.placed, content)

    def changed(self) -> bool:
        """Whether the nodes are to be looked at again."""
        return time.monotonic() - self._looked >= LOOK_SECONDS

    def cancel(self) -> None:
        """End what runs: the nodes end their workers; those that do not within a while are ended themselves."""
        for said in self._running:
            ray.cancel(said)
        due = time.monotonic() + END_SECONDS
        while self._running and (left := due - time.monotonic()) > 0:
            ready, _ = ray.wait(list(self._running), num_returns=1, timeout=left)
            for said in ready:
                with contextlib.suppress(RayError, StopIteration):
                    if not isinstance(ray.get(next(said), timeout=left), Result):
                        continue
                del self._running[said]
        for said in self._running:
            ray.cancel(said, force=True)


def init(runtime_env: Mapping[str, Any] | None) -> None:
    """`ray.init`, which replaces the handler of SIGTERM in this process: it is set again, so that a run can end."""
    handler = signal.getsignal(signal.SIGTERM)
    ray.init(log_to_driver=False, logging_level="ERROR", runtime_env=runtime_env)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


class RayEngine:
    """Runs cases on the nodes of a Ray cluster. `command` starts a worker there; tests give one that misbehaves."""

    def __init__(
        self,
        limits: TimeLimits | None = None,
        observer: Observer | None = None,
        command: Sequence[str] | None = None,
        runtime_env: Mapping[str, Any] | None = None,
    ) -> None:
        self._limits = limits or TimeLimits()
        self._observer = observer or SilentObserver()
        self._command = tuple(command) if command else None
        self._runtime_env = dict(runtime_env) if runtime_env else None

    def run(self, cases: Sequence[Case], datasets: Mapping[str, Dataset], store: Store) -> list[Record]:
        """Carry the cases out, in order on each kind of device; a bad one becomes a record and never ends the run.

        Returns the records in the order in which they came home; they are on disk too.

        Raises:
            UsageError: there is no cluster, or no node is left; what was finished before is intact.
            StoreError: the store can no longer be written; what was finished before is intact.
            KeyboardInterrupt: on Ctrl-C, after the cases in hand were ended.
        """
        ours = not ray.is_initialized()
        if ours:
            try:
                init(self._runtime_env)
            except (RayError, ConnectionError, RuntimeError, ValueError) as error:
                text = " ".join(str(error).split())[:300]
                raise UsageError(f"--engine ray: no Ray cluster (RAY_ADDRESS): {text}") from error
        try:
            return self._run(cases, datasets, store)
        finally:
            if ours:
                ray.shutdown()

    def _run(self, cases: Sequence[Case], datasets: Mapping[str, Dataset], store: Store) -> list[Record]:
        contents = {}
        for name in dict.fromkeys(case.dataset for case in cases):
            folder = datasets[name].folder
            contents[name] = ray.put({file: (folder / file).read_bytes() for file in NAMES})
        errands = {
            case.id: Errand(
                case=case.model_dump_json(),
                dataset=datasets[case.dataset].card.model_dump_json(),
                limits=self._limits,
                command=self._command,
                omp_threads=os.environ.get("OMP_NUM_THREADS"),
            )
            for case in cases
        }
        cluster = Cluster(contents, errands)
        home = Home(cases, datasets, store, self._observer, cluster.name)
        try:
            left = spread(cases, cluster, home)
        except BaseException:
            cluster.cancel()
            raise
        if left:
            raise UsageError(
                f"no node of the Ray cluster with the devices of {left} cases is left; go on with: "
                f"lenet-bench run --resume {store.path} --engine ray"
            )
        return home.records
