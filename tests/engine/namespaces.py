"""Machines that are network namespaces of this one: each has an address of its own on a bridge, and can fail."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

PORT = 6379
NOTICE = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_AUTH_MODE": "disabled",
}
"""A head that notices within seconds, not a minute, that a node is dead; and no token that the user may have."""


def missing():
    """Why such machines cannot be made here; empty if they can."""
    if shutil.which("ip") is None or shutil.which("nsenter") is None:
        return "needs ip (iproute2) and nsenter (util-linux)"
    name = f"lenet-{os.getpid()}-try"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    subprocess.run(["ip", "netns", "del", name], capture_output=True)
    return f"network namespaces cannot be made: {made.stderr.strip() or 'no reason given'}" if made.returncode else ""


def ip(*words):
    subprocess.run(["ip", *map(str, words)], check=True, capture_output=True, text=True)


class Machines:
    """A bridge in a namespace of its own, and machines on it. All are removed when the context ends."""

    def __init__(self):
        self._name = f"lenet-{os.getpid()}"
        self._switch = f"{self._name}-switch"
        self._made = []
        self.folder = Path(tempfile.mkdtemp(prefix="lenet-ray-", dir="/tmp"))  # sockets' paths must be short
        self._running = []

    def __enter__(self):
        try:
            self._add(self._switch)
            ip("-n", self._switch, "link", "add", "bridge", "type", "bridge")
            ip("-n", self._switch, "link", "set", "bridge", "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in self._made:
            with contextlib.suppress(OSError, subprocess.CalledProcessError):
                self._kill(name)
        for process in self._running:
            process.wait(timeout=30)
        for name in reversed(self._made):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _add(self, name):
        self._made.append(name)
        ip("netns", "add", name)
        ip("-n", name, "link", "set", "lo", "up")

    def add(self):
        """A new machine; returns its number, which its address ends with."""
        number = len(self._made)
        name = f"{self._name}-{number}"
        self._add(name)
        ip("-n", self._switch, "link", "add", f"to{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("-n", self._switch, "link", "set", f"to{number}", "master", "bridge", "up")
        ip("-n", name, "address", "add", f"{self.address(number)}/24", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        return number

    @staticmethod
    def address(number):
        return f"10.77.0.{number}"

    def cut(self, number):
        """Pull the machine's cable; its processes continue."""
        ip("-n", self._switch, "link", "set", f"to{number}", "down")

    def kill(self, number):
        """Pull its plug: kill all its processes."""
        self._kill(self._made[number])

    def alive(self, number):
        return bool(self._processes(self._made[number]))

    @staticmethod
    def _processes(name):
        asked = subprocess.run(["ip", "netns", "pids", name], check=True, capture_output=True, text=True)
        return [int(word) for word in asked.stdout.split()]

    def _kill(self, name):
        deadline = time.monotonic() + 20
        while (found := self._processes(name)) and time.monotonic() < deadline:
            for process in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.05)

    def start(self, number, command, *, cores=None, **options):
        """Start a command on the machine, with a cache and locks of its own, restricted to `cores`."""
        own = self.folder / str(number)
        own.mkdir(exist_ok=True)
        # What runs on it and is killed leaves its temporary files, as it would on its own disk.
        places = {"LENET_BENCH_CACHE": str(own / "cache"), "LENET_BENCH_LOCKS": str(own), "TMPDIR": str(own)}
        pinned = ["taskset", "--cpu-list", cores] if cores else []
        process = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{self._made[number]}", *pinned, *command],
            env={**os.environ, **places, **NOTICE, "RAY_ADDRESS": f"{self.address(1)}:{PORT}"},
            stdin=subprocess.DEVNULL, **options,
        )  # fmt: skip
        self._running.append(process)
        return process

    def start_ray(self, number, *, cpus, cores=None):
        """Start a node of the cluster whose head is the first machine."""
        where = ["--head", f"--port={PORT}"] if number == 1 else [f"--address={self.address(1)}:{PORT}"]
        if number == 1:
            where += ["--include-dashboard=false", f"--temp-dir={self.folder / 'ray'}"]
        fixed = [f"--node-ip-address={self.address(number)}", f"--num-cpus={cpus}", "--object-store-memory=100000000",
                 "--disable-usage-stats", "--block"]  # fmt: skip
        log = self.folder / f"ray-{number}.log"
        with log.open("wb") as output:
            process = self.start(number, ["ray", "start", *where, *fixed], cores=cores, stdout=output,
                                 stderr=subprocess.STDOUT)  # fmt: skip
        deadline = time.monotonic() + 60
        while b"Ray runtime started" not in log.read_bytes():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
