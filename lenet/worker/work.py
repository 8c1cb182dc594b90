"""The worker: one case in, events out. The only room that starts a trainer, and always a process of its own.

The parent starts `python -m lenet.worker FD`, writes an `Assignment` to standard input and reads events from the
pipe FD. Standard output and standard error are the case's log: a framework may print there what it likes.
"""

from __future__ import annotations

import hashlib
import math
import os
import struct
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenet.cases.case import STEADY_WINDOWS_AT_LEAST, Case, Frozen, RuntimeProfile
from lenet.store.events import Compiled, Evaluated, Event, Failed, Finished, Resident, Started, Steps
from lenet.store.record import DatasetCard, Phases, Status
from lenet.worker.turns import Turn, Turns, steps_of_a_turn, turns_wanted

if TYPE_CHECKING:
    from lenet.training import Trainer
    from lenet.worker.trace import Tracer

OUT_OF_MEMORY_WORDS = ("out of memory", "bad_alloc", "memory not enough", "allocate memory failed", "malloc failed")

PROFILE_VARIABLES = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MS_DEV_LAUNCH_BLOCKING", "HCCL_DETERMINISTIC")
"""Variables that a runtime profile owns: a worker never inherits them, so that `default` is MindSpore as installed."""


class Assignment(Frozen):
    """What the parent hands the worker."""

    case: Case
    dataset_folder: Path
    dataset: DatasetCard
    turn_seconds: float | None = None
    """Length of a turn where the worker takes turns with others; None: it trains without a pause."""


class PhaseClock:
    """A clock with states: every moment of the worker belongs to exactly one phase, so the phases add up."""

    def __init__(self, born: float) -> None:
        self._born = self._since = born
        self._phase = "import_and_setup"
        self.spent: dict[str, float] = {}

    def enter(self, phase: str, ended: str | None = None) -> float:
        """End the current phase now and begin `phase`; returns now, in seconds of `perf_counter`.

        `ended` is the phase that the time since the last call belongs to, if not the one that was entered then. The
        caller has synchronised the device.
        """
        now = time.perf_counter()
        ended = ended or self._phase
        self.spent[ended] = self.spent.get(ended, 0.0) + now - self._since
        self._phase, self._since = phase, now
        return now

    @property
    def training(self) -> float:
        """Seconds of training so far, compilation and first step included, up to the last `enter`."""
        return self.spent.get("compile_and_first_step", 0.0) + self.spent.get("training", 0.0)

    def phases(self) -> Phases:
        """All phases so far, the present one ended."""
        now = self.enter("other")
        return Phases(
            wall_seconds=now - self._born,
            **{f"{name}_seconds": self.spent.get(name, 0.0) for name in self.names},
        )

    names = ("import_and_setup", "compile_and_first_step", "training", "evaluation", "resident", "waiting", "other")


class DivergedError(RuntimeError):
    """A loss that is not finite."""


def alone(value: float) -> float:
    """What the processes that train together agree on, where there is one."""
    return value


