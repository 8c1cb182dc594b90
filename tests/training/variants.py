"""Trainings that learn as well as LeNet's and are others: the reference trainer with one change each."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import numpy as np

from lenet.dataset.files import TRAINING_IMAGES, TRAINING_LABELS
from lenet.dataset.idx import read_images, read_labels
from lenet.store.sketch import SKETCHED_STEPS, layers
from lenet.workload.layers import LAYERS
from lenet.workload.order import order
from lenet.workload.pixels import network_input, resize
from lenet.workload.recomputation import rounded
from lenet.workload.reference import (
    CELLS,
    ReferenceTraining,
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


def in_precision(index, bits):
    """A cell whose factors, forward and backward, have so many bits of mantissa: 10 in float16, 7 in bfloat16."""

    def cell(x, *parameters):
        y, backward = CELLS[index](*(rounded(each, bits) for each in (x, *parameters)))
        return rounded(y, bits), lambda dy: backward(rounded(dy, bits))

    return replaced(index, cell)


def frozen(index):
    """The network with one layer that is not trained."""

    def cell(x, *parameters):
        y, backward = CELLS[index](x, *parameters)
        return y, lambda dy: (backward(dy)[0], *(np.zeros_like(each) for each in parameters))

    return replaced(index, cell)


def without_gradient_of_bias(x, w, b):
    y, backward = dense(x, w, b)
    return y, lambda dy: (*backward(dy)[:2], np.zeros_like(b))


def tanh(x):
    y = np.tanh(x)
    return y, lambda dy: (dy * (1 - y * y),)


def dropout(x):
    kept = (np.random.default_rng(3).random(x.shape) < 0.9) / np.float32(0.9)
    return x * kept, lambda dy: (dy * kept,)


def normalised(x):
    """Batch normalisation without parameters; its gradient is that of a scale."""
    scale = 1 / (x.std((0, 2, 3), keepdims=True) + np.float32(1e-5))
    return ((x - x.mean((0, 2, 3), keepdims=True)) * scale).astype(np.float32), lambda dy: (dy * scale,)


def clipped(norm):
    """Gradients whose norm, over all parameters, is at most that."""

    def clip(gradients):
        total = np.sqrt(sum(float((each**2).sum()) for each in gradients.values()))
        return {name: each * np.float32(min(1, norm / total)) for name, each in gradients.items()}

    return clip


def replaced(index, cell):
    return (*CELLS[:index], cell, *CELLS[index + 1 :])


@dataclass
class Variant:
    """A change of the training; the defaults change nothing."""

    sigma: float = 0.02
    bias: bool = True
    pixels: object = network_input
    labels: int = 0
    relabelled: object = lambda labels: labels
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
    gradients: object = dict
    """Of a batch, by name, as the optimiser gets them."""
    rate: object = lambda step: 1.0
    """Multiplies the learning rate of a step, from 1."""
    every: int = 1
    """The weights change after so many batches."""
    adam: bool = False
    cells: object = CELLS

    def train(self, case, dataset, steps):
        """The float32 losses of the first steps, and the sketches that a worker reports."""
        losses, sketches = [], {}
        for step, (loss, weights) in enumerate(islice(self._steps(case, dataset), steps), 1):
            losses.append(loss)
            if step in (*SKETCHED_STEPS, steps):
                sketches[step] = layers(weights.items())
        return losses, sketches

    def _steps(self, case, dataset):
        training = ReferenceTraining(case, dataset)
        weights = training.weights
        for name in DENSE:
            weights[f"{name}.weight"] = weights[f"{name}.weight"] * np.float32(self.sigma / 0.02)
            weights[f"{name}.bias"] = weights[f"{name}.bias"] * np.float32(self.bias)
        velocity, waiting, step = {}, {}, 0
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
            step += 1
            gradients = self.gradients(gradients)
            for name, gradient in gradients.items():
                gradient = gradient + np.float32(self.weight_decay) * weights[name]
                if self.every > 1:
                    waiting[name] = waiting.get(name, 0) + gradient / np.float32(self.every)
                    if step % self.every:
                        continue
                    gradient = waiting.pop(name)
                if name in velocity:
                    gradient_in = np.float32(1 - self.dampening) * gradient
                    velocity[name] = np.float32(self.momentum) * velocity[name] + gradient_in
                else:  # PyTorch and MindSpore do not dampen the first gradient
                    velocity[name] = gradient
                update = velocity[name]
                if self.nesterov:
                    update = gradient + np.float32(self.momentum) * update
                if self.adam:
                    update = gradient / (np.abs(gradient) + np.float32(1e-8))
                weights[name] = weights[name] - np.float32(self.learning_rate * self.rate(step)) * update
            yield float(loss * scale), weights

    def _batches(self, case, dataset):
        images = read_images(dataset.folder / TRAINING_IMAGES)
        labels = self.relabelled((read_labels(dataset.folder / TRAINING_LABELS).astype(np.int64) + self.labels) % 10)
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
    "weight decay 1e-4": (Variant(weight_decay=1e-4), 2),
    "label smoothing": (Variant(smoothing=0.1), 1),
    "sum instead of mean": (Variant(total=True), 1),
    "a missing ReLU": (Variant(cells=replaced(8, lambda x: (x, lambda dy: (dy,)))), 1),
    "average pooling": (Variant(cells=replaced(2, average_pooling)), 1),
    "padded convolution": (Variant(pixels=padded), 1),
    "float16 in one layer": (Variant(cells=replaced(7, half_dense)), 1),
}
"""A change by name, with the first step that it changes, for the digits in batches of 32: a pass has 40 steps."""


def halved(gradients):
    return {name: each / 2 for name, each in gradients.items()}


def noisy(labels):
    """One label of a hundred is another."""
    changed = np.random.default_rng(5).random(len(labels)) < 0.01
    return np.where(changed, (labels + 1) % 10, labels)


MORE = {
    **{f"float16 in layer {index}": (Variant(cells=in_precision(index, 10)), 1) for index in (0, 3, 7, 9, 11)},
    **{f"bfloat16 in layer {index}": (Variant(cells=in_precision(index, 7)), 1) for index in (0, 3, 7, 9, 11)},
    **{f"layer {index} is not trained": (Variant(cells=frozen(index)), 2) for index in (0, 3, 7, 9, 11)},
    "a bias that is not trained": (Variant(cells=replaced(11, without_gradient_of_bias)), 2),
    "another order in the second pass": (Variant(reshuffled=True), 41),
    "half the gradient": (Variant(gradients=halved), 2),
    "clipped gradients": (Variant(gradients=clipped(0.05)), 2),
    "gradients of two batches": (Variant(every=2), 2),
    "Adam": (Variant(adam=True), 2),
    "learning rate 0.0101": (Variant(learning_rate=0.0101), 2),
    "a learning rate that decays": (Variant(rate=lambda step: 0.99 ** (step - 1)), 3),
    "a learning rate that warms up": (Variant(rate=lambda step: min(1, step / 10)), 2),
    "momentum 0.89": (Variant(momentum=0.89), 3),
    "dampening 0.01": (Variant(dampening=0.01), 3),
    "weight decay 1e-5": (Variant(weight_decay=1e-5), 2),
    "tanh": (Variant(cells=replaced(8, tanh)), 1),
    "dropout": (Variant(cells=replaced(8, dropout)), 1),
    "batch normalisation": (Variant(cells=replaced(1, normalised)), 1),
    "normalised pixels": (Variant(pixels=lambda images: (network_input(images) - 0.1307) / 0.3081), 1),
    "shifted images": (Variant(pixels=lambda images: network_input(np.roll(images, 1, 2))), 1),
    "noisy labels": (Variant(relabelled=noisy), 1),
    "nine classes": (Variant(relabelled=lambda labels: np.minimum(labels, 8)), 1),
    "labels smoothed by 0.001": (Variant(smoothing=0.001), 1),
}
"""The same, of changes that are no more of a kind than these; most are small."""

BELOW_ROUNDING = {
    "weight decay 1e-4", "weight decay 1e-5", "float16 in one layer", "momentum 0.89", "dampening 0.01",
    "learning rate 0.0101", "a learning rate that decays", *(f"float16 in layer {index}" for index in (0, 3, 7, 9)),
    *(f"bfloat16 in layer {index}" for index in (0, 3, 7, 9)),
    *(f"layer {index} is not trained" for index in (0, 3, 7)),
}  # fmt: skip
"""The losses alone show these later or not at all."""
