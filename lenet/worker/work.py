"""The worker: run one case and report events, in a process of its own.

The parent starts `python -m lenet.worker FD`, writes an `Assignment` to standard input and reads events from the pipe
FD. Standard output and standard error are the case's log, to which frameworks print.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path

from lenet.cases.case import Case, Frozen, RuntimeProfile, TurnLength
from lenet.store.events import Event, Failed, Finished, Started
from lenet.store.record import DatasetCard, Status
from lenet.worker.clock import PhaseClock
from lenet.worker.loop import DivergedError, TrainingLoop, own_value
from lenet.worker.turns import Turns

OUT_OF_MEMORY_WORDS = ("out of memory", "bad_alloc", "memory not enough", "allocate memory failed", "malloc failed")

PROFILE_VARIABLES = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MS_DEV_LAUNCH_BLOCKING", "HCCL_DETERMINISTIC")
"""Variables that only runtime profiles set. A worker does not inherit them, so that `default` is as installed."""


class Assignment(Frozen):
    """The input of a worker."""

    case: Case
    dataset_folder: Path
    dataset: DatasetCard
    turn: TurnLength | None = None
    """If the worker takes turns with others; None if it trains without pauses."""


def set_environment(profile: RuntimeProfile) -> None:
    """Set the profile's variables and cores, before the framework is imported.

    Raises:
        ValueError: the profile `tuned` has not been looked up, more cores are wanted than there are, or the memory
            allocator was not loaded when this process started.
    """
    if profile.unresolved:
        raise ValueError(f"profile {profile.name} has no settings: look it up before the case is run")
    if profile.preloaded and not is_loaded(profile.preloaded):
        # The dynamic linker only warns of a library that it does not find.
        raise ValueError(f"allocator={profile.allocator}: {profile.preloaded} is not installed, or cannot be loaded")
    for name in PROFILE_VARIABLES:
        os.environ.pop(name, None)
    os.environ.update(profile.environment)
    if profile.cpu_affinity is not None:
        from lenet.machine.cores import confine

        confine(profile.cpu_affinity)


def is_loaded(library: str) -> bool:
    """Whether this process has loaded the shared library of that name."""
    try:
        ctypes.CDLL(library, mode=os.RTLD_NOLOAD)
    except OSError:
        return False
    return True


def failure(error: BaseException) -> Failed:
    """Return the event for the exception that ended the case."""
    from lenet.training import DeviceUnavailableError

    text = " ".join(str(error).split())[:2000]
    if isinstance(error, DeviceUnavailableError):
        return Failed(status=Status.UNAVAILABLE, reason=text)
    if isinstance(error, DivergedError):
        return Failed(status=Status.DIVERGED, reason=text)
    if isinstance(error, MemoryError) or any(words in text.lower() for words in OUT_OF_MEMORY_WORDS):
        return Failed(status=Status.OUT_OF_MEMORY, reason=f"{type(error).__name__}: {text}")
    if isinstance(error, ModuleNotFoundError):
        return Failed(status=Status.UNAVAILABLE, reason=f"{text}; install it in this environment")
    return Failed(status=Status.CRASHED, reason=f"{type(error).__name__}: {text}")


def work(
    assignment: Assignment,
    emit: Callable[[Event], None],
    born: float,
    agree: Callable[[float], float] = own_value,
    turns: Turns | None = None,
) -> None:
    """Run a case, or one process's part of it, and report with `emit`. Errors are raised.

    `born` is the start of the process in seconds of `perf_counter`; the other arguments are those of `TrainingLoop`.
    """
    clock = PhaseClock(born)
    set_environment(assignment.case.profile)
    from lenet import training
    from lenet.dataset import Dataset

    trainer = training.build(assignment.case, Dataset(folder=assignment.dataset_folder, card=assignment.dataset))
    emit(Started(software=trainer.software, initial_weights_sha256=trainer.weights_sha256()))
    loop = TrainingLoop(
        assignment.case,
        assignment.dataset,
        trainer,
        clock,
        emit,
        agree,
        turns,
        assignment.turn,
    )
    loop.run()
    clock.enter("other")
    peak = trainer.peak_memory_bytes()
    trainer.close()
    emit(
        Finished(
            phases=clock.phases(),
            final_weights_sha256=loop.final_weights_sha256,
            losses_sha256=loop.losses_sha256,
            peak_memory_bytes=peak,
        )
    )
