"""From what was seen of a step to findings in plain words, each with its evidence and what mending it gained.

In two passes, because a suspicion is worth a trial and only a trial is worth a finding: `suspicions` says what the
figures point at and which change would show it, the caller measures those, and `conclude` keeps what holds.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from lenet.analysis.onednn import Kernel
from lenet.cases.case import Case, DeviceTarget, Frozen, Mode, Pipeline, RuntimeProfile
from lenet.cases.frameworks import Framework
from lenet.workload.layers import bytes_per_step, training_flops

GAIN_AT_LEAST = 1.2
"""A change that gains less explains nothing."""
PIPELINE_SHARE = 0.25
OUTSIDE_SHARE = 0.5
"""Shares of a step from which the pipeline, or what is no operator, is called out."""
MODE_FACTOR = 1.5
"""A whole-step jit is called slow when Graph mode does that many times its throughput."""

Key = Literal["reference-kernel", "launch-starves-kernels", "jit-slower-than-graph", "pipeline", "outside-operators"]


class Speed(Frozen):
    """Throughput of one variant: a median, in images a second, from each of its processes."""

    rates: tuple[float, ...]

    @property
    def median(self) -> float:
        """Over the processes."""
        return statistics.median(self.rates)


class TriedChange(Frozen):
    """A change that was tried: both variants measured in turn."""

    change: str
    """The setting, as `--profile` or `--mode` takes it."""
    before: Speed
    after: Speed

    @property
    def gain(self) -> float:
        """Throughput with the change over that without."""
        return self.after.median / self.before.median

    @property
    def holds(self) -> bool:
        """Whether every process with the change beats every one without."""
        return min(self.after.rates) > max(self.before.rates)

    @property
    def words(self) -> str:
        """The trial in a sentence."""
        count = len(self.after.rates)
        verdict = "" if self.holds else "; within the noise"
        return (
            f"tried {self.change}: {self.before.median:,.0f} to {self.after.median:,.0f} images/s, "
            f"{self.gain:,.2f} times ({count} process{'es' if count > 1 else ''} each, in turn{verdict})"
        )


class Operator(Frozen):
    """An operator by the framework's profiler, a step."""

    name: str
    calls: float
    milliseconds: float


class StepTimes(Frozen):
    """Where a step's time goes, in milliseconds. The first two are of steps without instruments."""

    whole: float
    """With the data pipeline."""
    resident: float | None
    """On a batch that stays on the device; None where that was not measured."""
    host: float | None
    """Until the call of a resident step returned to Python."""
    operators: float | None
    """In operators, by the profiler; by oneDNN's log alone where there is no profiler."""
    instrumented: float | None
    """A whole step while the operators were watched: how far the instrument slowed it."""
    cores_busy: float | None
    """Processor time over wall time of resident steps."""
    system_share: float | None
    """Share of the processor time that the operating system took."""

    @property
    def data(self) -> float | None:
        """What the pipeline adds to a step, waiting and competition for cores together."""
        return None if self.resident is None else max(self.whole - self.resident, 0.0)

    @property
    def outside(self) -> float | None:
        """Of a resident step, what is in no operator: Python, launching, waiting for one another."""
        if self.resident is None or self.operators is None:
            return None
        return max(self.resident - self.operators, 0.0)


class Library(Frozen):
    """oneDNN as it named itself in its log."""

    version: str | None = None
    instruction_set: str | None = None
    threads: int | None = None


class Bounds(Frozen):
    """What the machine could do at best with this workload, in images a second."""

    gflops: float
    gigabytes_per_second: float
    arithmetic: float
    """Were every operation at the measured peak of matrix products."""
    memory: float
    """Were every layer one pass over memory, nothing kept in a cache."""
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
    """All that was seen of a case."""

    case: Case
    cores: int
    speed: Speed
    step: StepTimes
    operators: tuple[Operator, ...] = ()
    kernels: tuple[Kernel, ...] = ()
    library: Library = Library()
    bounds: Bounds
    caveats: tuple[str, ...] = ()
    """What could not be observed, and what makes the figures worth less."""


