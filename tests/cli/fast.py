"""The real command with `fake_worker.py` in the place of the frameworks: `fast.py COMMAND ...`."""

import json
import os
import platform
import sys
from pathlib import Path

import lenet.commands.watch
from lenet.cases.frameworks import Framework
from lenet.cli import main
from lenet.engine import local
from lenet.machine.installed import framework_version, package_version

WORKER = (sys.executable, "-I", "-S", str(Path(__file__).parents[1] / "fake_worker.py"))
SILENT = (sys.executable, "-c", "pass")
"""An instrumented worker that reports nothing."""


def fake_workers() -> None:
    """Have this process start the fake worker for each case."""
    local.worker_command = lambda *_: WORKER
    lenet.commands.watch.PROBE_COMMAND = SILENT
    # With the versions that are installed its records are fresh, and a resumed run keeps them.
    os.environ["FAKE_SOFTWARE"] = json.dumps({
        "framework_version": framework_version(Framework.MINDSPORE),
        "python_version": platform.python_version(),
        "numpy_version": package_version("numpy"),
    })  # fmt: skip


if __name__ == "__main__":
    fake_workers()
    main()
