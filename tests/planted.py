"""A worker that trains with a planted fault: `planted.py FAULT FD`. Everything else is the real worker's.

The faults are those that a benchmark's training may really have. Each changes the trainer's room in this process
before the trainer is built.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np

from lenet import training, worker
from lenet.dataset.idx import read_images, read_labels


def learning_rate(room: ModuleType) -> None:
    """A tenth of the learning rate that was asked for."""
    momentum = room.nn.Momentum
    room.nn.Momentum = lambda parameters, rate, share: momentum(parameters, rate / 10, share)


def file_order(room: ModuleType) -> None:
    """The training set in the order of its file, which was shuffled when the file was made."""
    mnist = room.ds.MnistDataset
    room.ds.MnistDataset = lambda folder: mnist(folder, shuffle=False)


def unshuffled(room: ModuleType) -> None:
    """The training set class by class, as a folder for each class is read without shuffling."""
    mnist = room.ds.MnistDataset

    def in_order(folder):
        if not folder.endswith("train"):
            return mnist(folder)
        (images,) = (read_images(path) for path in Path(folder).glob("*images*"))
        (labels,) = (read_labels(path) for path in Path(folder).glob("*labels*"))
        order = np.argsort(labels, kind="stable")
        columns = {"image": images[order, :, :, None], "label": labels[order].astype(np.uint32)}
        return room.ds.NumpySlicesDataset(columns, shuffle=False)

    room.ds.MnistDataset = in_order


def labels_off_by_one(room: ModuleType) -> None:
    """Each training image with the label of the next class."""
    pipeline = room.pipeline

    def shifted(folder, batch_size):
        data = pipeline(folder, batch_size)
        if folder.name == "train":
            data = data.map(lambda labels: (labels + 1) % 10, "label")
        return data

    room.pipeline = shifted


def missing_relu(room: ModuleType) -> None:
    """No activation at all: only the pooling is left that is not linear."""
    room.nn.ReLU = room.nn.Identity


def evaluation_on_the_training_set(room: ModuleType) -> None:
    """The training set judged in the place of the test set."""
    pipeline = room.pipeline
    room.pipeline = lambda folder, batch_size: pipeline(folder.parent / "train", batch_size)


def evaluation_on_as_many_training_images(room: ModuleType) -> None:
    """The same, cut to as many images as the test set has: the count betrays nothing."""
    pipeline = room.pipeline

    def cut(folder, batch_size):
        data = pipeline(folder.parent / "train", batch_size)
        if folder.name == "test":
            data = data.take(pipeline(folder, batch_size).get_dataset_size())
        return data

    room.pipeline = cut


def none(room: ModuleType) -> None:
    """No fault."""
    del room


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
    fault = FAULTS[sys.argv.pop(1)]
    build = training.build

    def planted(case, dataset):
        import lenet.training.mindspore as room

        fault(room)
        return build(case, dataset)

    training.build = planted
    return worker.main()


if __name__ == "__main__":
    raise SystemExit(main())
