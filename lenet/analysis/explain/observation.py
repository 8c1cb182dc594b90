"""What is observed of a case that is explained: the time of a step and its parts, operators, kernels, limits."""

from __future__ import annotations

import statistics

from lenet.analysis.explain.account import StepAccount
from lenet.analysis.onednn import Kernel, Library
from lenet.cases.base import Frozen
from lenet.cases.case import Case
from lenet.workload.layers import bytes_per_step, training_flops


class Speed(Frozen):
    """Throughput of one variant: the median images per second of each of its processes."""

    rates: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median over the processes."""
        return statistics.median(self.rates)


class Operator(Frozen):
    """An operator in the framework's profiler, per step."""

    name: str
    calls: float
    milliseconds: float


class StepTimes(Frozen):
    """The time of a step of the measured process, in milliseconds, and how it uses the cores."""

    whole: float
    """With the data pipeline."""
    resident: float | None
    """On a batch that stays on the device; None if it was not measured."""
    cores_busy: float | None
    """Processor time over wall time."""
    system_share: float | None
    """Share of the processor time that the operating system took."""

    @property
    def data(self) -> float | None:
        """What the pipeline adds to a step: waiting and competition for cores together."""
        return None if self.resident is None else max(self.whole - self.resident, 0.0)


class Bounds(Frozen):
    """The limits of the machine, and the images per second that they would allow with this workload."""

    gflops: float
    gigabytes_per_second: float
    arithmetic: float
    """If every operation ran at the measured peak of matrix products."""
    memory: float
    """If every layer were one pass over memory, with nothing in a cache."""
    achieved_gflops: float

    @classmethod
    def of(cls, gflops: float, gigabytes_per_second: float, batch_size: int, images_per_second: float) -> Bounds:
        """The bounds of a machine with these measured limits."""
        return cls(
            gflops=gflops,
            gigabytes_per_second=gigabytes_per_second,
            arithmetic=gflops * 1e9 / training_flops(),
            memory=gigabytes_per_second * 1e9 * batch_size / bytes_per_step(batch_size),
            achieved_gflops=images_per_second * training_flops() / 1e9,
        )


class Observed(Frozen):
    """All observations of a case."""

    case: Case
    cores: int
    speed: Speed
    step: StepTimes
    account: StepAccount | None = None
    """None if the instruments failed."""
    operators: tuple[Operator, ...] = ()
    kernels: tuple[Kernel, ...] = ()
    library: Library = Library()
    bounds: Bounds | None = None
    """None for a device whose limits are not measured: those of the cores say nothing about a GPU."""
    caveats: tuple[str, ...] = ()
    """What could not be observed, and what makes the figures less reliable."""
