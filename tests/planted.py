"""A worker that trains with a planted fault: `planted.py FAULT FD`. Everything else is the real worker's.

The faults are those that a benchmark's training may really have. Each changes, in this process and before the trainer
is built, what the trainer's module takes from MindSpore: how a set is read, the optimiser, an activation.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from lenet import training
from lenet.dataset.idx import read_images, read_labels
from lenet.worker import __main__ as worker


def _reading(module: ModuleType, read: Callable[[Any, Path], Any]) -> None:
    """Let the trainer read its sets by `read(MnistDataset, folder)`."""
    mnist = module.ds.MnistDataset
    module.ds.MnistDataset = lambda folder, **_: read(mnist, Path(folder))


def none(module: ModuleType) -> None:
    """No fault."""
    del module


def learning_rate(module: ModuleType) -> None:
    """A tenth of the learning rate that was asked for."""
    momentum = module.nn.Momentum
    module.nn.Momentum = lambda parameters, rate, share: momentum(parameters, rate / 10, share)


def file_order(module: ModuleType) -> None:
    """The training set in the order of its file, which was shuffled when the file was made."""
    _reading(module, lambda mnist, folder: mnist(str(folder), shuffle=folder.name == "test"))


def unshuffled(module: ModuleType) -> None:
    """The training set class by class, as a folder for each class is read without shuffling."""

    def read(mnist: Any, folder: Path) -> Any:
        if folder.name == "test":
            return mnist(str(folder))
        images, labels = read_images(*folder.glob("*images*")), read_labels(*folder.glob("*labels*"))
        order = np.argsort(labels, kind="stable")
        columns = {"image": images[order, :, :, None], "label": labels[order].astype(np.uint32)}
        return module.ds.NumpySlicesDataset(columns, shuffle=False)

    _reading(module, read)


def labels_off_by_one(module: ModuleType) -> None:
    """Each training image with the label of the next class; the test set as it is."""

    def read(mnist: Any, folder: Path) -> Any:
        data = mnist(str(folder))
        if folder.name == "train":
            data = data.map(lambda label: np.array((int(label) + 1) % 10, np.uint32), "label")
        return data

    _reading(module, read)


def missing_relu(module: ModuleType) -> None:
    """No activation at all: only the pooling is left that is not linear."""
    module.nn.ReLU = module.nn.Identity


def evaluation_on_the_training_set(module: ModuleType) -> None:
    """The training set judged in the place of the test set."""
    _reading(module, lambda mnist, folder: mnist(str(folder.parent / "train")))


def evaluation_on_as_many_training_images(module: ModuleType) -> None:
    """The same, cut to as many images as the test set has: the count betrays nothing."""

    def read(mnist: Any, folder: Path) -> Any:
        data = mnist(str(folder.parent / "train"))
        return data.take(len(read_labels(*folder.glob("*labels*")))) if folder.name == "test" else data

    _reading(module, read)


FAULTS = {
    fault.__name__: fault
    for fault in (
        none,
        learning_rate,
        file_order,
        unshuffled,
        labels_off_by_one,
        missing_relu,
        evaluation_on_the_training_set,
        evaluation_on_as_many_training_images,
    )
}


def main() -> int:
    """Entry: the fault's name, then the number that the real worker gets."""
    fault = FAULTS[sys.argv.pop(1)]
    build = training.build

    def planted(case: Any, dataset: Any) -> Any:
        import lenet.training.mindspore as module

        fault(module)
        return build(case, dataset)

    training.build = planted
    return worker.main()


if __name__ == "__main__":
    raise SystemExit(main())
