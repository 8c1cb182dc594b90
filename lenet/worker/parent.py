"""A worker never outlives the process that started it, not even while it is stopped."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PARENT = "LENET_BENCH_PARENT"
"""The variable in which the engine gives the worker its own process id."""

PR_SET_PDEATHSIG = 1
"""From Linux' `sys/prctl.h`."""


def end_with_parent() -> None:
    """Have the kernel kill this process when its parent ends; end at once if the parent has ended before.

    SIGKILL also ends a process that SIGSTOP stopped, which could notice nothing itself. Linux sends the signal when the
    *thread* that started the process ends: the engine stays in that thread until the worker has ended. Without
    `LENET_BENCH_PARENT` and outside Linux nothing is done; a closed event pipe then ends a worker that runs.

    Raises:
        OSError: the kernel refuses.
    """
    parent = os.environ.pop(PARENT, None)
    if parent is None or sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if str(os.getppid()) != parent:  # it ended before the call above
        os._exit(1)
