"""A whole parent process that begins or resumes a run as the command does: `drive.py RUN CASES`.

`DRIVE_WORKER` chooses the worker: `fake` (`fake_worker.py`, the default) for CASES cases, or `real` (`saboteur.py`,
which is the real worker) for the six cases of the quick matrix, with short plans. `DRIVE_INTERLEAVE` is `rounds` (the
default) or `windows`: all of them are alive together and take turns.
"""

import os
import sys
from pathlib import Path

from lenet.cases.case import Plan
from lenet.cases.matrix import Matrix
from lenet.cases.presets import load_preset
from lenet.commands.measurement import begin, open_run
from lenet.dataset import resolve
from lenet.engine import TimeLimits
from lenet.engine.local import LocalEngine
from lenet.errors import UsageError
from lenet.machine import card
from lenet.store.freshness import State

HERE = Path(__file__).resolve().parent
WORKERS = {
    "fake": (sys.executable, "-I", "-S", str(HERE / "fake_worker.py")),
    "real": (sys.executable, str(HERE / "saboteur.py")),
}
# Programs and packages take longest at the start of a process that is killed many times.
card._cpu_information = card.packages = dict
card.libraries = lambda _: {}
SHORT = Plan(
    warmup_steps=10, window_steps=2, window_seconds=0, windows=3, resident_windows=1, evaluation_images=64
)  # fmt: skip


def matrix(worker, count):
    """The matrix to run."""
    if worker == "fake":
        return Matrix(modes=("graph",), datasets=("digits",), seeds=tuple(range(1, count + 1)))
    return load_preset("quick").model_copy(update={"datasets": ("digits",), "plan": SHORT})


def drive(folder, count, limits=None, retry=False):
    """Measure the missing cases of a run, with `retry` also those that failed.

    The fake worker reports other versions than the installed ones: all of its records are stale.
    """
    worker = os.environ.get("DRIVE_WORKER", "fake")
    if (folder / "manifest.json").exists():
        run = open_run(folder, resolve, write=True)
    else:
        run = begin(matrix(worker, count).cases(), resolve, folder)
    states = {State.MISSING, State.FAILED} if retry else {State.MISSING}
    measured = run.states()
    if worker == "real" and (stale := [each for each in measured if each.state is State.STALE]):
        raise AssertionError(f"fresh a moment ago, stale now: {stale}")
    cases = [each.case for each in measured if each.state in states]
    LocalEngine(
        limits or TimeLimits(60, float(os.environ.get("DRIVE_SILENCE", "30"))),
        command=WORKERS[worker],
        interleave=os.environ.get("DRIVE_INTERLEAVE", "rounds"),
    ).run(cases, run.datasets, run.store)


if __name__ == "__main__":
    try:
        drive(Path(sys.argv[1]), int(sys.argv[2]), retry="--retry-failed" in sys.argv)
    except UsageError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from error
