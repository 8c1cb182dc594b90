"""Run the command as on another platform, imitated at the edge: `imitated.py PLATFORM COMMAND ...`.

The platform is `Windows`, `macOS` or `aarch64`; with `-c CODE` instead of a command it runs that code. What Python does
not have there is gone, and `platform` says where it is. The standard library, which was imported before, keeps its own;
paths, newlines and worker processes are those of this system.
"""

import asyncio  # noqa: F401
import concurrent.futures  # noqa: F401
import multiprocessing  # noqa: F401
import os
import platform
import shutil  # noqa: F401
import signal
import subprocess  # noqa: F401
import sys
import tempfile  # noqa: F401
import urllib.request  # noqa: F401

import pandas  # noqa: F401
import psutil
import rich.console  # noqa: F401
import scipy.stats  # noqa: F401

NAMES = {"Windows": ("Windows", "AMD64"), "macOS": ("Darwin", "arm64"), "aarch64": ("Linux", "aarch64")}


def imitate(place: str) -> None:
    """Make this process one of that platform."""
    if place == "Windows":
        os.environ["USERNAME"] = "somebody"
        for name in ("fcntl", "resource", "termios", "pwd", "grp"):
            sys.modules[name] = None
        for name in (
            *("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_DIRECTORY", "fchmod", "getloadavg", "getuid", "killpg"),
            *("sched_getaffinity", "sched_setaffinity"),
        ):
            delattr(os, name)
        for name in ("SIGHUP", "SIGSTOP", "SIGCONT", "SIGKILL"):
            delattr(signal, name)
    if place == "macOS":
        sys.platform = "darwin"
        for name in ("sched_getaffinity", "sched_setaffinity"):
            delattr(os, name)
        del psutil.Process.cpu_affinity
    system, machine = NAMES[place]
    platform.system = lambda: system
    platform.machine = lambda: machine


if __name__ == "__main__":
    imitate(sys.argv.pop(1))
    if sys.argv[1] == "-c":
        exec(sys.argv[2])
    else:
        from lenet.cli import main

        main()
