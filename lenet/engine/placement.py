"""Which case goes where: cases onto the devices of several machines, one case at a time a device.

Pure bookkeeping, without a clock and without a cluster. Each step costs the same however many cases and nodes there
are, so that a run's cost is linear in its cases.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, KeysView, Mapping
from dataclasses import dataclass

from lenet.cases.case import Case, DeviceTarget

ATTEMPTS = 3
"""How often a case is placed when the nodes that have it are lost, before it is given up."""


@dataclass(frozen=True)
class Placed:
    """A case on a node; `attempt` counts from 1, and `number` is this placing's own."""

    case: Case
    node: str
    attempt: int
    number: int


def devices_needed(case: Case) -> int:
    """How many of a node's devices the case takes. A node's CPU is one device, which its processes share."""
    return 1 if case.device_target is DeviceTarget.CPU else case.world_size


class Placement:
    """Cases that wait, nodes with free devices, and what runs where. Cases of one target start in their order."""

    def __init__(self, cases: Iterable[Case]) -> None:
        self._waiting: dict[DeviceTarget, deque[tuple[Case, int]]] = {target: deque() for target in DeviceTarget}
        for case in cases:
            self._waiting[case.device_target].append((case, 0))
        self._devices: dict[str, dict[DeviceTarget, int]] = {}
        self._free: dict[tuple[str, DeviceTarget], int] = {}
        # Nodes by how many devices are free: a node for a case is found without looking at all of them. A dict
        # keeps the order in which nodes became free, so that work goes round.
        self._by_free: dict[DeviceTarget, dict[int, dict[str, None]]] = {target: {} for target in DeviceTarget}
        self._running: dict[str, dict[int, Placed]] = {}
        self._placings = 0
        self.running = 0

    @property
    def nodes(self) -> KeysView[str]:
        """The nodes that are there."""
        return self._devices.keys()

    @property
    def waiting(self) -> int:
        """How many cases wait for a device."""
        return sum(map(len, self._waiting.values()))

    def runs(self, placed: Placed) -> bool:
        """Whether the case is on that node, by that placing."""
        return placed.number in self._running.get(placed.node, {})

    def join(self, node: str, devices: Mapping[DeviceTarget, int]) -> None:
        """A node is there, with so many devices of each target."""
        if node in self._devices:
            raise ValueError(f"the node {node} is there already")
        self._devices[node] = dict(devices)
        self._running[node] = {}
        for target, count in devices.items():
            if count > 0:
                self._set_free(node, target, count)

    def lose(self, node: str) -> list[Placed]:
        """A node is gone. Its cases wait again, before all others; those that had their attempts are returned."""
        lost = self._running.pop(node, {})
        self.running -= len(lost)
        for target in self._devices.pop(node, {}):
            self._set_free(node, target, 0)
            self._free.pop((node, target), None)
        given_up = []
        for placed in reversed(lost.values()):
            if not self._again(placed):
                given_up.append(placed)
        return given_up[::-1]

    def finish(self, placed: Placed) -> None:
        """A case has its record; its devices are free."""
        self._release(placed)

    def retry(self, placed: Placed) -> bool:
        """A case broke off though its node is there: it waits again. False when it had its attempts."""
        self._release(placed)
        return self._again(placed)

    def place(self) -> list[Placed]:
        """Start what can start now."""
        started = []
        for target, queue in self._waiting.items():
            while queue:
                case, attempts = queue[0]
                need = devices_needed(case)
                node = self._node(target, need)
                if node is None:
                    break
                queue.popleft()
                self._set_free(node, target, self._free[node, target] - need)
                self._placings += 1
                placed = Placed(case, node, attempts + 1, self._placings)
                self._running[node][placed.number] = placed
                self.running += 1
                started.append(placed)
        return started

    def impossible(self) -> list[Case]:
        """Take out and return the cases that no node which is there could carry out, even if all were idle."""
        found = []
        for target, queue in self._waiting.items():
            most = max((devices.get(target, 0) for devices in self._devices.values()), default=0)
            found += [case for case, _ in queue if devices_needed(case) > most]
            self._waiting[target] = deque(item for item in queue if devices_needed(item[0]) <= most)
        return found

    def _node(self, target: DeviceTarget, need: int) -> str | None:
        """A node with enough free devices, the fullest that has: whole nodes stay free for cases that need many."""
        fitting = [free for free, nodes in self._by_free[target].items() if free >= need and nodes]
        return next(iter(self._by_free[target][min(fitting)])) if fitting else None

    def _set_free(self, node: str, target: DeviceTarget, free: int) -> None:
        buckets = self._by_free[target]
        if (before := self._free.get((node, target))) is not None:
            buckets.get(before, {}).pop(node, None)
        self._free[node, target] = free
        if free:
            buckets.setdefault(free, {})[node] = None

    def _release(self, placed: Placed) -> None:
        if self._running.get(placed.node, {}).pop(placed.number, None) is None:
            raise ValueError(f"{placed.case.id} does not run on {placed.node}")
        self.running -= 1
        target = placed.case.device_target
        self._set_free(placed.node, target, self._free[placed.node, target] + devices_needed(placed.case))

    def _again(self, placed: Placed) -> bool:
        if placed.attempt >= ATTEMPTS:
            return False
        self._waiting[placed.case.device_target].appendleft((placed.case, placed.attempt))
        return True
