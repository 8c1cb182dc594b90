"""The Ray engine: cases over the nodes of a Ray cluster, each carried out there as the local engine does it here.

A case goes to one node and takes what it needs of it alone: all its CPUs, or as many of its GPUs or NPUs as it has
processes. The node receives the data (once; it is kept in its cache), and sends back the record, the events, the log
and the machine's card. A node needs this package and MindSpore: its own, or those of the Ray job's `runtime_env`.

Ray's address is `RAY_ADDRESS`, as for every Ray program; without it a Ray of this machine alone is started.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from lenet.case import Case, DeviceTarget
from lenet.dataset import Dataset
from lenet.dataset.files import NAMES, keep
from lenet.engine import Limits, Observer, SilentObserver
from lenet.engine.home import Home, Result
from lenet.engine.local import WORKER_COMMAND, LocalEngine
from lenet.engine.placement import Placed, devices_needed
from lenet.engine.spread import BrokenOff, Done, Message, spread
from lenet.errors import UsageError
from lenet.machine import describe
from lenet.matrix import Matrix
from lenet.record import DatasetCard, Record
from lenet.store import EVENTS, Store

LOOK_SECONDS = 2.0
"""How often the cluster's nodes are looked at."""

SETTLE_SECONDS = 30.0
"""How long a node may take to be known as dead after a case on it broke off; alive then, the case's process crashed."""

RESOURCES = {"CPU": DeviceTarget.CPU, "GPU": DeviceTarget.GPU, "NPU": DeviceTarget.ASCEND}


@dataclass(frozen=True)
class Errand:
    """What a node is sent."""

    case: str
    dataset: str
    limits: Limits
    command: tuple[str, ...] | None
    omp_threads: str | None
    """The OMP_NUM_THREADS that was asked for here; None removes the one that Ray sets."""


def carry_out(errand: Errand, contents: Mapping[str, bytes]) -> Result:
    """On the node: one case through the local engine, in a folder that is gone afterwards."""
    os.environ.pop("OMP_NUM_THREADS", None)
    if errand.omp_threads is not None:
        os.environ["OMP_NUM_THREADS"] = errand.omp_threads
    case = Case.model_validate_json(errand.case)
    card = DatasetCard.model_validate_json(errand.dataset)
    dataset = keep(contents, f"sent-{card.sha256[:16]}", card.name)
    with tempfile.TemporaryDirectory(prefix="lenet-bench-") as folder:
        store = Store.create(Path(folder) / "run", Matrix(), [case], {card.name: card}, describe())
        engine = LocalEngine(errand.limits, command=errand.command or WORKER_COMMAND)
        (record,) = engine.run([case], {case.dataset: dataset}, store)
        events, log = store.path / EVENTS, store.log_path(case)
        return Result(
            record=record.model_dump_json(),
            machine=describe().model_dump_json(),
            events=events.read_bytes() if events.exists() else b"",
            log=log.read_bytes() if log.exists() else b"",
        )


class Cluster:
    """The nodes of the Ray cluster as `spread` sees them."""

    def __init__(self, contents: Mapping[str, Any], errands: Mapping[str, Errand]) -> None:
        """`contents` holds references to each dataset's files, by name; `errands` each case's, by its id."""
        self._contents = contents
        self._errands = errands
        self._cpus: dict[str, float] = {}
        self._running: dict[Any, Placed] = {}
        self._suspects: list[tuple[float, Placed]] = []
        self._looked = 0.0

    def nodes(self) -> dict[str, dict[DeviceTarget, int]]:
        """The nodes that are alive, with their devices."""
        self._looked = time.monotonic()
        found = {}
        for node in ray.nodes():
            if not node["Alive"]:
                continue
            resources = node["Resources"]
            devices = {target: int(resources.get(name, 0)) for name, target in RESOURCES.items()}
            self._cpus[node["NodeID"]] = resources.get("CPU", 0)
            # A node's CPU is one device. A node that lends none, as a head often does, carries no CPU case out.
            found[node["NodeID"]] = {**devices, DeviceTarget.CPU: min(devices[DeviceTarget.CPU], 1)}
        return found

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
        task = ray.remote(carry_out).options(max_retries=0, scheduling_strategy=strategy, **needs)
        self._running[task.remote(self._errands[case.id], self._contents[case.dataset])] = placed

    def wait(self) -> list[Message]:
        """What has ended since."""
        if self._running:
            ready, _ = ray.wait(list(self._running), num_returns=1, timeout=LOOK_SECONDS)
        else:
            ready = []
            time.sleep(LOOK_SECONDS)
        messages: list[Message] = []
        for reference in ready:
            placed = self._running.pop(reference)
            try:
                messages.append(Done(placed, ray.get(reference)))
            except RayTaskError as error:
                messages.append(Done(placed, error))  # our own code on the node raised
            except RayError:
                self._suspects.append((time.monotonic() + SETTLE_SECONDS, placed))
                self._looked = 0.0
        now = time.monotonic()
        messages += [BrokenOff(placed) for due, placed in self._suspects if due <= now]
        self._suspects = [(due, placed) for due, placed in self._suspects if due > now]
        return messages

    def changed(self) -> bool:
        """Whether the nodes are to be looked at again."""
        return time.monotonic() - self._looked >= LOOK_SECONDS

    def cancel(self) -> None:
        """End what runs."""
        for reference in self._running:
            ray.cancel(reference, force=True)


class RayEngine:
    """Runs cases on the nodes of a Ray cluster. `command` starts a worker there; tests give one that misbehaves."""

    def __init__(
        self,
        limits: Limits | None = None,
        observer: Observer | None = None,
        command: Sequence[str] | None = None,
        runtime_env: Mapping[str, Any] | None = None,
    ) -> None:
        self._limits = limits or Limits()
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
                ray.init(log_to_driver=False, logging_level="ERROR", runtime_env=self._runtime_env)
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
        cluster, home = Cluster(contents, errands), Home(cases, datasets, store, self._observer)
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
