"""A whole parent process over a fake worker: `drive.py RUN CASES`, begun or gone on with, as the command does it."""

import os
import sys
from pathlib import Path

from lenet.dataset import resolve
from lenet.engine import Limits
from lenet.engine.local import LocalEngine
from lenet.errors import UsageError
from lenet.freshness import State
from lenet.matrix import Matrix
from lenet.run import begin, resume

WORKER = (sys.executable, "-I", "-S", str(Path(__file__).with_name("fake_worker.py")))


def drive(folder, count, limits=None):
    """Do what is missing of a run of `count` cases (the fake worker's versions are not of here: all would be stale)."""
    if (folder / "manifest.json").exists():
        run = resume(folder, resolve)
    else:
        run = begin(Matrix(modes=("graph",), datasets=("digits",), repeat=count), resolve, folder)
    cases = [each.case for each in run.standings() if each.state is State.MISSING]
    LocalEngine(limits or Limits(60, float(os.environ.get("DRIVE_SILENCE", "30"))), command=WORKER).run(
        cases, run.datasets, run.store
    )


if __name__ == "__main__":
    try:
        drive(Path(sys.argv[1]), int(sys.argv[2]))
    except UsageError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from error
