"""The real worker, with a fault that strikes at a random moment: `saboteur.py FD`, an assignment on standard input.

`FAKE_FAULTS` and `FAKE_SEED` as for `fake_worker.py`; the fault strikes within `SABOTEUR_SECONDS` of the start:
during the import, the compilation, the training, or not at all because the worker was done before.
"""

import io
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import fake_worker

from lenet.worker import __main__ as worker


def strike(fault, channel, after):
    """Wait, then do what the fault is."""
    time.sleep(after)
    if fault == "stopped":  # neither ends nor says anything, as a worker that waits for a dead device
        os.kill(os.getpid(), signal.SIGSTOP)
    else:
        fake_worker.go_wrong(fault, channel)


if __name__ == "__main__":
    assignment = sys.stdin.read()
    sys.stdin = io.TextIOWrapper(io.BytesIO(assignment.encode()))  # the worker reads it again
    chance = random.Random(os.environ.get("FAKE_SEED", "0") + assignment)
    drawn = chance.choice(os.environ["FAKE_FAULTS"].split(","))
    moment = chance.uniform(0, float(os.environ.get("SABOTEUR_SECONDS", "8")))
    threading.Thread(target=strike, args=(drawn, int(sys.argv[1]), moment), daemon=True).start()
    raise SystemExit(worker.main())
