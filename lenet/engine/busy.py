"""A lock for each device: two runs on one machine never measure at the same time on one device.

The locks are files in a folder that all users of the machine share (`/tmp` on Unix), because the device is busy whoever
measures on it; `LENET_BENCH_LOCKS` moves it. The kernel holds them: a process that crashed holds nothing. Containers
that do not share `/tmp` do not see each other's.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

from lenet.cases.case import Case, DeviceTarget
from lenet.cases.frameworks import Framework
from lenet.errors import UsageError, reason
from lenet.files.cache import named_by
from lenet.files.locks import Lock, Notify, holder, print_notice, take, wait_for

Busy = Literal["wait", "refuse"]

SHARED_BY_ALL = 0o666
"""Any user may take a lock that another user's run has made."""


class BusyError(UsageError):
    """Another process measures on the device."""


VISIBLE = {DeviceTarget.GPU: "CUDA_VISIBLE_DEVICES", DeviceTarget.ASCEND: "ASCEND_RT_VISIBLE_DEVICES"}
"""The driver's variable that lists the devices which a process sees."""


def devices(cases: Iterable[Case], environment: Mapping[str, str] = os.environ) -> list[str]:
    """The names of the devices that the cases measure on, sorted: `cpu`, `gpu-0`, `ascend-3`.

    Of the visible devices, a process takes the first, with MindSpore number `DEVICE_ID`; rank n of several takes
    number n.
    """
    names = set()
    for framework, target, size in {(case.framework, case.device_target, case.world_size) for case in cases}:
        if target is DeviceTarget.CPU:
            names.add("cpu")
            continue
        visible = [word.strip() for word in environment.get(VISIBLE[target], "").split(",") if word.strip()]
        first = environment.get("DEVICE_ID", "0") if framework is Framework.MINDSPORE else "0"
        for own in map(str, range(size)) if size > 1 else (first,):
            index = visible[int(own)] if own.isdecimal() and int(own) < len(visible) else own
            names.add(f"{target.value.lower()}-{re.sub(r'[^A-Za-z0-9]+', '', index)[:48] or '0'}")
    return sorted(names)


def folder() -> Path:
    """The folder of the locks."""
    if (chosen := named_by("LENET_BENCH_LOCKS")) is not None:
        return chosen
    shared = Path("/tmp")  # noqa: S108 # not $TMPDIR, which may be a user's own: files are made exclusively, never followed
    return shared if shared.is_dir() else Path(tempfile.gettempdir())


class _Held(threading.local):
    """The names of the devices that this thread holds."""

    names: frozenset[str] = frozenset()


_held = _Held()


@contextlib.contextmanager
def held(names: Iterable[str], busy: Busy = "wait", notify: Notify = print_notice) -> Iterator[None]:
    """Hold the devices while the context lasts. With `wait`, `notify` is told who holds them, once a minute.

    They are taken in the order of their names, so that two runs cannot wait for each other. A device that this thread
    holds already stays held until the outer context ends: a command that measures in parts holds it from the first to
    the last, with no run of others between.

    Raises:
        BusyError: with `refuse`, another process holds one.
    """
    locks: list[Lock] = []
    before = _held.names
    wanted = frozenset(names) - before
    try:
        for name in sorted(wanted):
            if (lock := _hold(name, busy, notify)) is not None:
                locks.append(lock)
        _held.names = before | wanted
        yield
    finally:
        _held.names = before
        for lock in locks:
            lock.release()


def _hold(name: str, busy: Busy, notify: Notify) -> Lock | None:
    path = folder() / f"lenet-bench-{name}.lock"
    doing = "measures on"

    def attempt() -> Lock | None:
        lock = take(path, SHARED_BY_ALL)
        if lock is None and busy == "refuse":
            raise BusyError(f"{holder(path)} {doing} {name}: try later, or wait for it with --busy wait")
        return lock

    advice = "Ctrl-C ends the wait"
    try:
        return wait_for(attempt, path, doing, name, silent=0, notify=notify, advice=advice)
    except OSError as error:
        # Measuring without a lock is better than not at all: the load around each case is in the record anyway.
        notify(f"WARNING: no lock on {name} ({path}: {reason(error)}); other runs will not wait for this")
        return None
