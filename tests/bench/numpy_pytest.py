"""`pytest` as it is, except that the workers of bench/ train in NumPy: `numpy_pytest.py ARGUMENTS`.

NUMPY_WORKER_STEP_SECONDS says how long each training step sleeps.
"""

import sys
from functools import partial
from pathlib import Path

import pytest

import lenet.engine.local

if __name__ == "__main__":
    worker = (sys.executable, str(Path(__file__).parents[1] / "numpy_worker.py"))
    lenet.engine.local.LocalEngine = partial(lenet.engine.local.LocalEngine, command=worker)
    raise SystemExit(pytest.main())
