"""A worker that trains with a planted fault: `planted.py FAULT FD`. Everything else is the real worker's.

The faults are those that a benchmark's training may really have. Each changes the trainer's room in this process
before the trainer is built.
"""

from __future__ import annotations

import sys
from types import ModuleType

from lenet import training, worker


def learning_rate(room: ModuleType) -> None:
    """A tenth of the learning rate that was asked for."""
    momentum = room.nn.Momentum
    room.nn.Momentum = lambda parameters, rate, share: momentum(parameters, rate / 10, share)


def unshuffled(room: ModuleType) -> None:
    """The training set in the order of its file."""
    mnist = room.ds.MnistDataset
    room.ds.MnistDataset = lambda folder: mnist(folder, shuffle=False)


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


FAULTS = {fault.__name__: fault for fault in (
    none, learning_rate, unshuffled, labels_off_by_one, missing_relu, evaluation_on_the_training_set,
    evaluation_on_as_many_training_images,
)}  # fmt: skip


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
