"""A third trainer, by hand in numpy: forward, backward and Momentum of this LeNet, to show what the interface asks.

It stands in for a framework that does not exist. It is slow and meant to be read.
"""

import numpy as np

from lenet.store.record import Software
from lenet.training import Judgement, resident_peak_bytes
from lenet.training.pipeline import Batches, evaluation_pass, training_pass
from lenet.workload.initial import initial_weights, weights_sha256


def patches(images):
    """(N, C, H, W) to (N, H-4, W-4, C*25): what each place of a 5x5 convolution sees."""
    windows = np.lib.stride_tricks.sliding_window_view(images, (5, 5), axis=(2, 3))
    n, c, h, w = windows.shape[:4]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(n, h, w, c * 25)


def convolve(images, weight):
    seen = patches(images)
    return (seen @ weight.reshape(len(weight), -1).T).transpose(0, 3, 1, 2), seen


def convolve_back(slope, seen, weight):
    """The slopes of the weight and of the images."""
    rows = slope.transpose(0, 2, 3, 1).reshape(-1, len(weight))
    weight_slope = (rows.T @ seen.reshape(len(rows), -1)).reshape(weight.shape)
    padded = np.pad(slope, ((0, 0), (0, 0), (4, 4), (4, 4)))
    turned = weight[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
    return weight_slope, convolve(padded, turned)[0]


def pool(images):
    """The largest of each 2x2 block, and where it was (the first, if several)."""
    n, c, h, w = images.shape
    blocks = images.reshape(n, c, h // 2, 2, w // 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(n, c, h // 2, w // 2, 4)
    return blocks.max(-1), blocks.argmax(-1)


def pool_back(slope, place):
    n, c, h, w = slope.shape
    blocks = (np.arange(4) == place[..., None]) * slope[..., None]
    return blocks.reshape(n, c, h, w, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(n, c, 2 * h, 2 * w)


class HandTrainer:
    """The workload in numpy."""

    def __init__(self, case, dataset):
        hyper = case.hyperparameters
        self._rate, self._momentum = np.float32(hyper.learning_rate), np.float32(hyper.momentum)
        self._weights = initial_weights(hyper.seed)
        self._speed = {name: np.zeros_like(value) for name, value in self._weights.items()}
        self._training = Batches(training_pass(dataset.folder, hyper.batch_size, hyper.seed), case.pipeline)
        self._test = Batches(evaluation_pass(dataset.folder, hyper.batch_size, hyper.seed), case.pipeline)
        self.software = Software(framework_version=np.__version__, python_version="3", numpy_version=np.__version__)

    def _forward(self, images):
        """The logits, and what the way back needs."""
        w = self._weights
        kept = {}
        for layer, weight in (("0", w["layers.0.weight"]), ("3", w["layers.3.weight"])):
            out, kept["seen" + layer] = convolve(images, weight)
            kept["on" + layer] = out > 0
            images, kept["place" + layer] = pool(np.maximum(out, 0))
        out = images.reshape(len(images), -1)
        for layer in ("7", "9", "11"):
            kept["in" + layer] = out
            out = out @ w[f"layers.{layer}.weight"].T + w[f"layers.{layer}.bias"]
            if layer != "11":
                out = np.maximum(out, 0)
        return out, kept

    def _step(self, images, labels):
        logits, kept = self._forward(images)
        shifted = logits - logits.max(1, keepdims=True)
        logarithms = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        rows = np.arange(len(labels))
        loss = -logarithms[rows, labels].mean()
        slope = np.exp(logarithms)
        slope[rows, labels] -= 1
        slope /= np.float32(len(labels))
        w, slopes = self._weights, {}
        for layer in ("11", "9", "7"):
            before = kept["in" + layer]
            slopes[f"layers.{layer}.weight"], slopes[f"layers.{layer}.bias"] = slope.T @ before, slope.sum(0)
            slope = slope @ w[f"layers.{layer}.weight"]
            if layer != "7":
                slope = slope * (before > 0)
        slope = slope.reshape(len(labels), 16, 5, 5)
        for layer in ("3", "0"):
            slope = pool_back(slope, kept["place" + layer]) * kept["on" + layer]
            name = f"layers.{layer}.weight"
            slopes[name], slope = convolve_back(slope, kept["seen" + layer], w[name])
        for name, value in slopes.items():
            self._speed[name] = self._momentum * self._speed[name] + value
            w[name] = w[name] - self._rate * self._speed[name]
        return loss

    def train_epoch(self, look=None):
        for images, labels in self._training:
            if look is not None:
                look(images, labels.astype(np.int32))
            yield self._step(images, labels)

    def train_resident(self):
        images, labels = next(iter(self._training))
        while True:
            yield self._step(images, labels)

    def read(self, losses):
        return [float(loss) for loss in losses]

    def synchronize(self, loss):
        pass

    def evaluate(self, images):
        seen = correct = 0
        answers = set()
        for batch, labels in self._test:
            answer = self._forward(batch)[0].argmax(1)
            seen, correct = seen + len(answer), correct + int((answer == labels).sum())
            answers.update(answer.tolist())
            if images is not None and seen >= images:
                break
        return Judgement(images=seen, correct=correct, distinct_answers=len(answers))

    def weights(self):
        return iter(self._weights.items())

    def weights_sha256(self):
        return weights_sha256(self._weights.items())

    def peak_memory_bytes(self):
        return resident_peak_bytes()

    def close(self):
        pass