class Change(Frozen):
    """What a trial changes: the profile, the mode or the pipeline, all else equal."""

    profile: RuntimeProfile | None = None
    mode: Mode | None = None
    pipeline: Pipeline | None = None

    def apply(self, case: Case) -> Case:
        """The case with the change."""
        return case.model_copy(update={name: value for name, value in self if value is not None})


class Suspicion(Frozen):
    """What the figures point at; `change` would show it."""

    key: Key
    title: str
    evidence: tuple[str, ...]
    change: Change | None = None
    change_words: str = ""


class SpeedFinding(Frozen):
    """Something that explains the speed."""

    key: Key
    title: str
    evidence: tuple[str, ...]
    trial: TriedChange | None = None

    @property
    def remedy(self) -> str | None:
        """The change that mends it, where one was tried and gained."""
        return self.trial.change if self.trial and self.trial.holds and self.trial.gain >= GAIN_AT_LEAST else None


class Explanation(Frozen):
    """The whole answer."""

    observed: Observed
    findings: tuple[SpeedFinding, ...]


def suspicions(observed: Observed) -> list[Suspicion]:
    """What the figures point at, with the change that would show it."""
    found = [
        *_reference_kernels(observed),
        *_starving_launch(observed),
        *_slow_jit(observed),
        *_pipeline(observed),
        *_outside(observed),
    ]
    return list(found)


def conclude(
    suspected: Iterable[Suspicion],
    trials: Mapping[Key, TriedChange],
    remedied: Mapping[Key, Sequence[Kernel]],
    before: Observed,
) -> list[SpeedFinding]:
    """The findings that hold, those first whose mending gained most.

    `trials` are those that could be measured; `remedied` are oneDNN's kernels with the change, where they were watched.
    """
    found = []
    for each in suspected:
        trial = trials.get(each.key)
        gained = trial is not None and trial.holds and trial.gain >= GAIN_AT_LEAST
        if each.key == "launch-starves-kernels" and not gained:
            continue
        if each.key == "jit-slower-than-graph" and not (gained and trial and trial.gain >= MODE_FACTOR):
            continue
        evidence = [*each.evidence, *_kernels_changed(before.kernels, remedied.get(each.key, ()))]
        found.append(SpeedFinding(key=each.key, title=each.title, evidence=tuple(evidence), trial=trial))
    return sorted(found, key=lambda each: each.trial.gain if each.remedy and each.trial else 0.0, reverse=True)


def _with(case: Case, **settings: object) -> RuntimeProfile:
    values = {**case.profile.settings, **settings}
    profile = RuntimeProfile.model_validate(values)
    return profile.model_copy(update={"name": profile.text.lower()})


def _reference_kernels(observed: Observed) -> list[Suspicion]:
    slow = [kernel for kernel in observed.kernels if kernel.is_reference]
    if not slow:
        return []
    total = sum(kernel.milliseconds for kernel in observed.kernels)
    share = sum(kernel.milliseconds for kernel in slow) / total if total else 0.0
    evidence = []
    for kernel in slow:
        words = (
            f"{kernel.implementation} ran {kernel.operator} {kernel.direction}: {kernel.milliseconds:,.2f} ms a step"
        )
        if kernel.gflops is not None:
            percent = 100 * kernel.gflops / observed.bounds.gflops
            words += f", {kernel.gflops:,.1f} GFLOP/s, {percent:.1f} % of this machine's matrix product"
        evidence.append(words)
    library = observed.library
    evidence.append(
        f"they take {share:.0%} of oneDNN's time; oneDNN {library.version or 'of unknown version'} runs for "
        f"{library.instruction_set or 'an instruction set that it does not name'}"
    )
    change = None
    avx512 = "avx-512" in (library.instruction_set or "").lower() or "avx512" in (library.instruction_set or "").lower()
    if avx512 and observed.case.profile.onednn_isa is None:
        change = Change(profile=_with(observed.case, onednn_isa="AVX2"))
    return [
        Suspicion(
            key="reference-kernel",
            title="oneDNN ran its reference implementation, a plain loop that is there to be right and not to be fast",
            evidence=tuple(evidence),
            change=change,
            change_words="--profile onednn_isa=AVX2" if change else "",
        )
    ]


