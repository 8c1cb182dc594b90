"""Run the command as on Windows, imitated at the edge: `windows.py COMMAND ...`.

The modules, functions and constants that Windows' Python does not have are gone; the standard library, which was
imported before, keeps its own. Paths and newlines are still those of this system.
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

import pandas  # noqa: F401
import psutil  # noqa: F401
import rich.console  # noqa: F401
import scipy.stats  # noqa: F401

for name in ("fcntl", "resource", "termios", "pwd", "grp"):
    sys.modules[name] = None
for name in (
    *("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_DIRECTORY", "fchmod", "getloadavg", "getuid", "killpg"),
    *("sched_getaffinity", "sched_setaffinity"),
):
    delattr(os, name)
for name in ("SIGHUP", "SIGSTOP", "SIGCONT", "SIGKILL"):
    delattr(signal, name)
platform.system = lambda: "Windows"
platform.machine = lambda: "AMD64"

if __name__ == "__main__":
    from lenet.cli import main

    main()
