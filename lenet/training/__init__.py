"""The trainer interface: how the worker runs the workload in one framework."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lenet.cases.case import Case
from lenet.cases.frameworks import ABILITIES, Framework
from lenet.dataset import Dataset
from lenet.store.record import Software
from lenet.workload.evaluation import EvaluationResult


class DeviceUnavailableError(RuntimeError):
    """The framework cannot use the device target here; the message says what is missing."""


BatchArrays = Callable[[], tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]]
"""Copies a batch to the host: images (N, 1, 32, 32) and labels (N,)."""
BatchObserver = Callable[[BatchArrays], None]
"""Called before a step; its argument copies the step's batch, which takes time."""


class Trainer(Protocol):
    """The workload in one framework, for one case. A loss handle may still be in flight on the device."""

    software: Software

    def train_epoch(self, observe: BatchObserver | None = None) -> Iterator[Any]:
        """Train one pass over the training set; an item is the loss handle of the step that was just made."""

    def train_resident(self) -> Iterator[Any]:
        """Train without end on one batch that stays on the device; an item is the step's loss handle."""

    def read(self, losses: Sequence[Any]) -> list[float]:
        """Return the values of loss handles, once the device has computed them."""

    def synchronize(self, loss: Any) -> None:
        """Wait until the device has finished everything up to the step of `loss`."""

    def evaluate(self, images: int | None) -> EvaluationResult:
        """Evaluate on the test set, or on as many whole batches as hold at least `images` images."""

    def weights(self) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        """Iterate over the parameters' names and little-endian float32 values, in the network's order."""

    def weights_sha256(self) -> str:
        """Return the digest of `weights`, as `lenet.workload.initial.weights_sha256` computes it."""

    def peak_memory_bytes(self) -> int | None:
        """Return the peak resident memory of this process on CPU, the peak device memory elsewhere."""

    def close(self) -> None:
        """Release the device."""


def build(case: Case, dataset: Dataset) -> Trainer:
    """Import the case's framework and build its trainer.

    Raises:
        DeviceUnavailableError: the device target cannot be used on this machine.
        ModuleNotFoundError: the framework is not installed.
    """
    from lenet.files.cache import cache_folder
    from lenet.machine import devices
    from lenet.machine.platforms import wrong_wheel

    if case.framework is Framework.MINDSPORE:
        if problem := wrong_wheel():
            raise DeviceUnavailableError(problem)
        devices.prepare(case.device_target, cache_folder())
    module, _, name = ABILITIES[case.framework].trainer.partition(":")
    trainer: Trainer = getattr(import_module(module), name)(case, dataset)
    return trainer


def resident_peak_bytes() -> int | None:
    """Return the peak resident memory of this process (VmHWM); None on a system that does not report it."""
    if sys.platform != "linux":
        return None
    # Not ru_maxrss, which an exec inherits from a larger parent.
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None
