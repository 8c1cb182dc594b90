"""Nodes that are processes of this machine, without Ray: their messages come through a pipe. Run as such a process.

They differ as machines do: the second may run on one core alone.
"""

import contextlib
import os
import pickle
import subprocess
import sys

from lenet.dataset.files import NAMES
from lenet.engine.messages import NodeTask
from lenet.engine.node import run_group
from lenet.engine.process import TimeLimits

NODES = {"aaaaaaaaaaaaaaaa": None, "bbbbbbbbbbbbbbbb": {min(os.sched_getaffinity(0))}}
"""Each node's cores."""


@contextlib.contextmanager
def process(node, folder):
    """The node's process, with locks and temporary files of its own; it is killed at the end."""
    own = folder / node
    own.mkdir(exist_ok=True)
    places = {"LENET_BENCH_LOCKS": str(own), "TMPDIR": str(own)}
    with subprocess.Popen(
        [sys.executable, __file__], env={**os.environ, **places}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as started:
        if NODES[node]:
            os.sched_setaffinity(started.pid, NODES[node])
        try:
            yield started
        finally:
            started.kill()


def messages(started, cases, dataset, command, limits=None, busy="wait", interleave="windows"):
    """Let the node run cases; yields its messages."""
    task = NodeTask(
        cases=cases,
        datasets=(dataset.card,),
        limits=limits or TimeLimits(60, 60),
        busy=busy,
        interleave=interleave,
        command=command,
        omp_threads=None,
    )
    contents = {name: (dataset.folder / name).read_bytes() for name in NAMES}
    pickle.dump((task.model_dump_json().encode(), contents), started.stdin)
    started.stdin.close()
    with contextlib.suppress(EOFError):
        while True:
            yield pickle.load(started.stdout)


def main():
    task, contents = pickle.load(sys.stdin.buffer)
    for message in run_group(task, contents):
        pickle.dump(message, sys.stdout.buffer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
