"""Fixtures of the engine's tests."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from lenet.store.record import NODE_LENGTH

HOLD = """
import sys, time
from pathlib import Path
from lenet.files.locks import take
locks = [take(Path(path), 0o666) for path in sys.argv[1:]]
print("held" if all(locks) else "none", flush=True)
time.sleep(600)
"""

TESTS = Path(__file__).parents[1]

NOTICE = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 1000,
    "health_check_timeout_ms": 2000,
    "health_check_failure_threshold": 4,
}
"""A head that notices within seconds, not a minute, that a node is dead."""


@pytest.fixture
def faulty_worker(tmp_path):
    """Write a worker that trains in NumPy; returns its command.

    `fault` is code that the worker of batch size 32 executes in its 20th step.
    """

    def write(fault=""):
        script = tmp_path / "worker.py"
        script.write_text(
            "import os, signal, sys, time\n"
            f"sys.path.insert(0, {str(TESTS)!r})\n"
            "import numpy_worker\n"
            "honest, count = numpy_worker.Regression._step, 0\n"
            "def step(self, *data):\n"
            "    global count\n"
            "    count += 1\n"
            "    if count == 20 and self.batch == 32:\n" + textwrap.indent(fault or "pass", " " * 8) + "\n"
            "    return honest(self, *data)\n"
            "numpy_worker.Regression._step = step\n"
            "numpy_worker.training.build = numpy_worker.Regression\n"
            "sys.exit(numpy_worker.worker.main())\n",
            encoding="utf-8",
        )
        return sys.executable, str(script)

    return write


@pytest.fixture
def hold_cpu():
    """Start a process that measures on the CPU of machines with these folders of locks."""
    started = []

    def hold(*folders):
        paths = [str(Path(folder) / "lenet-bench-cpu.lock") for folder in folders or [os.environ["LENET_BENCH_LOCKS"]]]
        process = subprocess.Popen([sys.executable, "-c", HOLD, *paths], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in started:
        process.kill()
        process.communicate()


class Cluster:
    """A real Ray cluster on this machine: a head that lends nothing, and nodes with locks of their own."""

    def __init__(self, folder):
        from ray.cluster_utils import Cluster

        self._folder = folder
        self._nodes = {}
        head = {"num_cpus": 0, "include_dashboard": False, "_system_config": NOTICE}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self.address = self._cluster.address

    def add(self, name, **resources):
        """A new node, whose workers find its name in LENET_TEST_NODE."""
        self.locks(name).mkdir()
        variables = {"LENET_BENCH_LOCKS": str(self.locks(name)), "LENET_TEST_NODE": name, "PIP_NO_INDEX": "1"}
        self._nodes[name] = self._cluster.add_node(env_vars=variables, **resources)
        self._cluster.wait_for_nodes()

    def kill(self, name):
        """Kill the node as of a power cut."""
        self._cluster.remove_node(self._nodes.pop(name), allow_graceful=False)

    def id(self, name):
        """The node's id in the cluster, as a record has it."""
        return self._nodes[name].node_id[:NODE_LENGTH]

    def locks(self, name):
        return self._folder / name

    def stop(self):
        self._cluster.shutdown()


@pytest.fixture(scope="session")
def cluster(_own_cache, tmp_path_factory):
    """Two nodes, `one` and `two`, with a pretended GPU each and another on `two`. Who kills a node adds its own."""
    os.environ["RAY_AUTH_MODE"] = "disabled"  # whether or not this user has a token
    ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
    made = Cluster(tmp_path_factory.mktemp("nodes"))
    made.add("one", num_cpus=1, num_gpus=1)
    made.add("two", num_cpus=1, num_gpus=2)
    ray.init(address=made.address, log_to_driver=False, logging_level="ERROR")
    yield made
    ray.shutdown()
    made.stop()
