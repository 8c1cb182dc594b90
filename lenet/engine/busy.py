"""A lock a device: two runs on one machine do not measure over each other.

The locks stand in a folder that all users of the machine share (`/tmp` is its place on Unix), because it is the device
that is busy, whoever measures on it; `LENET_BENCH_LOCKS` moves it. They are the kernel's: a holder that crashed holds
nothing. Containers that do not share `/tmp` do not see each other's.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal, cast, get_args

from lenet.cases.case import Case, DeviceTarget
from lenet.errors import UsageError
from lenet.files.locks import Lock, holder, take

Busy = Literal["wait", "refuse"]

POLL_SECONDS = 0.5
SAY_AGAIN_SECONDS = 60.0
SHARED_BY_ALL = 0o666
"""Any user may take a lock that another user's run has made."""


class BusyError(UsageError):
    """Another process measures on the device."""


def choose(text: str) -> Busy:
    """What `--busy` says.

    Raises:
        UsageError: something else than its choices.
    """
    for choice in get_args(Busy):
        if text == choice:
            return cast(Busy, choice)
    raise UsageError(f"--busy {text!r}: choose wait or refuse")


def devices(cases: Iterable[Case], environment: Mapping[str, str] = os.environ) -> list[str]:
    """The names of the devices that the cases measure on, sorted: `cpu`, `gpu-0`, `ascend-3`.

    MindSpore takes device `DEVICE_ID` (default 0) of those that the driver's variable leaves visible.
    """
    found = set()
    for target in {case.device_target for case in cases}:
        if target is DeviceTarget.CPU:
            found.add("cpu")
            continue
        variable = {DeviceTarget.GPU: "CUDA_VISIBLE_DEVICES", DeviceTarget.ASCEND: "ASCEND_RT_VISIBLE_DEVICES"}[target]
        visible = [word.strip() for word in environment.get(variable, "").split(",") if word.strip()]
        own = environment.get("DEVICE_ID", "0")
        index = visible[int(own)] if own.isdecimal() and int(own) < len(visible) else own
        found.add(f"{target.value.lower()}-{re.sub(r'[^A-Za-z0-9]+', '', index)[:48] or '0'}")
    return sorted(found)


def folder() -> Path:
    """Where the locks stand."""
    chosen = os.environ.get("LENET_BENCH_LOCKS")
    shared = Path("/tmp")  # noqa: S108 # not $TMPDIR, which may be a user's own: files are made exclusively, never followed
    return Path(chosen) if chosen else shared if shared.is_dir() else Path(tempfile.gettempdir())


def _tell(sentence: str) -> None:
    print(f"lenet-bench: {sentence}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def held(names: Iterable[str], busy: Busy = "wait", say: Callable[[str], None] = _tell) -> Iterator[None]:
    """Hold the devices while the context lasts. With `wait`, `say` is told whom for, and every minute how long.

    Always in the order of their names, so that two runs cannot each wait for what the other has.

    Raises:
        BusyError: with `refuse`, another process holds one.
    """
    locks: list[Lock] = []
    try:
        for name in sorted(names):
            if (lock := _hold(name, busy, say)) is not None:
                locks.append(lock)
        yield
    finally:
        for lock in locks:
            lock.release()


def _hold(name: str, busy: Busy, say: Callable[[str], None]) -> Lock | None:
    path = folder() / f"lenet-bench-{name}.lock"
    began = said = time.monotonic()
    waiting = False
    while True:
        try:
            lock = take(path, SHARED_BY_ALL)
        except OSError as error:
            # Better measured without a lock than not at all: the load around each case is in the record anyway.
            say(f"WARNING: no lock on {name} ({path}: {error.strerror or error}); another run would not wait for this")
            return None
        if lock is not None:
            if waiting:
                say(f"{name} is free after {time.monotonic() - began:.0f} s")
            return lock
        if busy == "refuse":
            raise BusyError(f"{name} is measured on by {holder(path)}: try later, or wait for it with --busy wait")
        now = time.monotonic()
        if not waiting or now - said >= SAY_AGAIN_SECONDS:
            passed = (
                f", {(now - began) / 60:.0f} min so far" if waiting else " (Ctrl-C ends, --busy refuse does not wait)"
            )
            say(f"waiting for {holder(path)}, which measures on {name}{passed}")
            waiting, said = True, now
        time.sleep(POLL_SECONDS)
