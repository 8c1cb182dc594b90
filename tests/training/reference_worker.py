"""A worker that trains as the case says, with the reference trainer: `reference_worker.py [NAME=VALUE] FD`.

NAME is a hyperparameter that it trains with in the place of the case's.
"""

from __future__ import annotations

import json
import sys

from numpy_trainer import NumpyTrainer

from lenet import training
from lenet.worker import __main__ as worker


def main() -> int:
    change = {}
    if "=" in sys.argv[1]:
        name, _, value = sys.argv.pop(1).partition("=")
        change[name] = json.loads(value)

    def build(case, dataset):
        hyper = case.hyperparameters.model_copy(update=change)
        return NumpyTrainer(case.model_copy(update={"hyperparameters": hyper}), dataset)

    training.build = build
    return worker.main()


if __name__ == "__main__":
    raise SystemExit(main())
