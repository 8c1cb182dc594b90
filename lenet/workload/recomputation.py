"""A training recomputed without a framework, and how far the rounding of its arithmetic may move its losses.

A framework on a device rounds otherwise than numpy does: it adds in another order, and some devices multiply with
fewer bits. So the losses of the same training differ, and the differences grow as the weights drift apart. How fast
depends on the training: at MNIST's usual learning rate hardly at all in hundreds of steps; at five times that rate it
doubles every few steps from some point on, as in any chaotic system. So it is computed for each training: its
steps are made twice, in float64, whose rounding can be neglected, and in an emulation of the device's precision.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lenet.cases.case import Case, DeviceTarget
from lenet.cases.frameworks import Framework
from lenet.dataset.files import Dataset
from lenet.store.sketch import SKETCHED_STEPS, project
from lenet.workload.initial import initial_weights, weights_sha256
from lenet.workload.reference import (
    CELLS,
    Array,
    Backward,
    Cells,
    ReferenceTraining,
    convolution,
    cross_entropy,
    forward,
)


class Precision(str, Enum):
    """How float32 numbers are multiplied in convolutions. They are added in float32."""

    FLOAT32 = "float32"
    TF32 = "TF32"
    """NVIDIA's: 10 bits of the factors' mantissas (A100 Tensor Core GPU architecture, 2020)."""
    HF32 = "HF32"
    """Ascend's: 11 bits of the factors' mantissas (CANN documentation, HF32)."""

    @property
    def mantissa_bits(self) -> int:
        """Stored bits of the mantissa of a factor."""
        return {"float32": 23, "TF32": 10, "HF32": 11}[self.value]

    @property
    def cells(self) -> Cells:
        """The network's cells with the factors of its convolutions, forward and backward, rounded to these bits."""
        if self is Precision.FLOAT32:
            return CELLS

        def rounded_convolution(x: Array, w: Array) -> tuple[Array, Backward]:
            y, backward = convolution(rounded(x, self.mantissa_bits), rounded(w, self.mantissa_bits))
            return y, lambda dy: backward(rounded(dy, self.mantissa_bits))

        return tuple(rounded_convolution if cell is convolution else cell for cell in CELLS)


def rounded(values: Array, mantissa_bits: int) -> Array:
    """Round float32 values to the nearest with that many bits of mantissa, ties to even.

    >>> rounded(np.float32([1 + 2**-10, 1 + 2**-12, -1 - 3 * 2**-12]), 10).tolist()
    [1.0009765625, 1.0, -1.0009765625]
    """
    dropped = np.uint32(23 - mantissa_bits)
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    odd = (bits >> dropped) & np.uint32(1)
    half = np.uint32((1 << (23 - mantissa_bits - 1)) - 1)
    return ((bits + half + odd) >> dropped << dropped).view(np.float32)


def precision_in_force(case: Case) -> Precision:
    """The precision that the harness sets for the case. It follows from the case alone: a record cannot claim another.

    MindSpore's defaults in convolutions are TF32 on a GPU and HF32 on Ascend; a traced case turns them off, and so does
    the PyTorch trainer.
    """
    if case.framework is not Framework.MINDSPORE or case.plan.trace:
        return Precision.FLOAT32
    defaults = {DeviceTarget.GPU: Precision.TF32, DeviceTarget.ASCEND: Precision.HF32}
    return defaults.get(case.device_target, Precision.FLOAT32)


class Training(NamedTuple):
    """What a case's losses follow from. Modes, profiles, releases and frameworks share one training."""

    dataset_sha256: str
    batch_size: int
    """Images of a step, over all processes."""
    seed: int
    learning_rate: float
    momentum: float
    precision: Precision

    @classmethod
    def of(cls, case: Case, dataset_sha256: str) -> Training:
        """The training of a case on the data with that digest."""
        hyper = case.hyperparameters
        return cls(
            dataset_sha256,
            case.global_batch_size,
            hyper.seed,
            hyper.learning_rate,
            hyper.momentum,
            precision_in_force(case),
        )


class RecomputedStep(NamedTuple):
    """One step of a recomputed training."""

    loss: float
    """In float64."""
    image_losses: npt.NDArray[np.float64]
    """(N,) of the batch's images, in float64, with the weights that were trained in the device's precision."""
    rounding: float
    """By how much the device's precision changes the loss of the same weights."""
    drift: float
    """By how much the loss differs, in float64, because the weights were trained in the device's precision."""

    def summed_in_order(self, processes: int = 1) -> float:
        """The loss if each process adds those of its images in float32, one after the other, as MindSpore does on CPU.

        This rounding is the largest of all, and the only one that can be computed.
        """
        means = []
        for process in range(processes):
            share = self.image_losses[process::processes].astype(np.float32)
            means.append(float(np.add.accumulate(share)[-1] / np.float32(len(share))))
        together = float(np.float32(sum(means) / processes))
        return self.loss + together - float(self.image_losses.mean())


