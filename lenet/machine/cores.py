"""The cores of this machine, and how a worker is confined to some of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

TOPOLOGY = Path("/sys/devices/system/cpu")


def usable() -> list[int]:
    """Numbers of the cores that this process may run on, ascending."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def siblings(core: int) -> str:
    """What the threads of one physical core share, as Linux tells it (`0,4`); the core's own number where untold."""
    try:
        return (TOPOLOGY / f"cpu{core}" / "topology" / "thread_siblings_list").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return str(core)


def spread(cores: list[int], physical: Callable[[int], str] = siblings) -> list[int]:
    """The cores in the order in which they are given out: a thread of each physical core before the second of any."""
    rounds: dict[str, int] = {}
    order = []
    for core in cores:
        name = physical(core)
        order.append((rounds.get(name, 0), core))
        rounds[name] = rounds.get(name, 0) + 1
    return [core for _, core in sorted(order)]


def confine(count: int) -> list[int]:
    """Confine this process, and the threads that it will start, to `count` cores; returns their numbers.

    Raises:
        ValueError: the process may use fewer cores than that, or the system cannot confine a process.
    """
    cores = usable()
    if count > len(cores):
        raise ValueError(f"cpu_affinity={count}: this process may use {len(cores)} cores")
    if not hasattr(os, "sched_setaffinity"):
        raise ValueError("cpu_affinity: this system cannot confine a process to cores")
    chosen = spread(cores)[:count]
    os.sched_setaffinity(0, chosen)
    return sorted(chosen)
