"""What placing cases on a cluster costs: simulated cases on simulated nodes, in virtual time, so that all is scheduler.

    python bench/scheduler.py [--nodes 100] [--cases 1000,2000,5000,10000] [--lost 10]

Printed: seconds in all and microseconds a case for each number of cases. Linear is when the latter does not grow.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Mapping
from typing import Annotated

import typer

from lenet.cases.case import Case, DeviceTarget
from lenet.engine.placement import Placed
from lenet.engine.spread import Done, Message, spread


class Simulation:
    """Nodes that carry a case out by waiting; now and then one is lost, and another comes in its place."""

    def __init__(self, nodes: int, lose_every: int) -> None:
        self._nodes = {f"node-{index}": {DeviceTarget.CPU: 1} for index in range(nodes)}
        self._lose_every = lose_every
        self._ends: list[tuple[float, int, Placed]] = []
        self._now, self._started, self._done = 0.0, 0, 0
        self._changed = True
        self.lost = 0

    def nodes(self) -> Mapping[str, Mapping[DeviceTarget, int]]:
        """The nodes that are alive."""
        self._changed = False
        return self._nodes

    def changed(self) -> bool:
        """Whether one was lost."""
        return self._changed

    def start(self, placed: Placed) -> None:
        """Let the case end after a while."""
        self._started += 1
        length = 10 + placed.case.repetition * 7919 % 20
        heapq.heappush(self._ends, (self._now + length, self._started, placed))

    def wait(self) -> list[Message]:
        """The next end."""
        while True:
            self._now, _, placed = heapq.heappop(self._ends)
            if placed.node in self._nodes:
                break
        self._done += 1
        if self._lose_every and self._done % self._lose_every == 0:
            self._nodes.pop(placed.node)
            self._nodes[f"{placed.node}x"] = {DeviceTarget.CPU: 1}
            self._changed = True
            self.lost += 1
            return []
        return [Done(placed, None)]


class Home:
    """Counts."""

    kept = 0

    def started(self, placed: Placed) -> None:
        """Nothing."""

    def keep(self, placed: Placed, result: object) -> None:
        """Count."""
        del placed, result
        self.kept += 1

    def give_up(self, case: Case, reason: str, *, unavailable: bool) -> None:
        """It must not happen."""
        raise AssertionError(f"{case.label}: {reason} ({unavailable})")


def main(
    nodes: Annotated[int, typer.Option(help="Simulated nodes.")] = 100,
    cases: Annotated[str, typer.Option(help="Numbers of cases, with commas.")] = "1000,2000,5000,10000",
    lost: Annotated[int, typer.Option(help="Nodes that are lost in each run.")] = 10,
) -> None:
    """Measure it."""
    for count in map(int, cases.split(",")):
        work = [Case(repetition=index) for index in range(count)]
        simulation, home = Simulation(nodes, count // lost if lost else 0), Home()
        began = time.perf_counter()
        left = spread(work, simulation, home)
        seconds = time.perf_counter() - began
        if left or home.kept != count:
            raise AssertionError(f"{home.kept} of {count} cases came home, {left} left")
        print(
            f"{count:>7,} cases on {nodes} nodes, {simulation.lost} lost: "
            f"{seconds:.3f} s, {seconds / count * 1e6:.0f} µs a case"
        )


if __name__ == "__main__":
    typer.run(main)
