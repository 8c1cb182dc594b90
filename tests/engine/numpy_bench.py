"""`lenet-bench` whose workers on Ray's nodes train in NumPy: `numpy_bench.py ARGUMENTS`."""

import sys
from functools import partial
from pathlib import Path

import lenet.engine.ray
from lenet.cli import main

if __name__ == "__main__":
    worker = (sys.executable, str(Path(__file__).parents[1] / "numpy_worker.py"))
    lenet.engine.ray.RayEngine = partial(lenet.engine.ray.RayEngine, command=worker)
    raise SystemExit(main())
