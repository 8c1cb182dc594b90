"""Cases over several nodes: the loop that places them, brings their records home, and places again what was lost.

What the nodes are is the backend's: a Ray cluster, or a simulation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lenet.cases.case import Case, DeviceTarget
from lenet.engine.placement import ATTEMPTS, Placed, Placement


@dataclass(frozen=True)
class Said:
    """A case is under way, and its node says something of it; `content` is the backend's."""

    placed: Placed
    content: object


@dataclass(frozen=True)
class Done:
    """A case was carried out, well or not; `result` is the backend's."""

    placed: Placed
    result: object


@dataclass(frozen=True)
class BrokenOff:
    """A case ended without a word though its node is there."""

    placed: Placed


Message = Said | Done | BrokenOff


class Backend(Protocol):
    """A place with nodes."""

    def nodes(self) -> Mapping[str, Mapping[DeviceTarget, int]]:
        """The nodes that are alive, and how many devices of each target they have."""

    def start(self, placed: Placed) -> None:
        """Begin to carry the case out; returns at once."""

    def wait(self) -> list[Message]:
        """What has happened: returns as soon as something has, or empty after a while, for a look at the nodes."""

    def changed(self) -> bool:
        """Whether nodes may have come or gone since the last look."""


class Keeper(Protocol):
    """Who keeps what comes home."""

    def started(self, placed: Placed) -> None:
        """The case begins on its node."""

    def hear(self, placed: Placed, said: object) -> None:
        """The case is under way, and its node says this of it."""

    def keep(self, placed: Placed, result: object) -> None:
        """The case's result is here."""

    def give_up(self, case: Case, reason: str, *, unavailable: bool) -> None:
        """The case will have no result: no node has its device, or its nodes were lost too often."""


def spread(cases: Sequence[Case], backend: Backend, keeper: Keeper) -> int:
    """Carry the cases out on the backend's nodes.

    Returns how many are left because the nodes that had their devices are gone; 0 when every case was kept or given
    up. A case for which no node was there from the beginning is given up.
    """
    placement = Placement(cases)
    _look(placement, backend, keeper)
    for case in placement.impossible():
        devices = f"{case.world_size} {case.device_target.value}s" if case.world_size > 1 else case.device_target.value
        keeper.give_up(case, f"no node of the cluster has {devices}", unavailable=True)
    while placement.waiting or placement.running:
        for placed in placement.place():
            keeper.started(placed)
            backend.start(placed)
        if not placement.running:
            return placement.waiting
        for message in backend.wait():
            if not placement.runs(message.placed):
                continue  # of a node that was counted as lost: the case is elsewhere by now
            if isinstance(message, Said):
                keeper.hear(message.placed, message.content)
            elif isinstance(message, Done):
                placement.finish(message.placed)
                keeper.keep(message.placed, message.result)
            elif not placement.retry(message.placed):
                _give_up(keeper, message.placed)
        if backend.changed():
            _look(placement, backend, keeper)
    return 0


def _look(placement: Placement, backend: Backend, keeper: Keeper) -> None:
    alive = backend.nodes()
    for node in [node for node in placement.nodes if node not in alive]:
        for placed in placement.lose(node):
            _give_up(keeper, placed)
    for node, devices in alive.items():
        if node not in placement.nodes:
            placement.join(node, devices)


def _give_up(keeper: Keeper, placed: Placed) -> None:
    keeper.give_up(placed.case, f"the case was lost with its process or node {ATTEMPTS} times", unavailable=False)
