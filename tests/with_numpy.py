"""A command as it is, except that its workers train in NumPy: `with_numpy.py lenet-bench|pytest ARGUMENTS`.

For tests that need many honest runs quickly and no MindSpore. NUMPY_WORKER_STEP_SECONDS says how long a step sleeps.
"""

import sys
from pathlib import Path

import pytest

import lenet.engine.local
from lenet.cli import main

WORKER = (sys.executable, str(Path(__file__).with_name("numpy_worker.py")))


def worker_command(python: str = sys.executable) -> tuple[str, ...]:
    return WORKER


if __name__ == "__main__":
    lenet.engine.local.worker_command = worker_command
    command, *sys.argv[1:] = sys.argv[1:]
    raise SystemExit({"lenet-bench": main, "pytest": pytest.main}[command]())
