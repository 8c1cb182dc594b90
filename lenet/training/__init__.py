"""The trainer interface: what carries the workload out in one framework."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lenet.case import Case, Framework
from lenet.dataset import Dataset
from lenet.record import Software


class DeviceUnavailableError(RuntimeError):
    """The framework cannot use the device target here; the message says what is missing."""


@dataclass(frozen=True)
class Judgement:
    """What an evaluation counted."""

    images: int
    correct: int
    distinct_answers: int


class Trainer(Protocol):
    """One framework's way through the workload. A loss handle may still be in flight on the device."""

    software: Software

    def train_epoch(self) -> Iterator[Any]:
        """Train one pass over the training set, one step an item; the item is the step's loss handle."""

    def train_resident(self) -> Iterator[Any]:
        """Train on one batch that stays on the device, for ever; the item is the step's loss handle."""

    def read(self, losses: Sequence[Any]) -> list[float]:
        """The values of loss handles; returns only when the device has computed them."""

    def synchronize(self, loss: Any) -> None:
        """Return only when the device has done everything up to the step that gave `loss`."""

    def evaluate(self, images: int | None) -> Judgement:
        """Judge the test set, or as many whole batches as hold at least `images` test images."""

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
    """
    if case.framework is Framework.MINDSPORE:
        from lenet import devices
        from lenet.dataset.files import cache_folder

        devices.prepare(case.device_target, cache_folder())
        from lenet.training.mindspore import MindSporeTrainer

        return MindSporeTrainer(case, dataset)
    raise AssertionError(f"no trainer for {case.framework}")
