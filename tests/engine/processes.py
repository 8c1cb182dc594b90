"""Two nodes that are processes of this machine, without Ray: what they say comes through pipes. Run as such a process.

They differ as machines do: the second may run on one core alone.
"""

import os
import pickle
import queue
import subprocess
import sys
import threading

from lenet.cases.case import DeviceTarget
from lenet.dataset.files import NAMES
from lenet.engine.node import Errand, Result, carry_out
from lenet.engine.spread import BrokenOff, Done, Said

NODES = {"aaaaaaaaaaaaaaaa": None, "bbbbbbbbbbbbbbbb": {min(os.sched_getaffinity(0))}}
"""Each node's cores."""


class Processes:
    """Nodes for `lenet.engine.spread`."""

    def __init__(self, dataset, command, limits, folder):
        self._dataset, self._command, self._limits, self._folder = dataset, command, limits, folder
        self._messages = queue.Queue()
        self.processes = []

    def nodes(self):
        return {node: {DeviceTarget.CPU: 1} for node in NODES}

    def changed(self):
        return False

    def start(self, placed):
        own = self._folder / placed.node
        own.mkdir(exist_ok=True)
        places = {"LENET_BENCH_LOCKS": str(own), "TMPDIR": str(own)}
        process = subprocess.Popen(
            [sys.executable, __file__], env={**os.environ, **places},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.processes.append(process)
        if NODES[placed.node]:
            os.sched_setaffinity(process.pid, NODES[placed.node])
        card = self._dataset.card.model_dump_json()
        errand = Errand(placed.case.model_dump_json(), card, self._limits, self._command, None)
        contents = {name: (self._dataset.folder / name).read_bytes() for name in NAMES}
        threading.Thread(target=self._talk, args=(placed, process, pickle.dumps((errand, contents)))).start()

    def _talk(self, placed, process, asked):
        piece = None
        with process, process.stdout:
            try:
                process.stdin.write(asked)
                process.stdin.close()
                while not isinstance(piece, Result):
                    piece = pickle.load(process.stdout)
                    self._messages.put((Done if isinstance(piece, Result) else Said)(placed, piece))
            except (EOFError, BrokenPipeError):
                self._messages.put(BrokenOff(placed))

    def wait(self):
        return [self._messages.get(timeout=120)]


def main():
    errand, contents = pickle.load(sys.stdin.buffer)
    for piece in carry_out(errand, contents):
        pickle.dump(piece, sys.stdout.buffer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
