"""The trainer interface: what carries the workload out in one framework."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lenet.cases.case import Case
from lenet.cases.frameworks import ABILITIES, Framework
from lenet.dataset import Dataset
from lenet.store.record import Software


class DeviceUnavailableError(RuntimeError):
    """The framework cannot use the device target here; the message says what is missing."""


@dataclass(frozen=True)
class Judgement:
    """What an evaluation counted."""

    images: int
    correct: int
    distinct_answers: int


Look = Callable[[npt.NDArray[np.float32], npt.NDArray[np.int32]], None]
"""Is shown a batch before its step: images (N, 1, 32, 32) and labels (N,)."""


class Trainer(Protocol):
    """One framework's way through the workload. A loss handle may still be in flight on the device."""

    software: Software

    def train_epoch(self, look: Look | None = None) -> Iterator[Any]:
        """Train one pass over the training set, one step an item; the item is the step's loss handle."""

    def train_resident(self) -> Iterator[Any]:
        """Train on one batch that stays on the device, for ever; the item is the step's loss handle."""

    def read(self, losses: Sequence[Any]) -> list[float]:
        """The values of loss handles; returns only when the device has computed them."""

    def synchronize(self, loss: Any) -> None:
        """Return only when the device has done everything up to the step that gave `loss`."""

    def evaluate(self, images: int | None) -> Judgement:
        """Judge the test set, or as many whole batches as hold at least `images` test images."""

    def weights(self) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        """Every parameter's name and little-endian float32 values, in the network's order."""

    def weights_sha256(self) -> str:
        """Digest over every parameter's name, shape and little-endian float32 bytes, in the network's order."""

    def peak_memory_bytes(self) -> int | None:
        """Peak resident memory of this process on CPU, peak device memory elsewhere."""

    def close(self) -> None:
        """Give the device back."""


def build(case: Case, dataset: Dataset) -> Trainer:
    """The trainer of the case's framework, built and ready; the framework is imported here and not before.

    Raises:
        DeviceUnavailableError: the device target cannot be used on this machine.
        ModuleNotFoundError: the framework is not installed.
    """
    from lenet.files.cache import cache_folder
    from lenet.machine import devices

    if case.framework is Framework.MINDSPORE:
        devices.prepare(case.device_target, cache_folder())
    module, _, name = ABILITIES[case.framework].trainer.partition(":")
    trainer: Trainer = getattr(import_module(module), name)(case, dataset)
    return trainer


def resident_peak_bytes() -> int | None:
    """Peak resident memory of this process (VmHWM); None where the system does not tell."""
    if sys.platform != "linux":
        return None
    # ru_maxrss would be inherited over exec from a parent that was larger.
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None
