"""A training that takes turns, in this process, whose steps move a clock that nothing else moves."""

from __future__ import annotations

import math

import numpy as np

from lenet.cases.case import Case, Hyperparameters, Plan, TurnLength
from lenet.worker.clock import PhaseClock
from lenet.worker.loop import DivergedError, TrainingLoop
from lenet.worker.turns import Turn
from lenet.worker.work import failure
from lenet.workload.evaluation import EvaluationResult

TURN = TurnLength(seconds=0.02, lead_in_seconds=0.01, pace_change=2.0)
PLAN = Plan(warmup_steps=4, window_steps=2, window_seconds=0.02, windows=3, resident_windows=0, evaluation_images=16)


class SimulatedClock(PhaseClock):
    """The worker's clock of simulated time."""

    def __init__(self):
        self.seconds = 0.0
        super().__init__(self.seconds, lambda: self.seconds)

    def sleep(self, seconds):
        self.seconds += seconds


class Sleeper:
    """A trainer whose step takes a millisecond; it knows how many it has trained, and which one diverges."""

    def __init__(self, sleep, diverges_at, slow_from=math.inf):
        self.sleep, self.steps, self.diverges_at, self.slow_from = sleep, 0, diverges_at, slow_from

    def train_epoch(self, observe=None):
        for _ in range(80):
            self.sleep(0.001 if self.steps < self.slow_from else 0.02)
            self.steps += 1
            yield math.nan if self.steps == self.diverges_at else 1 / self.steps

    def read(self, losses):
        return list(losses)

    def synchronize(self, loss):
        pass

    def train_resident(self):
        while True:
            yield from self.train_epoch()

    def weights(self):
        yield "weights", np.zeros((2, 3), "<f4")

    def weights_sha256(self):
        return "0" * 64

    def evaluate(self, images):
        return EvaluationResult(images, 1, 1)


class Turns:
    """Gives a turn whenever it is asked for one."""

    given = 0

    def wait(self, turns_left):
        self.given += 1
        return Turn(cycle=self.given, number=self.given)


def case(plan):
    """What is trained."""
    return Case(dataset="digits", plan=plan, hyperparameters=Hyperparameters(batch_size=16))


def train(digits, diverges_at=None, clock=None, reporting_seconds=0.0, slow_from=math.inf, plan=PLAN, turn=TURN):
    """A training in turns: each event, and the steps that were trained when it was reported."""
    clock = clock or SimulatedClock()
    trainer = Sleeper(clock.sleep, diverges_at, slow_from)
    reported = []

    def report(event):
        clock.sleep(reporting_seconds)
        reported.append((event, trainer.steps))

    loop = TrainingLoop(
        case(plan),
        digits.card,
        trainer,
        clock,
        report,
        turns=Turns(),
        turn_length=turn,
    )
    try:
        loop.run()
    except DivergedError as error:
        reported.append((failure(error), trainer.steps))
    return reported
