"""The cores of this machine, and confining a worker to some of them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

TOPOLOGY = Path("/sys/devices/system/cpu")


def usable_cores() -> list[int]:
    """Return the numbers of the cores that this process may run on, ascending."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def siblings(core: int) -> str:
    """Return Linux' list of the logical cores on the same physical core (`0,4`); the core's own number without one."""
    try:
        return (TOPOLOGY / f"cpu{core}" / "topology" / "thread_siblings_list").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return str(core)


def spread(cores: list[int], physical: Callable[[int], str] = siblings) -> list[int]:
    """Return the cores in the order in which to use them: one of each physical core before the second of any."""
    taken: Counter[str] = Counter()
    order = []
    for core in cores:
        name = physical(core)
        order.append((taken[name], core))
        taken[name] += 1
    return [core for _, core in sorted(order)]


def confine(count: int) -> list[int]:
    """Confine this process, and threads it starts later, to `count` cores, and return their numbers.

    Raises:
        ValueError: the process may use fewer cores than that, or the system cannot confine a process.
    """
    cores = usable_cores()
    if count > len(cores):
        raise ValueError(f"cpu_affinity={count}: this process may not use more cores than {len(cores)}")
    if not hasattr(os, "sched_setaffinity"):
        raise ValueError("cpu_affinity: this system cannot confine a process to cores")
    chosen = spread(cores)[:count]
    os.sched_setaffinity(0, chosen)
    return sorted(chosen)
