"""The same workload in PyTorch, from the same initial weights and on the same batches as in MindSpore.

In mode `eager` operators run one by one. In mode `compile` the network is compiled by `torch.compile`: one function is
its forward pass and another its backward pass; loss function and optimiser stay eager, as in PyTorch's tutorials.

The two share no arithmetic, so that equal loss traces show that both trainings are correct. PyTorch's SGD with momentum
and without dampening is MindSpore's Momentum: v = momentum v + g, then w = w - learning_rate v.
"""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from lenet.cases.case import Case, DeviceTarget, Mode, RuntimeProfile
from lenet.dataset import Dataset
from lenet.store.record import Software
from lenet.training import BatchObserver, DeviceUnavailableError, resident_peak_bytes
from lenet.training.pipeline import Batches
from lenet.workload.batches import Batch, evaluation_pass, training_pass
from lenet.workload.evaluation import EvaluationResult, evaluate
from lenet.workload.initial import initial_weights, weights_sha256


class TorchLeNet(nn.Module):  # type: ignore[misc]
    """Maps float32 images (N, 1, 32, 32) to logits (N, 10). The parameters have MindSpore's names."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 6, 5, bias=False),
            nn.ReLU(),
            nn.MaxPool2d(2, 2),
            nn.Conv2d(6, 16, 5, bias=False),
            nn.ReLU(),
            nn.MaxPool2d(2, 2),
            nn.Flatten(),
            nn.Linear(400, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, 10),
        )

    def forward(self, images: Any) -> Any:
        """Run the forward pass."""
        return self.layers(images)


COMPILERS = {
    "cpu": "a C++ compiler such as g++ and Python's header files",
    "cuda": "Triton, a C compiler such as gcc and Python's header files",
}
"""What `torch.compile` needs, by the type of the device."""


def apply_profile(profile: RuntimeProfile) -> None:
    """Apply the settings that PyTorch takes by function calls. On CPU its eager operators always block."""
    if profile.operator_threads is not None:
        torch.set_num_threads(profile.operator_threads)
    if profile.dispatch_threads is not None:
        torch.set_num_interop_threads(profile.dispatch_threads)
    if profile.launch_blocking:
        os.environ["CUDA_LAUNCH_BLOCKING"] = "1"  # CUDA reads it when it is first used


def choose_device(target: DeviceTarget) -> Any:
    """Open PyTorch's device for `target` and return it.

    Raises:
        DeviceUnavailableError: PyTorch cannot use it here.
    """
    if target is DeviceTarget.CPU:
        return torch.device("cpu")
    lacking = None
    if torch.version.cuda is None:
        lacking = "this build of PyTorch has no CUDA: install one that has"
    else:
        try:
            device = torch.device("cuda", 0)
            torch.zeros(1, device=device).add_(1).item()
        except RuntimeError as error:
            lacking = " ".join(str(error).split())[:300]
    if lacking is not None:
        raise DeviceUnavailableError(f"PyTorch {torch.__version__} cannot use {target.value} here: {lacking}")
    # TF32 off: float32 is float32 on every device target.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    return device


def compiled(network: Any, device: Any) -> tuple[Any, tempfile.TemporaryDirectory[str]]:
    """Return the network compiled, and the folder of what the compiler writes, which must outlive it.

    The folder is new, so that compilation takes as long in the second process as in the first.

    Raises:
        DeviceUnavailableError: PyTorch cannot compile here, for lack of what `COMPILERS` names.
    """
    folder = tempfile.TemporaryDirectory(prefix="lenet-bench-compile-", ignore_cleanup_errors=True)
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder.name
    # On a GPU Triton compiles some code before Inductor gives it a folder of its own.
    os.environ["TRITON_CACHE_DIR"] = f"{folder.name}/triton"
    # One thread: the functions are few, and a pool of compiling processes would live as long as the worker.
    options = {"compile_threads": 1}
    try:
        torch.compile(torch.sin, options=options)(torch.ones(8, device=device))
    except RuntimeError as error:
        folder.cleanup()
        why = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise DeviceUnavailableError(
            f"PyTorch {torch.__version__} cannot compile here, it needs {COMPILERS[device.type]}: {why[:300]}"
        ) from error
    return torch.compile(network, options=options), folder


def _arrays(images: Any, labels: Any) -> tuple[Any, Any]:
    return images.cpu().numpy(), labels.cpu().numpy().astype(np.int32)


class TorchTrainer:
    """The trainer for CPU and CUDA."""

    def __init__(self, case: Case, dataset: Dataset) -> None:
        hyper = case.hyperparameters
        apply_profile(case.profile)
        self._device = choose_device(case.device_target)
        self._network = TorchLeNet()
        start = {name: torch.from_numpy(value) for name, value in initial_weights(hyper.seed).items()}
        self._network.load_state_dict(start)
        self._network.to(self._device)
        self._forward: Any = self._network
        if case.mode is Mode.COMPILE:
            self._forward, self._compiler_folder = compiled(self._network, self._device)
        self._loss = nn.CrossEntropyLoss()
        self._optimizer = torch.optim.SGD(self._network.parameters(), lr=hyper.learning_rate, momentum=hyper.momentum)
        training = training_pass(dataset.folder, hyper.batch_size, hyper.seed)
        test = evaluation_pass(dataset.folder, hyper.batch_size, hyper.seed)
        self._training = Batches(lambda: map(self._placed, training()), case.pipeline)
        self._test = Batches(lambda: map(self._placed, test()), case.pipeline)
        self.software = self._software()

    def _software(self) -> Software:
        details = {
            "device": torch.cuda.get_device_name(self._device) if self._on_gpu else "CPU",
            "operator_threads": str(torch.get_num_threads()),
            "dispatch_threads": str(torch.get_num_interop_threads()),
            "precision": "float32",  # `choose_device` turns TF32 off
        }
        if self._on_gpu:
            details |= {"cuda": str(torch.version.cuda), "cudnn": str(torch.backends.cudnn.version())}
        return Software(
            framework_version=torch.__version__,
            python_version=platform.python_version(),
            numpy_version=np.__version__,
            details=details,
        )

    @property
    def _on_gpu(self) -> bool:
        return bool(self._device.type == "cuda")

    def _placed(self, batch: Batch) -> tuple[Any, Any]:
        """The batch as tensors on the device; on CPU they share the arrays' memory."""
        images, labels = batch
        return torch.from_numpy(images).to(self._device), torch.from_numpy(labels).to(self._device)

    def _step(self, images: Any, labels: Any) -> Any:
        self._optimizer.zero_grad(set_to_none=True)
        loss = self._loss(self._forward(images), labels)
        loss.backward()
        self._optimizer.step()
        return loss.detach()

    def train_epoch(self, observe: BatchObserver | None = None) -> Iterator[Any]:
        """Train one pass over the training set."""
        self._network.train()
        for images, labels in self._training:
            if observe is not None:
                observe(partial(_arrays, images, labels))
            yield self._step(images, labels)

    def train_resident(self) -> Iterator[Any]:
        """Train without end on the first batch."""
        self._network.train()
        images, labels = next(iter(self._training))
        while True:
            yield self._step(images, labels)

    def read(self, losses: Sequence[Any]) -> list[float]:
        """Return loss values, in one copy from the device."""
        return [float(value) for value in torch.stack(list(losses)).tolist()]

    def synchronize(self, loss: Any) -> None:
        """Wait for CUDA. On CPU every operator has finished when it returns."""
        if self._on_gpu:
            torch.cuda.synchronize(loss.device)

    def evaluate(self, images: int | None) -> EvaluationResult:
        """Evaluate on the test set, or on as many whole batches as hold at least `images` images; always eager."""
        self._network.eval()
        with torch.no_grad():
            answers = ((self._network(batch).argmax(1), labels) for batch, labels in self._test)
            return evaluate(((answer.cpu().numpy(), labels.cpu().numpy()) for answer, labels in answers), images)

    def weights(self) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        """Iterate over the parameters' names and values."""
        for name, value in self._network.named_parameters():
            yield name, value.detach().cpu().numpy()

    def weights_sha256(self) -> str:
        """Return the digest of all parameters."""
        return weights_sha256(self.weights())

    def peak_memory_bytes(self) -> int | None:
        """Return VmHWM on CPU, PyTorch's peak of allocated device memory on CUDA."""
        return int(torch.cuda.max_memory_allocated(self._device)) if self._on_gpu else resident_peak_bytes()

    def close(self) -> None:
        """Do nothing: PyTorch releases the device when the process ends."""
