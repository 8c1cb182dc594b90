"""The training loop of a worker: it trains as the plan says, times windows of steps, evaluates, and reports events."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any

from lenet.cases.case import STEADY_WINDOWS_AT_LEAST, Case, TurnLength
from lenet.cases.window_sizes import WindowSizes
from lenet.store.events import Compiled, Evaluated, Event, Resident, Sketched, Steps
from lenet.store.record import DatasetCard
from lenet.store.sketch import SKETCHED_STEPS, layers
from lenet.worker.clock import PhaseClock
from lenet.worker.turns import Turn, Turns

if TYPE_CHECKING:
    from lenet.training import Trainer
    from lenet.worker.trace import Tracer


class DivergedError(RuntimeError):
    """A loss that is not finite."""


def own_value(value: float) -> float:
    """Return the value that a single process agrees on with itself."""
    return value


class TrainingLoop:
    """Runs a case's plan on a trainer and reports events.

    `agree` returns the value of the first process to every process of a data-parallel training, and waits until all of
    them have called it. A decision by the clock must be the same in all, or one would wait for another's gradients.

    With `turns`, the warm-up and every steady window wait for a turn; its length is `turn_length`. Before it come the
    steps of the lead-in, a window of their own that counts as warm-up: the others have left their data in the caches,
    and the first steps of a turn are slower. Both are reported after the turn, so that nobody handles an event while
    the counted steps run.
    """

    def __init__(
        self,
        case: Case,
        dataset: DatasetCard,
        trainer: Trainer,
        clock: PhaseClock,
        emit: Callable[[Event], None],
        agree: Callable[[float], float] = own_value,
        turns: Turns | None = None,
        turn_length: TurnLength | None = None,
    ) -> None:
        self._plan = case.plan
        self._trainer = trainer
        self._clock = clock
        self._emit = emit
        self._agree = agree
        self._images_per_step = case.rank_batch_size
        steps_per_epoch = dataset.training_images // case.global_batch_size
        self._sizes = WindowSizes(case.plan, steps_per_epoch, turn_length)
        self._turns = turns
        self._leads_in = False
        self._unreported: Steps | None = None
        self._turn: Turn | None = None
        self._pending: list[Any] = []
        self._step = 0
        self._steady = 0
        self._window_began = 0.0
        self._epoch_losses: list[float] = []
        self._losses_digest = hashlib.sha256()
        self._sketched_steps = () if self._plan.trace else SKETCHED_STEPS[: self._plan.warmup_steps]
        self._tracer: Tracer | None = None
        if self._plan.trace:
            from lenet.worker.trace import Tracer

            self._tracer = Tracer(trainer.weights, emit)

    def run(self) -> None:
        """Train and evaluate as planned."""
        epoch = 0
        if self._tracer is not None:
            self._tracer.record(0)
        self._agree(0.0)  # wait for the slowest set-up, which is not part of the first step
        first = "compile_and_first_step"
        self._window_began = self._clock.enter(first) if self._turns is None else self._wait(first, self._turns_left)
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
        """SHA-256 of every training loss so far, as little-endian float32."""
        return self._losses_digest.hexdigest()

    @property
    def _turns_left(self) -> int:
        return self._sizes.windows - self._steady + self._sizes.resident_windows

    def _train_epoch(self, epoch: int) -> bool:
        """Train an epoch, or less if a plan without whole epochs is complete before its end; return whether it is."""
        steps = self._trainer.train_epoch(self._tracer.note_batch) if self._tracer else self._trainer.train_epoch()
        for loss in steps:
            self._pending.append(loss)
            self._step += 1
            if self._tracer is not None:
                self._trainer.synchronize(loss)
                self._tracer.record(self._step)
            boundary = self._step in (1, self._plan.warmup_steps)
            full = boundary or len(self._pending) >= (self._sizes.lead_in if self._leads_in else self._sizes.steps)
            if full:
                self._close_window(epoch)
            if self._step in self._sketched_steps:
                self._sketch(loss)
            if full and self._leads_in:
                self._leads_in = False
            elif full:
                if self._plan.epochs is None and self._enough():
                    return True
                if self._turns is not None and self._step >= self._plan.warmup_steps:
                    self._window_began = self._wait("training", self._turns_left, ended="other")
                    self._leads_in = self._sizes.lead_in > 0
        if self._pending and self._plan.epochs is not None:
            self._close_window(epoch)
        return False

    def _sketch(self, loss: Any) -> None:
        """Report the weights after the step of `loss`, which is a warm-up step. The time of it is in no window."""
        self._trainer.synchronize(loss)
        began = self._clock.enter("other")
        self._report_weights()
        self._window_began += self._clock.enter("training") - began

    def _report_weights(self) -> None:
        self._emit(Sketched(step=self._step, layers=layers(self._trainer.weights())))

    def _enough(self) -> bool:
        if self._plan.trace:
            return self._step >= self._plan.warmup_steps
        if self._steady >= self._sizes.windows:
            return True
        if self._steady < STEADY_WINDOWS_AT_LEAST:
            return False
        return self._agree(self._clock.training) >= self._plan.budget_seconds

    def _close_window(self, epoch: int) -> None:
        self._trainer.synchronize(self._pending[-1])
        now = self._clock.enter("training")
        first = self._step - len(self._pending)
        losses = self._trainer.read(self._pending)
        warmup = first < self._plan.warmup_steps or self._plan.trace or self._leads_in
        turn = None if warmup else self._turn
        self._steady += not warmup
        self._losses_digest.update(struct.pack(f"<{len(losses)}f", *losses))
        self._epoch_losses += losses
        window = Steps(
            epoch=epoch,
            first_step=first,
            steps=len(losses),
            images=len(losses) * self._images_per_step,
            seconds=now - self._window_began,
            warmup=warmup,
            cycle=turn.cycle if turn else None,
            turn=turn.number if turn else None,
            losses=tuple(loss if math.isfinite(loss) else None for loss in losses),
        )
        diverged = next((offset for offset, loss in enumerate(losses) if not math.isfinite(loss)), None)
        if self._leads_in and diverged is None:
            self._unreported = window
        else:
            self._report(window)
        if first == 0:
            self._emit(Compiled(seconds=now - self._window_began))
        if self._sizes.ends_warmup(first, window.steps):
            self._sizes.warmed_up(self._agree(window.seconds / window.steps))
        elif turn is not None:
            self._sizes.turn_ended(window.steps, window.seconds)
        # Windows are adjacent: the time to report one is part of the next, so that throughput contains all costs.
        self._window_began = now
        self._pending.clear()
        if diverged is not None:
            raise DivergedError(f"the loss of step {first + diverged + 1} is {losses[diverged]}")

    def _report(self, window: Steps) -> None:
        """Report a window, after the lead-in before it."""
        if self._unreported is not None:
            self._emit(self._unreported)
            self._unreported = None
        self._emit(window)

    def _wait(self, phase: str, turns_left: int, ended: str | None = None) -> float:
        """Wait for the next turn, enter `phase`, and return the time at which the turn began.

        `ended` is the phase of the time since the last window: reporting it is no training.
        """
        if self._turns is None:
            raise AssertionError("only a worker that takes turns waits for one")
        self._clock.enter("waiting", ended)
        self._turn = self._turns.wait(turns_left)
        return self._clock.enter(phase)

    def _evaluate(self, epoch: int) -> None:
        # The time to report the last window is not training: the training phase is the sum of the windows.
        began = self._clock.enter("evaluation", ended="other")
        training_seconds = self._clock.training
        result = self._trainer.evaluate(None if self._plan.epochs else self._plan.evaluation_images)
        self._agree(0.0)  # wait for the slowest evaluation, which is not part of the next window
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
        """Time steps without the pipeline, after training and evaluation."""
        self._clock.enter("resident", ended="other")
        self._final_weights = self._trainer.weights_sha256()
        if self._tracer is None and self._step not in self._sketched_steps:
            self._report_weights()
        count, size = self._sizes.resident_windows, self._sizes.steps
        if not count:
            return
        steps = self._trainer.train_resident()
        self._trainer.synchronize(next(steps))  # fetches the batch
        began = self._clock.enter("resident")
        for index in range(count):
            if self._turns is not None:
                began = self._wait("resident", count - index, ended="other")
                if lead_in := list(islice(steps, self._sizes.lead_in)):
                    self._trainer.synchronize(lead_in[-1])
                    began = self._clock.enter("resident")
            for loss in islice(steps, size):
                last = loss
            self._trainer.synchronize(last)
            now = self._clock.enter("resident")
            self._emit(
                Resident(
                    epoch=1,
                    first_step=index * size,
                    steps=size,
                    images=size * self._images_per_step,
                    seconds=now - began,
                    warmup=False,
                    cycle=self._turn.cycle if self._turn else None,
                    turn=self._turn.number if self._turn else None,
                )
            )
            began = now

    @property
    def final_weights_sha256(self) -> str:
        """SHA-256 of the weights after training and evaluation, before the resident steps."""
        return self._final_weights
