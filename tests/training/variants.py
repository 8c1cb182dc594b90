"""Trainings that learn as well as LeNet's and are others: the reference trainer with one change each."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import numpy as np

from lenet.dataset.files import TRAINING_IMAGES, TRAINING_LABELS
from lenet.dataset.idx import read_images, read_labels
from lenet.workload.layers import LAYERS
from lenet.workload.order import order
from lenet.workload.pixels import network_input, resize
from lenet.workload.reference import (
    CELLS,
    ReferenceTraining,
    convolution,
    dense,
    forward,
    softmax_cross_entropy,
)

DENSE = [f"layers.{layer.position}" for layer in LAYERS if layer.is_dense]


def nearest(images):
    """Nearest-neighbour resizing of uint8 (N, 28, 28) to float32 (N, 1, 32, 32)."""
    near = (np.arange(32) * 28) // 32
    return (images[:, near][:, :, near].astype(np.float32) / np.float32(255))[:, None]


def padded(images):
    """No resizing: the first convolution pads its input instead."""
    return (np.pad(images, ((0, 0), (2, 2), (2, 2))).astype(np.float32) / np.float32(255))[:, None]


def average_pooling(x):
    images, channels, height, width = x.shape
    y = x.reshape(images, channels, height // 2, 2, width // 2, 2).mean((3, 5))
    return y, lambda dy: ((dy / 4).repeat(2, 2).repeat(2, 3).astype(x.dtype),)


def half_dense(x, w, b):
    """A dense layer in float16."""
    y = (x.astype(np.float16) @ w.astype(np.float16).T + b.astype(np.float16)).astype(np.float32)
    return y, dense(x, w, b)[1]


def half_convolution(x, w):
    """A convolution with float16 factors."""
    as_half = (each.astype(np.float16).astype(np.float32) for each in (x, w))
    return convolution(*as_half)


def without_gradient_of_bias(x, w, b):
    y, backward = dense(x, w, b)
    return y, lambda dy: (*backward(dy)[:2], np.zeros_like(b))


def replaced(index, cell):
    return (*CELLS[:index], cell, *CELLS[index + 1 :])


@dataclass
class Variant:
    """A change of the training; the defaults change nothing."""

    sigma: float = 0.02
    bias: bool = True
    pixels: object = network_input
    labels: int = 0
    order_seed: int | None = None
    shuffled: bool = True
    drop_remainder: bool = True
    reshuffled: bool = False
    learning_rate: float = 0.01
    momentum: float = 0.9
    dampening: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    smoothing: float = 0.0
    total: bool = False
    """The sum of the losses in the place of their mean."""
    halved_gradient: bool = False
    cells: object = CELLS

    def losses(self, case, dataset, steps):
        """The float32 losses of the first steps."""
        return list(islice(self._losses(case, dataset), steps))

    def _losses(self, case, dataset):
        training = ReferenceTraining(case, dataset)
        weights = training.weights
        for name in DENSE:
            weights[f"{name}.weight"] = weights[f"{name}.weight"] * np.float32(self.sigma / 0.02)
            weights[f"{name}.bias"] = weights[f"{name}.bias"] * np.float32(self.bias)
        velocity = {}
        for images, labels in self._batches(case, dataset):
            logits, tape = forward(weights, images, self.cells)
            loss, dy = softmax_cross_entropy(logits, labels)
            if self.smoothing:
                log_p = logits - logits.max(1, keepdims=True)
                log_p = log_p - np.log(np.exp(log_p).sum(1, keepdims=True))
                loss = (1 - self.smoothing) * loss - self.smoothing * log_p.mean()
                dy[np.arange(len(labels)), labels] += np.float32(self.smoothing / len(labels))
                dy -= np.float32(self.smoothing / 10 / len(labels))
            scale = np.float32(len(labels) if self.total else 1)
            gradients = {}
            dy = dy * scale
            for index, backward in reversed(list(enumerate(tape))):
                dy, *found = backward(dy)
                gradients |= zip((name for name in weights if name.startswith(f"layers.{index}.")), found, strict=True)
            for name, gradient in gradients.items():
                gradient = gradient * np.float32(0.5 if self.halved_gradient else 1)
                gradient = gradient + np.float32(self.weight_decay) * weights[name]
                if name in velocity:
                    gradient_in = np.float32(1 - self.dampening) * gradient
                    velocity[name] = np.float32(self.momentum) * velocity[name] + gradient_in
                else:  # PyTorch and MindSpore do not dampen the first gradient
                    velocity[name] = gradient
                update = velocity[name]
                if self.nesterov:
                    update = gradient + np.float32(self.momentum) * update
                weights[name] = weights[name] - np.float32(self.learning_rate) * update
            yield float(loss * scale)

    def _batches(self, case, dataset):
        images = read_images(dataset.folder / TRAINING_IMAGES)
        labels = (read_labels(dataset.folder / TRAINING_LABELS).astype(np.int64) + self.labels) % 10
        size, seed = case.global_batch_size, case.hyperparameters.seed
        while True:
            indices = order(len(images), seed if self.order_seed is None else self.order_seed)
            if not self.shuffled:
                indices = np.arange(len(images))
            whole = len(images) // size * size
            for start in range(0, whole if self.drop_remainder else len(images), size):
                chosen = indices[start : start + size]
                yield self.pixels(images[chosen]), labels[chosen]
            seed += self.reshuffled


PLANTED = {
    "initialisation": (Variant(sigma=0.05), 1),
    "bias initialisation": (Variant(bias=False), 1),
    "resize": (Variant(pixels=nearest), 1),
    "rescale by 256": (
        Variant(pixels=lambda images: (resize(images) / np.float32(256)).astype(np.float32)[:, None]),
        1,
    ),
    "mean subtracted": (Variant(pixels=lambda images: network_input(images) - np.float32(0.1307)), 1),
    "labels shifted": (Variant(labels=1), 1),
    "order of another seed": (Variant(order_seed=2), 1),
    "unshuffled": (Variant(shuffled=False), 1),
    "drop_remainder off": (Variant(drop_remainder=False), 41),
    "learning rate 0.011": (Variant(learning_rate=0.011), 2),
    "momentum 0.8": (Variant(momentum=0.8), 3),
    "Nesterov": (Variant(nesterov=True), 2),
    "dampening": (Variant(dampening=0.1), 3),
    "label smoothing": (Variant(smoothing=0.1), 1),
    "sum instead of mean": (Variant(total=True), 1),
    "a missing ReLU": (Variant(cells=replaced(8, lambda x: (x, lambda dy: (dy,)))), 1),
    "average pooling": (Variant(cells=replaced(2, average_pooling)), 1),
    "padded convolution": (Variant(pixels=padded), 1),
    "another order in the second pass": (Variant(reshuffled=True), 41),
    "half the gradient": (Variant(halved_gradient=True), 2),
    "a bias that is not trained": (Variant(cells=replaced(11, without_gradient_of_bias)), 2),
}
"""A change by name, with the first step that it changes, for the digits in batches of 32: a pass has 40 steps."""