class RecomputedLayer(NamedTuple):
    """One parameter after a step, trained in the device's precision. Sketches are those of `lenet.store.sketch`."""

    values: int
    """Their number."""
    weights: npt.NDArray[np.float64]
    """Sketch of its values."""
    change: npt.NDArray[np.float64]
    """Sketch of their change by this step."""
    change_before: npt.NDArray[np.float64]
    """Sketch of their change by the step before; zeros after the first."""
    size: float
    """Euclidean norm of the change by this step."""
    moved: float
    """Euclidean distance from the initial values."""
    rounding: float
    """Euclidean distance from the values that were trained in float64."""
    update_error: float
    """Euclidean distance of this step's update from that in float64: what rounding changed of gradient and velocity."""

    @property
    def before(self) -> npt.NDArray[np.float64]:
        """Sketch of the values before this step."""
        return self.weights - self.change


class EvaluationBounds(NamedTuple):
    """An evaluation of the recomputed training. An answer is uncertain if rounding may change it."""

    images: int
    certainly_correct: int
    possibly_correct: int


class Recomputation:
    """A training that is recomputed step by step. Every step that was made is kept, and more can be made later."""

    def __init__(self, case: Case, dataset: Dataset) -> None:
        """Begin the training of `case` and of every case with the same `Training`.

        Raises:
            DatasetError: the dataset's folder does not contain IDX files of MNIST's shape.
        """
        # The mean over ranks is the mean over the batch.
        hyper = case.hyperparameters.model_copy(update={"batch_size": case.global_batch_size})
        alone = Case(dataset=case.dataset, hyperparameters=hyper)
        self._dataset, self._hyper = dataset, hyper
        self._exact = ReferenceTraining(alone, dataset, np.float64)
        self._device = ReferenceTraining(alone, dataset, np.float32, precision_in_force(case).cells)
        self._batches = self._exact.batches()
        self.initial_weights_sha256 = weights_sha256(initial_weights(hyper.seed).items())
        self.steps: list[RecomputedStep] = []
        self.weights: dict[int, dict[str, RecomputedLayer]] = {}
        """After the steps that a worker reports first."""
        self._learning_rate = hyper.learning_rate
        self._initial = dict(self._device.weights)
        self._before = [self._initial] * 2
        """Weights before the last step, and before the one before it."""

    def __iter__(self) -> Iterator[RecomputedStep]:
        """Iterate over the steps without end: those that were made, then new ones.

        Raises:
            DatasetError: the training set has fewer images than a batch.
        """
        index = 0
        while True:
            if index == len(self.steps):
                self._step()
            yield self.steps[index]
            index += 1

    def _step(self) -> None:
        images, labels = next(self._batches)
        # A training that diverges overflows: its losses are not finite, and nothing is compared with them.
        with np.errstate(all="ignore"):
            weights = {name: value.astype(np.float64) for name, value in self._device.weights.items()}
            logits, _ = forward(weights, images.astype(np.float64))
            each = cross_entropy(logits, labels)
            between = float(each.mean())
            self._before = [dict(self._device.weights), self._before[0]]
            device, exact = self._device.step(images, labels), self._exact.step(images, labels)
        self.steps.append(RecomputedStep(exact, each, abs(device - between), abs(between - exact)))

        if len(self.steps) in SKETCHED_STEPS:
            self.weights[len(self.steps)] = self.layers()

    def layers(self) -> dict[str, RecomputedLayer]:
        """Every parameter after the last step that was made."""
        found = {}
        with np.errstate(all="ignore"):
            for name, exact in self._exact.weights.items():
                now, before, earlier = (
                    weights[name].astype(np.float64) for weights in (self._device.weights, *self._before)
                )
                found[name] = RecomputedLayer(
                    now.size,
                    project(now),
                    project(now - before),
                    project(before - earlier),
                    float(np.linalg.norm(now - before)),
                    float(np.linalg.norm(now - self._initial[name])),
                    float(np.linalg.norm(now - exact)),
                    self._learning_rate
                    * float(np.linalg.norm(self._device.velocity[name] - self._exact.velocity[name])),
                )
        return found

    def evaluate(self, batch_size: int, images: int | None) -> EvaluationBounds:
        """Evaluate on the test set after the last step that was made: in whole batches, as a case's plan does it.

        Args:
            batch_size: of one process.
            images: test images of the plan; None is the whole set.
        """
        from lenet.workload.batches import evaluation_pass

        seen = certain = possible = 0
        for batch, labels in evaluation_pass(self._dataset.folder, batch_size, self._hyper.seed)():
            with np.errstate(all="ignore"):
                exact, device = self._exact.logits(batch), self._device.logits(batch)
            right = exact[np.arange(len(labels)), labels]
            others = exact.copy()
            others[np.arange(len(labels)), labels] = -np.inf
            # How far the right answer is ahead, against how far another rounding could move two answers.
            ahead, doubt = right - others.max(1), 2 * DRIFT_FACTOR * np.abs(exact - device).max(1)
            certain += int((ahead > doubt).sum())
            possible += int((ahead >= -doubt).sum())
            seen += len(labels)
            if images is not None and seen >= images:
                break
        return EvaluationBounds(seen, certain, possible)


DRIFT_FACTOR = 100.0
"""How much farther a framework's weights may drift than the emulation's. A drift that grows is a multiple of the first
roundings, which differ between implementations: MindSpore on CPU drifts up to 23 times as far as numpy (measured with
batches of one image, whose gradient it adds in another order)."""
