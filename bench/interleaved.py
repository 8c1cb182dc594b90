"""The worker's training loop and a bare one in one process, in alternating windows: what the harness costs per step.

`overhead.py` starts it. It writes the seconds of every window as JSON. Two processes differ by more than this cost; two
windows of one process, half a second apart, run under the same conditions.

There are two bare loops. `transcription` is the script of `lenet-bench script`, with its own network, compiled step and
pipeline. MindSpore tunes the kernels of each network by the clock, so two networks of one process may settle
at different speeds; which is built first alternates from process to process. `step` calls the step and the pipeline of
the worker's trainer from a plain `for`: only the harness differs.

The cost of the harness in a window is also measured without training, over steps that return a loss computed before.
That figure is free of the machine's noise, which is a hundred times as large.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenet.cases.case import Case, Hyperparameters, Mode, Pipeline, Plan, RuntimeProfile
from lenet.commands.script import script
from lenet.dataset import Dataset, resolve
from lenet.store.events import Event
from lenet.worker.clock import PhaseClock
from lenet.worker.loop import TrainingLoop
from lenet.worker.work import Assignment, set_environment

if TYPE_CHECKING:
    from lenet.training import Trainer


class Turns:
    """A trainer that lets the bare loop have a window before each of its own, and notes how long both took."""

    def __init__(self, trainer: Trainer, bare_loop: Iterator[Any], plan: Plan) -> None:
        self._trainer = trainer
        self._bare_loop = bare_loop
        self._plan = plan
        self._done = 0
        self._began: float | None = None
        self.ours: list[float] = []
        self.bare: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trainer, name)

    def train_epoch(self) -> Iterator[Any]:
        """Our steps. The next one is asked for when the last is stepped, read and, at a window's end, reported."""
        for loss in self._trainer.train_epoch():
            yield loss
            self._done += 1
            steady = self._done - self._plan.warmup_steps
            if steady >= 0 and steady % self._plan.window_steps == 0:
                self._take_turns()

    def _take_turns(self) -> None:
        now = time.perf_counter()
        if self._began is not None:
            self.ours.append(now - self._began)
        if not self.bare:
            self._bare_steps(self._plan.warmup_steps)
        began = time.perf_counter()
        self._bare_steps(self._plan.window_steps)
        self._began = time.perf_counter()
        self.bare.append(self._began - began)

    def _bare_steps(self, count: int) -> None:
        for _ in range(count):
            loss = next(self._bare_loop)
        loss.asnumpy()


class Idle:
    """A trainer whose steps train nothing: each gives the same loss, computed long ago. All else is the trainer's."""

    def __init__(self, trainer: Trainer, loss: Any) -> None:
        self._trainer = trainer
        self._loss = loss

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trainer, name)

    def train_epoch(self) -> Iterator[Any]:
        """The same loss, without end."""
        while True:
            yield self._loss


def transcription(case: Case, dataset: Dataset) -> Iterator[Any]:
    """The losses of the case's standalone script, epoch after epoch. Builds its network at once."""
    folder = tempfile.mkdtemp()
    Path(folder, "plain_script.py").write_text(script(case, dataset.card), encoding="utf-8")
    sys.path.append(folder)  # MindSpore compiles only what a module that can be imported holds
    plain = importlib.import_module("plain_script")
    plain.open_device()
    model, step, train, _ = plain.build(str(dataset.folder))
    model.set_train()

    def losses() -> Iterator[Any]:
        while True:
            for images, labels in train():
                yield step(images, labels)

    return losses()


def same_step(trainer: Trainer) -> Iterator[Any]:
    """The losses of the trainer's own step over its own pipeline, epoch after epoch."""
    while True:
        yield from trainer.train_epoch()


def both(case: Case, dataset: Dataset, bare: str, bare_first: bool) -> tuple[Trainer, Iterator[Any]]:
    """Our trainer and the bare loop."""
    from lenet import training

    if bare == "step":
        trainer = training.build(case, dataset)
        return trainer, same_step(trainer)
    if bare_first:
        loop = transcription(case, dataset)
        return training.build(case, dataset), loop
    trainer = training.build(case, dataset)
    return trainer, transcription(case, dataset)


def main(
    folder: str,
    mode: str,
    profile: str,
    pipeline: str,
    batch_size: str,
    steps: str,
    windows: str,
    bare: str,
    first: str,
    out: str,
) -> None:
    """Take turns and write what they took. `bare`: transcription or step. `first`: bare or ours is built first."""
    plan = Plan(
        windows=int(windows), window_steps=int(steps), window_seconds=0, resident_windows=0, budget_seconds=3600,
        evaluation_images=1,
    )  # fmt: skip
    hyper = Hyperparameters(batch_size=int(batch_size))
    chosen = RuntimeProfile.parse(profile)
    set_environment(chosen)
    dataset = resolve("auto", Path(folder))
    case = Case(
        mode=Mode(mode),
        dataset=dataset.card.name,
        pipeline=Pipeline(pipeline),
        profile=chosen,
        plan=plan,
        hyperparameters=hyper,
    )
    assignment = Assignment(case=case, dataset_folder=dataset.folder, dataset=dataset.card)
    # Reports go where a worker's go: into a pipe that another process reads.
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as reader:
        if reader.stdin is None:
            raise AssertionError("cat was started with a pipe")
        channel = reader.stdin.fileno()
        trainer, loop = both(case, dataset, bare, first == "bare")
        turns = Turns(trainer, loop, plan)
        train(assignment, turns, channel)
        alone = harness_seconds(assignment, Idle(trainer, next(trainer.train_epoch())), channel)
    seconds = {"ours": turns.ours, "bare": turns.bare, "harness": alone}
    Path(out).write_text(json.dumps(seconds), encoding="utf-8")


def train(assignment: Assignment, trainer: Any, channel: int) -> None:
    """The worker's training on that trainer, reported into the file descriptor `channel`."""

    def emit(event: Event) -> None:
        os.write(channel, event.model_dump_json().encode() + b"\n")

    TrainingLoop(assignment.case, assignment.dataset, trainer, PhaseClock(time.perf_counter()), emit).run()


def harness_seconds(assignment: Assignment, idle: Idle, channel: int) -> float:
    """Seconds of a window of steps that train nothing: all that the harness adds to one."""
    windows = 400
    plan = assignment.case.plan.model_copy(update={"windows": windows})
    case = assignment.case.model_copy(update={"plan": plan})
    began = time.perf_counter()
    train(assignment.model_copy(update={"case": case}), idle, channel)
    return (time.perf_counter() - began) / windows


if __name__ == "__main__":
    main(*sys.argv[1:])