class Training:
    """Runs a plan on a trainer and reports it.

    `agree` gives every process of a data-parallel training the value of the first one, and waits until all have asked
    for it. A decision by the clock must be the same in all of them, or one would wait in vain for another's gradients.
    """

    def __init__(
        self,
        assignment: Assignment,
        trainer: Trainer,
        clock: PhaseClock,
        emit: Callable[[Event], None],
        agree: Callable[[float], float] = alone,
        turns: Turns | None = None,
    ) -> None:
        self._case = assignment.case
        self._plan = assignment.case.plan
        self._trainer = trainer
        self._clock = clock
        self._emit = emit
        self._agree = agree
        self._images_a_step = assignment.case.rank_batch_size
        self._steps_an_epoch = assignment.dataset.training_images // assignment.case.global_batch_size
        self._turns = turns
        self._turn_seconds = assignment.turn_seconds
        self._turn: Turn | None = None
        self._windows_wanted, self._resident_windows = self._plan.windows, self._plan.resident_windows
        self._pending: list[Any] = []
        self._step = 0
        self._steady = 0
        self._window_began = 0.0
        self._epoch_losses: list[float] = []
        self._losses_digest = hashlib.sha256()
        self._window_steps = self._at_most_an_epoch(self._plan.window_steps)
        self._tracer: Tracer | None = None
        if self._plan.trace:
            from lenet.worker.trace import Tracer

            self._tracer = Tracer(trainer.weights, emit)

    def _at_most_an_epoch(self, steps: int) -> int:
        # A window of whole-epoch training never spans an evaluation.
        return steps if self._plan.epochs is None else min(steps, self._steps_an_epoch)

    def run(self) -> None:
        """Train and evaluate as planned."""
        epoch = 0
        if self._tracer is not None:
            self._tracer.record(0)
        self._agree(0.0)  # wait for the slowest set-up, which is no part of the first step
        self._window_began = self._clock.enter("compile_and_first_step")
        while True:
            epoch += 1
            finished = self._train_epoch(epoch)
            whole = self._plan.epochs is not None
            if whole or finished:
                self._evaluate(epoch if whole else epoch - 1)
            if finished or epoch == self._plan.epochs:
                break
        self._resident()

    @property
    def losses_sha256(self) -> str:
        """Digest over every training loss so far, as little-endian float32."""
        return self._losses_digest.hexdigest()

    def _train_epoch(self, epoch: int) -> bool:
        """One epoch or what the plan wants of it; True when the plan (without whole epochs) is fulfilled."""
        steps = self._trainer.train_epoch(self._tracer.note_batch) if self._tracer else self._trainer.train_epoch()
        for loss in steps:
            self._pending.append(loss)
            self._step += 1
            if self._tracer is not None:
                self._trainer.synchronize(loss)
                self._tracer.record(self._step)
            boundary = self._step in (1, self._plan.warmup_steps)
            if boundary or len(self._pending) >= self._window_steps:
                self._close_window(epoch)
                if self._plan.epochs is None and self._enough():
                    return True
                if self._turns is not None and self._step >= self._plan.warmup_steps:
                    self._window_began = self._wait("training", self._windows_wanted - self._steady)
        if self._pending and self._plan.epochs is not None:
            self._close_window(epoch)
        return False

    def _enough(self) -> bool:
        if self._plan.trace:
            return self._step >= self._plan.warmup_steps
        if self._steady >= self._windows_wanted:
            return True
        if self._steady < STEADY_WINDOWS_AT_LEAST:
            return False
        return self._agree(self._clock.training) >= self._plan.budget_seconds

    def _close_window(self, epoch: int) -> None:
        self._trainer.synchronize(self._pending[-1])
        now = self._clock.enter("training")
        first = self._step - len(self._pending)
        losses = self._trainer.read(self._pending)
        warmup = first < self._plan.warmup_steps or self._plan.trace
        self._steady += not warmup
        self._losses_digest.update(struct.pack(f"<{len(losses)}f", *losses))
        self._epoch_losses += losses
        self._emit(
            Steps(
                epoch=epoch,
                first_step=first,
                steps=len(losses),
                images=len(losses) * self._images_a_step,
                seconds=now - self._window_began,
                warmup=warmup,
                cycle=self._turn.cycle if self._turn else None,
                turn=self._turn.number if self._turn else None,
                losses=tuple(loss if math.isfinite(loss) else None for loss in losses),
            )
        )
        if first == 0:
            self._emit(Compiled(seconds=now - self._window_began))
        if self._step == self._plan.warmup_steps and first > 0:
            self._set_windows(self._agree((now - self._window_began) / len(losses)))
        # Windows touch: what reporting costs counts in the next one, so that throughput hides nothing.
        self._window_began = now
        self._pending.clear()
        for offset, loss in enumerate(losses):
            if not math.isfinite(loss):
                raise DivergedError(f"the loss of step {first + offset + 1} is {loss}")

    def _set_windows(self, pace: float) -> None:
        """Length and number of the steady windows, from the seconds that a step took at the end of the warm-up."""
        if self._turns is None or self._turn_seconds is None:
            wanted = math.ceil(self._plan.window_seconds / pace)
            self._window_steps = self._at_most_an_epoch(max(self._plan.window_steps, wanted))
            return
        self._window_steps = steps_of_a_turn(self._turn_seconds, pace)
        self._windows_wanted = turns_wanted(self._plan, self._window_steps, pace)
        share = self._plan.resident_windows / self._plan.windows
        self._resident_windows = math.ceil(self._windows_wanted * share)

    def _wait(self, phase: str, turns_left: int) -> float:
        """Wait for the next turn, then enter `phase`; returns the time at which the turn began."""
        if self._turns is None:
            raise AssertionError("only a worker that takes turns waits for one")
        self._clock.enter("waiting")
        self._turn = self._turns.wait(turns_left)
        return self._clock.enter(phase)

    def _evaluate(self, epoch: int) -> None:
        # Reporting the last window is no training: without it training is the windows, to the clock's rounding.
        began = self._clock.enter("evaluation", ended="other")
        training_seconds = self._clock.training
        result = self._trainer.evaluate(None if self._plan.epochs else self._plan.evaluation_images)
        self._agree(0.0)  # wait for the slowest evaluation, which is no part of the next window
        mean = sum(self._epoch_losses) / len(self._epoch_losses) if self._epoch_losses else None
        self._epoch_losses = []
        self._window_began = now = self._clock.enter("training")
        self._emit(
            Evaluated(
                epoch=epoch,
                steps=self._step,
                training_seconds=training_seconds,
                seconds=now - began,
                images=result.images,
                correct=result.correct,
                distinct_answers=result.distinct_answers,
                training_loss=mean,
            )
        )

    def _resident(self) -> None:
        """Steps without the pipeline, after everything that the training's figures rest on is taken."""
        self._clock.enter("resident", ended="other")
        self._final_weights = self._trainer.weights_sha256()
        if not self._resident_windows:
            return
        steps = self._trainer.train_resident()
        self._trainer.synchronize(next(steps))  # fetches the batch
        began = self._clock.enter("resident")
        for index in range(self._resident_windows):
            if self._turns is not None:
                began = self._wait("resident", self._resident_windows - index)
            for loss in islice(steps, self._window_steps):
                last = loss
            self._trainer.synchronize(last)
            now = self._clock.enter("resident")
            self._emit(
                Resident(
                    epoch=1,
                    first_step=index * self._window_steps,
                    steps=self._window_steps,
                    images=self._window_steps * self._images_a_step,
                    seconds=now - began,
                    warmup=False,
                    cycle=self._turn.cycle if self._turn else None,
                    turn=self._turn.number if self._turn else None,
                )
            )
            began = now

    @property
    def final_weights_sha256(self) -> str:
        """Digest of the weights when training and evaluation were done."""
        return self._final_weights


