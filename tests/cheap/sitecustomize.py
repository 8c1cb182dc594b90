"""Makes every worker process of lenet-bench train in NumPy: on PYTHONPATH, each Python imports this as it starts.

It reaches the workers of every command and engine, and ranks as well, and changes nothing else. FAKE_MSRUN is the
folder of the launcher for the ranks, where there are any. With CHEAP_TRAINER=reference workers train as their case
says, so that `verify` proves it; that takes ten times as long.
"""

import os
import sys
from pathlib import Path

if any(word.startswith("lenet.worker") or word == "rank.py" for word in sys.orig_argv):
    sys.path.append(str(Path(__file__).parents[1]))
    from numpy_worker import Regression

    from lenet import training

    training.build = Regression
    if os.environ.get("CHEAP_TRAINER") == "reference":
        sys.path.append(str(Path(__file__).parents[1] / "training"))
        from numpy_trainer import NumpyTrainer

        training.build = NumpyTrainer
    if "FAKE_MSRUN" in os.environ:
        # The engine puts the interpreter's own folder first.
        os.environ["PATH"] = os.pathsep.join((os.environ["FAKE_MSRUN"], os.environ["PATH"]))
