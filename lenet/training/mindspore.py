"""The workload in MindSpore's functional style: LeNet on MNIST as MindSpore's beginner tutorial trains it.

One definition for all modes. The mode only changes how the step is executed: the functional step operator by operator
(PyNative), the functional step under GRAPH_MODE, the whole step with the optimiser as one `@ms.jit` function, or the
cells of `ms.train.Model` under GRAPH_MODE.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import mindspore as ms
import mindspore.dataset as ds
import numpy as np
import numpy.typing as npt
from mindspore import nn
from mindspore.common.initializer import Normal
from mindspore.dataset import transforms, vision

from lenet.cases.case import Case, DeviceTarget, Mode, RuntimeProfile
from lenet.cases.values import GRAPH_MODES
from lenet.dataset import Dataset
from lenet.machine.cores import usable_cores
from lenet.store.record import Software
from lenet.training import BatchObserver, resident_peak_bytes, targets
from lenet.training.pipeline import Batches
from lenet.workload.evaluation import EvaluationResult, evaluate
from lenet.workload.initial import weights_sha256


class LeNet(nn.Cell):  # type: ignore[misc]
    """Maps float32 images (N, 1, 32, 32) to logits (N, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.CellList(
            [
                nn.Conv2d(1, 6, 5, pad_mode="valid"),
                nn.ReLU(),
                nn.MaxPool2d(kernel_size=2, stride=2),
                nn.Conv2d(6, 16, 5, pad_mode="valid"),
                nn.ReLU(),
                nn.MaxPool2d(kernel_size=2, stride=2),
                nn.Flatten(),
                nn.Dense(400, 120, weight_init=Normal(0.02)),
                nn.ReLU(),
                nn.Dense(120, 84, weight_init=Normal(0.02)),
                nn.ReLU(),
                nn.Dense(84, 10, weight_init=Normal(0.02)),
            ]
        )

    def construct(self, images: Any) -> Any:
        """Run the forward pass."""
        for layer in self.layers:
            images = layer(images)
        return images


def pipeline(folder: Path, batch_size: int, shard: tuple[int, int] | None = None) -> Any:
    """Return the tutorial's pipeline over `train/` or `test/`: float32 (N, 1, 32, 32) in [0, 1] and int32 (N,).

    MnistDataset shuffles, the test set too. The remainder that fills no batch is dropped.

    `shard` is a rank and the number of ranks. The ranks share the one shuffled order image by image, so that their
    batches of a step are together the batch of one process at that step. (MnistDataset's own `num_shards` would shuffle
    in another order.)
    """
    if shard is None:
        data = ds.MnistDataset(str(folder))
    else:
        rank, ranks = shard
        share = ds.DistributedSampler(ranks, rank, shuffle=False)
        share.add_child(ds.RandomSampler())
        data = ds.MnistDataset(str(folder), sampler=share)
    data = data.map([vision.Resize(32), vision.Rescale(1.0 / 255.0, 0.0), vision.HWC2CHW()], "image")
    # MnistDataset yields uint32 labels; the loss takes int32.
    data = data.map(transforms.TypeCast(ms.int32), "label")
    data = data.batch(batch_size, drop_remainder=True)
    if shard is not None:
        # The sampler pads the last share with images that were used before; no step is made of them.
        images = ds.MnistDataset(str(folder)).get_dataset_size()
        data = data.take(images // (batch_size * shard[1]))
    return data


def apply_profile(profile: RuntimeProfile) -> None:
    """Apply the settings that MindSpore takes by function calls. Environment variables are set before the import."""
    if profile.operator_threads is not None:
        ms.device_context.cpu.op_tuning.threads_num(profile.operator_threads)
    if profile.dispatch_threads is not None:
        ms.runtime.dispatch_threads_num(profile.dispatch_threads)
    if profile.launch_blocking:
        ms.runtime.launch_blocking()
    if profile.dataset_workers is not None:
        ds.config.set_num_parallel_workers(profile.dataset_workers)
    if profile.dataset_prefetch is not None:
        ds.config.set_prefetch_size(profile.dataset_prefetch)


def _arrays(images: Any, labels: Any) -> tuple[Any, Any]:
    return images.asnumpy(), labels.asnumpy()


class MindSporeTrainer:
    """The trainer for one device and one mode.

    After `ms.set_seed` the network is built first, then the pipelines, so that a plain script which does the same gives
    the same training to the last bit on one machine.
    """

    def __init__(self, case: Case, dataset: Dataset) -> None:
        hyper = case.hyperparameters
        targets.make_deterministic(case.profile, case.device_target)
        targets.choose_device(case.device_target, case.world_size, full=case.plan.trace)
        shard = (targets.rank(), case.world_size) if case.world_size > 1 else None
        in_graph_mode = case.mode in GRAPH_MODES
        ms.set_context(mode=ms.GRAPH_MODE if in_graph_mode else ms.PYNATIVE_MODE)
        if in_graph_mode and case.profile.jit_level:
            ms.set_context(jit_config={"jit_level": case.profile.jit_level})
        apply_profile(case.profile)
        ms.set_seed(hyper.seed)

        self._target = case.device_target
        self._precision = targets.precision(case.device_target, case.plan.trace)
        self._network = LeNet()
        loss_function = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
        optimizer = nn.Momentum(self._network.trainable_params(), hyper.learning_rate, hyper.momentum)

        if case.mode is Mode.MODEL:
            # What Model.train calls for each batch: nn.TrainOneStepCell over nn.WithLossCell.
            self._step = ms.train.Model(self._network, loss_function, optimizer).train_network
        else:
            self._step = self._functional_step(loss_function, optimizer, case)
        # As in the tutorial, every pass makes a new iterator. With the seed set, all passes then have the same order.
        training = pipeline(dataset.folder / "train", case.rank_batch_size, shard)
        test = pipeline(dataset.folder / "test", hyper.batch_size)
        self._training = Batches(lambda: training.create_tuple_iterator(num_epochs=1), case.pipeline)
        self._test = Batches(lambda: test.create_tuple_iterator(num_epochs=1), case.pipeline)
        self.software = self._software(case.profile)

    def _functional_step(self, loss_function: Any, optimizer: Any, case: Case) -> Any:
        """The tutorial's step; with several processes, the optimiser gets the mean of their gradients."""

        def forward(images: Any, labels: Any) -> tuple[Any, Any]:
            logits = self._network(images)
            return loss_function(logits, labels), logits

        gradient = ms.value_and_grad(forward, None, optimizer.parameters, has_aux=True)

        def step(images: Any, labels: Any) -> Any:
            (loss, _), gradients = gradient(images, labels)
            optimizer(gradients)
            return loss

        if case.world_size > 1:
            mean = targets.mean_over_ranks(case.world_size)

            def step(images: Any, labels: Any) -> Any:
                (loss, _), gradients = gradient(images, labels)
                optimizer(mean(gradients))
                return loss

        if case.mode is not Mode.JIT:
            return step
        level = case.profile.jit_level
        return ms.jit(step, jit_level=level) if level else ms.jit(step)

    def _software(self, profile: RuntimeProfile) -> Software:
        details = {
            "device": "/".join(str(part) for part in ms.get_current_device()),
            "dataset_workers": str(ds.config.get_num_parallel_workers()),
            "dataset_prefetch": str(ds.config.get_prefetch_size()),
            "cores": str(len(usable_cores())),
            # MindSpore has no getter for what `threads_num` sets.
            "operator_threads": str(profile.operator_threads or ms.get_context("runtime_num_threads")),
            "precision": self._precision,
        }
        for name in ("CUDA_VISIBLE_DEVICES", "ASCEND_RT_VISIBLE_DEVICES"):
            if name in os.environ:
                details[name.lower()] = os.environ[name][:200]
        return Software(
            framework_version=ms.__version__,
            python_version=platform.python_version(),
            numpy_version=np.__version__,
            details=details,
        )

    def train_epoch(self, observe: BatchObserver | None = None) -> Iterator[Any]:
        """Train one pass over the training set."""
        self._network.set_train(True)
        for images, labels in self._training:
            if observe is not None:
                observe(partial(_arrays, images, labels))
            yield self._step(images, labels)

    def train_resident(self) -> Iterator[Any]:
        """Train without end on the first batch."""
        self._network.set_train(True)
        images, labels = next(iter(self._training))
        while True:
            yield self._step(images, labels)

    def read(self, losses: Sequence[Any]) -> list[float]:
        """Return loss values; copying a value to the host waits for the device."""
        return [float(loss.asnumpy()) for loss in losses]

    def synchronize(self, loss: Any) -> None:
        """Wait for the device. MindSpore's CPU target has no function for it: reading the loss waits."""
        loss.asnumpy()
        if self._target is not DeviceTarget.CPU:
            ms.runtime.synchronize()

    def evaluate(self, images: int | None) -> EvaluationResult:
        """Evaluate on the test set, or on as many whole batches as hold at least `images` images."""
        self._network.set_train(False)
        answers = ((self._network(batch).argmax(1), labels) for batch, labels in self._test)
        return evaluate(((answer.asnumpy(), labels.asnumpy()) for answer, labels in answers), images)

    def weights(self) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        """Iterate over the parameters' names and values."""
        for parameter in self._network.get_parameters():
            yield parameter.name, parameter.asnumpy().astype("<f4")

    def weights_sha256(self) -> str:
        """Return the digest of all parameters."""
        return weights_sha256(self.weights())

    def peak_memory_bytes(self) -> int | None:
        """Return VmHWM on CPU, where MindSpore's own counter is always 0; that counter elsewhere."""
        if self._target is not DeviceTarget.CPU:
            return int(ms.runtime.max_memory_allocated())
        return resident_peak_bytes()

    def close(self) -> None:
        """Do nothing: MindSpore releases the device when the process ends."""