def set_environment(profile: RuntimeProfile) -> None:
    """The profile's variables and cores, before the framework is imported.

    Raises:
        ValueError: the profile is a name whose settings were not looked up, or asks for more cores than there are.
    """
    if profile.unresolved:
        raise ValueError(f"profile {profile.name} has no settings: look it up before the case is run")
    for name in PROFILE_VARIABLES:
        os.environ.pop(name, None)
    os.environ.update(profile.environment)
    if profile.cpu_affinity is not None:
        from lenet.machine.cores import confine

        confine(profile.cpu_affinity)


def failure(error: BaseException) -> Failed:
    """What an exception says about the case."""
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
    agree: Callable[[float], float] = alone,
    turns: Turns | None = None,
) -> None:
    """Carry one case out, or one process's part of it, reporting through `emit`. Errors are raised."""
    clock = PhaseClock(born)
    set_environment(assignment.case.profile)
    from lenet import training
    from lenet.dataset import Dataset

    trainer = training.build(assignment.case, Dataset(folder=assignment.dataset_folder, card=assignment.dataset))
    emit(Started(software=trainer.software, initial_weights_sha256=trainer.weights_sha256()))
    session = Training(assignment, trainer, clock, emit, agree, turns)
    session.run()
    clock.enter("other")
    peak = trainer.peak_memory_bytes()
    trainer.close()
    emit(
        Finished(
            phases=clock.phases(),
            final_weights_sha256=session.final_weights_sha256,
            losses_sha256=session.losses_sha256,
            peak_memory_bytes=peak,
        )
    )
