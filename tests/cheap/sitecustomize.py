"""Makes every worker process of lenet-bench train in NumPy: on PYTHONPATH, each Python imports this as it starts.

It reaches the workers of every command and engine, and ranks as well, and changes nothing else. FAKE_MSRUN is the
folder of the launcher for the ranks, where there are any. With CHEAP_TRAINER=reference workers train as their case
says, so that `verify` proves it. A step then takes `STEP_SECONDS`, twice its arithmetic, so that a loaded machine does
not change its speed.
"""

import os
import sys
import time
from pathlib import Path

if any(word.startswith("lenet.worker") or word == "rank.py" for word in sys.orig_argv):
    sys.path.append(str(Path(__file__).parents[1]))
    from numpy_worker import Regression

    from lenet import training

    training.build = Regression
    if os.environ.get("CHEAP_TRAINER") == "reference":
        sys.path.append(str(Path(__file__).parents[1] / "training"))
        from numpy_trainer import NumpyTrainer

        STEP_SECONDS = 0.04

        class Paced(NumpyTrainer):
            """The reference trainer at a steady pace."""

            def train_epoch(self, observe=None):
                return self._paced(super().train_epoch(observe))

            def train_resident(self):
                return self._paced(super().train_resident())

            def _paced(self, losses):
                began = time.perf_counter()
                for loss in losses:
                    time.sleep(max(0.0, began + STEP_SECONDS - time.perf_counter()))
                    yield loss
                    began = time.perf_counter()  # what passed until here was another's turn

        training.build = Paced
    if "FAKE_MSRUN" in os.environ:
        # The engine puts the interpreter's own folder first.
        os.environ["PATH"] = os.pathsep.join((os.environ["FAKE_MSRUN"], os.environ["PATH"]))
