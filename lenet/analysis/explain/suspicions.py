"""Suspected causes of a slow step: what the observations point at, and the change whose effect would confirm it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lenet.analysis.explain.observation import Observed
from lenet.cases.case import Case
from lenet.cases.frameworks import Framework
from lenet.cases.profile import RuntimeProfile
from lenet.cases.values import GRAPH_MODES, DeviceTarget, Mode, Pipeline

PIPELINE_SHARE = 0.25
"""The share of a step from which the pipeline is suspected."""
OUTSIDE_SHARE = 0.5
"""The share of a resident step outside operators from which that time is suspected."""

Key = Literal["reference-kernel", "launch-starves-kernels", "jit-slower-than-graph", "pipeline", "outside-operators"]


@dataclass(frozen=True)
class Change:
    """A change of one field of a case, with all else equal."""

    option: str
    """The option that makes it, as `--mode graph`."""
    fields: Mapping[str, Any]

    def apply(self, case: Case) -> Case:
        """The case with the change."""
        return case.model_copy(update=self.fields)


@dataclass(frozen=True)
class Suspicion:
    """A suspected cause; the effect of `change` would confirm it."""

    key: Key
    title: str
    evidence: tuple[str, ...]
    change: Change | None = None


def suspicions(observed: Observed) -> list[Suspicion]:
    """The suspected causes of the case's speed."""
    causes = (_reference_kernels, _starving_launch, _slow_jit, _pipeline, _outside)
    return [suspicion for cause in causes if (suspicion := cause(observed)) is not None]


def _setting(case: Case, text: str) -> Change:
    """A setting of the profile, added to those that the case has."""
    return Change(f"--profile {text}", {"profile": case.profile.with_settings(RuntimeProfile.parse(text))})


def _reference_kernels(observed: Observed) -> Suspicion | None:
    slow = [kernel for kernel in observed.kernels if kernel.is_reference]
    if not slow:
        return None
    total = sum(kernel.milliseconds for kernel in observed.kernels)
    share = sum(kernel.milliseconds for kernel in slow) / total if total else 0.0
    evidence = []
    for kernel in slow:
        words = (
            f"{kernel.implementation} ran {kernel.operator} {kernel.direction}: {kernel.milliseconds:,.2f} ms per step"
        )
        if kernel.gflops is not None:
            percent = 100 * kernel.gflops / observed.bounds.gflops
            words += f", {kernel.gflops:,.1f} GFLOP/s, {percent:.1f}% of this machine's matrix product"
        evidence.append(words)
    library = observed.library
    evidence.append(
        f"they take {share:.0%} of oneDNN's time; oneDNN {library.version or 'of unknown version'} runs for "
        f"{library.instruction_set or 'an instruction set that it does not name'}"
    )
    avx512 = "avx512" in (library.instruction_set or "").lower().replace("-", "")
    capped = observed.case.profile.onednn_isa is not None
    return Suspicion(
        "reference-kernel",
        "oneDNN ran its reference implementation, a loop written to be correct, not to be fast",
        tuple(evidence),
        _setting(observed.case, "onednn_isa=AVX2") if avx512 and not capped else None,
    )


def _starving_launch(observed: Observed) -> Suspicion | None:
    case = observed.case
    eager = case.framework is Framework.MINDSPORE and case.mode not in GRAPH_MODES
    if not eager or case.device_target is not DeviceTarget.CPU or case.profile.launch_blocking:
        return None
    evidence = [f"{case.mode.label} launches operators asynchronously, from threads that compete with the kernels'"]
    step = observed.step
    if step.cores_busy is not None and step.system_share is not None:
        evidence.append(
            f"{step.cores_busy:.1f} of {observed.cores} cores were busy, {step.system_share:.0%} of that inside the "
            "operating system: threads that yield to one another instead of computing"
        )
    return Suspicion(
        "launch-starves-kernels",
        "the asynchronous launch starves the kernels of cores",
        tuple(evidence),
        _setting(case, "launch_blocking"),
    )


def _slow_jit(observed: Observed) -> Suspicion | None:
    case = observed.case
    if case.framework is not Framework.MINDSPORE or case.mode is not Mode.JIT:
        return None
    return Suspicion(
        "jit-slower-than-graph",
        "the whole step as one @ms.jit function is much slower than the same step in Graph mode",
        ("both are compiled from the same functional step; nothing else differs between the two",),
        Change("--mode graph", {"mode": Mode.GRAPH}),
    )


def _pipeline(observed: Observed) -> Suspicion | None:
    step = observed.step
    if step.data is None or step.data < PIPELINE_SHARE * step.whole:
        return None
    cached = observed.case.pipeline is Pipeline.CACHED
    return Suspicion(
        "pipeline",
        "the data pipeline takes time from the training",
        (
            f"a step takes {step.whole:,.2f} ms with the pipeline and {step.resident:,.2f} ms on a batch that stays on "
            f"the device: {step.data / step.whole:.0%} of the step is the pipeline's",
        ),
        None if cached else Change("--pipeline cached", {"pipeline": Pipeline.CACHED}),
    )


def _outside(observed: Observed) -> Suspicion | None:
    step, case = observed.step, observed.case
    if step.outside is None or step.resident is None or step.outside < OUTSIDE_SHARE * step.resident:
        return None
    many = observed.cores > 1 and case.profile.operator_threads is None and case.device_target is DeviceTarget.CPU
    return Suspicion(
        "outside-operators",
        "most of a step is in no operator: it is Python, launching, and threads waiting for one another",
        (
            f"operators take {step.operators:,.2f} ms of the {step.resident:,.2f} ms of a step on a resident batch",
            "LeNet's operators are small: a larger batch spreads the same launches over more images",
        ),
        _setting(case, "operator_threads=1") if many else None,
    )