def _starving_launch(observed: Observed) -> list[Suspicion]:
    case = observed.case
    eager = case.framework is Framework.MINDSPORE and case.mode is not Mode.GRAPH
    if not eager or case.device_target is not DeviceTarget.CPU or case.profile.launch_blocking:
        return []
    evidence = [f"{case.mode.label} launches operators asynchronously, from threads that compete with the kernels'"]
    step = observed.step
    if step.cores_busy is not None and step.system_share is not None:
        evidence.append(
            f"{step.cores_busy:.1f} of {observed.cores} cores were busy, {step.system_share:.0%} of that inside the "
            "operating system: threads that yield to one another instead of computing"
        )
    return [
        Suspicion(
            key="launch-starves-kernels",
            title="the asynchronous launch starves the kernels of cores",
            evidence=tuple(evidence),
            change=Change(profile=_with(case, launch_blocking=True)),
            change_words="--profile launch_blocking",
        )
    ]


def _slow_jit(observed: Observed) -> list[Suspicion]:
    case = observed.case
    if case.framework is not Framework.MINDSPORE or case.mode is not Mode.JIT:
        return []
    return [
        Suspicion(
            key="jit-slower-than-graph",
            title="the whole step as one @ms.jit function is much slower than the same step in Graph mode",
            evidence=("both are compiled from the same functional step; nothing else differs between the two",),
            change=Change(mode=Mode.GRAPH),
            change_words="--mode graph",
        )
    ]


def _pipeline(observed: Observed) -> list[Suspicion]:
    step = observed.step
    if step.data is None or step.data < PIPELINE_SHARE * step.whole:
        return []
    cached = observed.case.pipeline is Pipeline.CACHED
    return [
        Suspicion(
            key="pipeline",
            title="the data pipeline takes time from the training",
            evidence=(
                f"a step takes {step.whole:,.2f} ms with the pipeline and {step.resident:,.2f} ms on a batch that "
                f"stays on the device: {step.data / step.whole:.0%} of the step is the pipeline's",
            ),
            change=None if cached else Change(pipeline=Pipeline.CACHED),
            change_words="" if cached else "--pipeline cached",
        )
    ]


def _outside(observed: Observed) -> list[Suspicion]:
    step = observed.step
    if step.outside is None or step.resident is None or step.outside < OUTSIDE_SHARE * step.resident:
        return []
    change = None
    profile = observed.case.profile
    if observed.cores > 1 and profile.operator_threads is None and observed.case.device_target is DeviceTarget.CPU:
        change = Change(profile=_with(observed.case, operator_threads=1))
    return [
        Suspicion(
            key="outside-operators",
            title="most of a step is in no operator: it is Python, launching, and threads waiting for one another",
            evidence=(
                f"operators take {step.operators:,.2f} ms of the {step.resident:,.2f} ms of a step on a resident batch",
                "LeNet's operators are small: a larger batch spreads the same launches over more images",
            ),
            change=change,
            change_words="--profile operator_threads=1" if change else "",
        )
    ]


def _kernels_changed(before: Sequence[Kernel], after: Sequence[Kernel]) -> list[str]:
    """What the same primitives took with the change, in a sentence; nothing where one of the two was not watched."""
    if not before or not after:
        return []
    slow, fast = (sum(kernel.milliseconds for kernel in each) for each in (before, after))
    return [f"oneDNN's primitives took {slow:,.2f} ms a step, and {fast:,.2f} ms with the change"]
