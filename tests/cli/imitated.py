"""Run commands as on another platform, imitated at the edge: `imitated.py PLATFORM [--fake]`.

Standard input has a JSON list of command lines, as for `several.py`; they run in this process, without a network. With
`--fake` their workers are fake (`fast.py`). `imitated.py PLATFORM -c CODE` runs that code instead.

The platform is `Windows`, `macOS` or `aarch64`. What Python does not have there is gone, and so are the files of Linux'
/proc and /sys; `platform` says where it is. The standard library, psutil and others, which were imported before, keep
their own; paths, newlines and worker processes are those of this system.
"""

import asyncio  # noqa: F401
import concurrent.futures  # noqa: F401
import errno
import json
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
import platformdirs.unix  # noqa: F401
import psutil
import rich.console  # noqa: F401
import scipy.stats  # noqa: F401

NAMES = {"Windows": ("Windows", "AMD64"), "macOS": ("Darwin", "arm64"), "aarch64": ("Linux", "aarch64")}

WINDOWS_HAS_NO_MODULE = ("fcntl", "resource", "termios", "pwd", "grp", "pty", "tty")
WINDOWS_HAS_NOT = {
    os: (
        *("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_DIRECTORY", "O_NOCTTY", "fchmod", "chown", "fchown", "mkfifo"),
        *("getloadavg", "getuid", "geteuid", "getgid", "getegid", "getgroups", "getpgid", "getpgrp", "setsid"),
        *("killpg", "fork", "nice", "sched_getaffinity", "sched_setaffinity"),
    ),
    signal: (
        *("SIGHUP", "SIGSTOP", "SIGCONT", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGPIPE", "SIGCHLD", "SIGALRM", "SIGQUIT"),
        *("alarm", "setitimer", "pthread_sigmask", "siginterrupt", "sigwait"),
    ),
}
LINUX_ONLY = ("/proc/", "/sys/")


def imitate(place: str) -> None:
    """Make this process one of that platform."""
    if place == "Windows":
        os.environ["USERNAME"] = "somebody"
        for name in WINDOWS_HAS_NO_MODULE:
            sys.modules[name] = None
        for module, names in WINDOWS_HAS_NOT.items():
            for name in names:
                delattr(module, name)
    if place == "macOS":
        sys.platform = "darwin"
        for name in ("sched_getaffinity", "sched_setaffinity"):
            delattr(os, name)
        del psutil.Process.cpu_affinity
    if place != "aarch64":
        sys.addaudithook(hide_linux)
    system, machine = NAMES[place]
    platform.system = lambda: system
    platform.machine = lambda: machine


def hide_linux(event: str, arguments: tuple) -> None:
    """An audit hook: /proc and /sys are there for psutil alone, which reads other sources on other systems."""
    if event != "open" or not isinstance(arguments[0], str | os.PathLike):
        return
    caller = sys._getframe(1).f_globals.get("__name__", "")
    if os.fspath(arguments[0]).startswith(LINUX_ONLY) and not caller.startswith("psutil"):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), arguments[0])


def without_network() -> None:
    """Downloads and installations fail, as in a place without a network."""
    from lenet.engine.environments import venv
    from lenet.files.http import Client, DownloadError

    def download(*_, **__):
        raise DownloadError("there is no network")

    def make(*_, **__):
        raise venv.InstallError("there is no network")

    Client.download, venv.make = download, make


if __name__ == "__main__":
    place, *others = sys.argv[1:]
    imitate(place)
    without_network()
    if others[:1] == ["-c"]:
        exec(others[1])
    else:
        from lenet.machine.devices import doctor

        doctor.PROBE = "pass"  # MindSpore itself is not asked: it would answer for this system
        from fast import fake_workers
        from several import call

        if others == ["--fake"]:
            fake_workers()
        json.dump([call(words) for words in json.load(sys.stdin)], sys.stdout)
