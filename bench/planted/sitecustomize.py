"""Plants extra work in the workers of lenet-bench: on PYTHONPATH, each Python imports this as it starts.

LENET_BENCH_PLANTED maps seeds to a whole number: `{"3": 50, "4": 20}` lets a worker with seed 3 train one more step
after every 50, which no window counts. A counted step of seed 3 then costs 1 + 1/50 steps, of seed 4 1 + 1/20. The
extra work is a whole training step, its batch included: however fast the machine is at the moment, it is exactly that
share of a step. Other seeds train as usual. The seed itself changes no speed: it draws initial weights and order.
"""

import json
import os
import sys

PLANTED = json.loads(os.environ.get("LENET_BENCH_PLANTED", "{}"))

if PLANTED and any(word.startswith("lenet.worker") for word in sys.orig_argv):
    from lenet import training

    class Slowed:
        """A trainer that reports only some of its steps; everything else is the trainer's."""

        def __init__(self, trainer, every):
            self._trainer = trainer
            self._every = every
            self._made = 0

        def __getattr__(self, name):
            return getattr(self._trainer, name)

        def _reported(self, steps):
            for loss in steps:
                self._made += 1
                if self._made % (self._every + 1):
                    yield loss

        def train_epoch(self, observe=None):
            return self._reported(self._trainer.train_epoch(observe))

        def train_resident(self):
            return self._reported(self._trainer.train_resident())

    build = training.build

    def slowed(case, dataset):
        """The trainer of the case, with the extra work of its seed."""
        trainer = build(case, dataset)
        every = PLANTED.get(str(case.hyperparameters.seed))
        return trainer if every is None else Slowed(trainer, every)

    training.build = slowed
