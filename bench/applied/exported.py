"""A worker that runs the exported script of its case (`lenet-bench script`) in place of its own trainer and loop.

The script's own training loop runs, with its own network, pipeline and clock. It waits for a turn where it prints a
window, and its clock stands still meanwhile. What it reports is what it measured: the seconds and losses of each of its
windows.
"""

from __future__ import annotations

import hashlib
import importlib
import math
import platform
import struct
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from lenet import training
from lenet.commands.script import script
from lenet.store.events import Compiled, Evaluated, Steps
from lenet.store.record import Software
from lenet.training import resident_peak_bytes
from lenet.worker import work
from lenet.workload.evaluation import evaluate
from lenet.workload.initial import weights_sha256

TURN_SECONDS = 0.1
"""Length of the script's windows: that of a turn."""


class Script:
    """The script's network and pipelines, in place of a trainer."""

    def __init__(self, case, dataset):
        plan = case.plan
        windows = math.ceil(plan.windows * plan.window_seconds / TURN_SECONDS)
        update = {"window_seconds": TURN_SECONDS, "windows": windows}
        self.case = case.model_copy(update={"plan": plan.model_copy(update=update)})
        self.folder = str(dataset.folder)
        # MindSpore compiles only what a module that can be imported holds. Functions of a module whose name begins with
        # `export` are taken for an export: whole-step jit then ends with "Can't find run graph func" (MindSpore 2.10).
        Path("case_script.py").write_text(script(self.case, dataset.card), encoding="utf-8")
        sys.path.insert(0, str(Path.cwd()))
        self.module = importlib.import_module("case_script")
        self.module.open_device()
        self.module.apply_settings()
        self.built = self.module.build(self.folder)
        self.module.build = lambda _: self.built
        self.software = Software(
            framework_version=self.module.ms.__version__,
            python_version=platform.python_version(),
            numpy_version=np.__version__,
        )

    def weights_sha256(self):
        """Digest of the weights as they are now."""
        network = self.built[0]
        return weights_sha256((each.name, each.asnumpy().astype("<f4")) for each in network.get_parameters())

    def peak_memory_bytes(self):
        """Peak resident memory."""
        return resident_peak_bytes()

    def close(self):
        """Do nothing."""


class Loop:
    """The script's training, in place of `lenet.worker.loop.TrainingLoop`."""

    def __init__(self, case, dataset, trainer, clock, emit, agree, turns=None, *lengths):  # noqa: ARG002
        self._trainer, self._clock, self._emit, self._turns = trainer, clock, emit, turns
        self._turn = None
        self._paused = 0.0
        self._losses = []

    def run(self):
        """Run the script's training, and report what it measures."""
        module, plan = self._trainer.module, self._trainer.case.plan
        module.time = SimpleNamespace(perf_counter=lambda: time.perf_counter() - self._paused)
        module.print = self._printed
        if self._turns is not None:
            self._clock.enter("waiting")
            self._turns.wait(plan.windows)
        self._clock.enter("compile_and_first_step")
        module.train(self._trainer.folder)
        began = self._clock.enter("evaluation", ended="training")
        network, _, _, test = self._trainer.built
        network.set_train(False)
        answers = ((network(images).argmax(1).asnumpy(), labels.asnumpy()) for images, labels in test())
        found = evaluate(answers, plan.evaluation_images)
        seconds = self._clock.enter("other") - began
        self._emit(
            Evaluated(
                epoch=0,
                steps=len(self._losses),
                training_seconds=self._clock.training,
                seconds=seconds,
                images=found.images,
                correct=found.correct,
                distinct_answers=found.distinct_answers,
            )
        )
        self.final_weights_sha256 = self._trainer.weights_sha256()
        self.losses_sha256 = hashlib.sha256(struct.pack(f"<{len(self._losses)}f", *self._losses)).hexdigest()

    def _printed(self, *words, **_):
        """The script prints: where it is a window, report it and wait for the next turn."""
        sys.stdout.write(" ".join(map(str, words)) + "\n")
        frame = sys._getframe(1)
        if frame.f_code.co_name != "close":
            return
        self._trainer.module.WINDOW_STEPS = 1  # from here on: a turn may be shorter than a window
        seen, case = frame.f_locals, self._trainer.case
        first, seconds = seen["first"], seen["seconds"]
        new = seen["losses"][len(self._losses) :]
        self._losses += new
        self._emit(
            Steps(
                epoch=frame.f_back.f_locals["epoch"],
                first_step=first,
                steps=len(new),
                images=len(new) * case.rank_batch_size,
                seconds=seconds,
                warmup=first < case.plan.warmup_steps,
                cycle=self._turn.cycle if self._turn else None,
                turn=self._turn.number if self._turn else None,
                losses=tuple(new),
            )
        )
        if first == 0:
            self._emit(Compiled(seconds=seconds))
            self._clock.enter("training")
        left = case.plan.windows - len(seen["windows"])
        if self._turns is not None and len(self._losses) >= case.plan.warmup_steps and left > 0:
            began = self._clock.enter("waiting")
            self._turn = self._turns.wait(left)
            self._paused += self._clock.enter("training") - began


def plant():
    """Let this worker train by its case's script."""
    training.build = Script
    work.TrainingLoop = Loop
