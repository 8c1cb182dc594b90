"""Suspected causes of a slow step: what the observations point at, and the change whose effect would confirm it."""

from __future__ import annotations

from typing import Literal

from lenet.analysis.explain.observation import Observed
from lenet.cases.base import Frozen
from lenet.cases.case import Case
from lenet.cases.frameworks import Framework
from lenet.cases.profile import RuntimeProfile
from lenet.cases.values import DeviceTarget, Mode, Pipeline

PIPELINE_SHARE = 0.25
"""The share of a step from which the pipeline is suspected."""
OUTSIDE_SHARE = 0.5
"""The share of a resident step outside operators from which that time is suspected."""

Key = Literal["reference-kernel", "launch-starves-kernels", "jit-slower-than-graph", "pipeline", "outside-operators"]


class Change(Frozen):
    """A change of the profile, the mode or the pipeline, with all else equal."""

    profile: RuntimeProfile | None = None
    mode: Mode | None = None
    pipeline: Pipeline | None = None

    def apply(self, case: Case) -> Case:
        """The case with the change."""
        return case.model_copy(update={name: value for name, value in self if value is not None})


class Suspicion(Frozen):
    """A suspected cause; the effect of `change` would confirm it."""

    key: Key
    title: str
    evidence: tuple[str, ...]
    change: Change | None = None
    change_words: str = ""


def suspicions(observed: Observed) -> list[Suspicion]:
    """The suspected causes of the case's speed."""
    return [
        *_reference_kernels(observed),
        *_starving_launch(observed),
        *_slow_jit(observed),
        *_pipeline(observed),
        *_outside(observed),
    ]


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
    change = None
    if (
        "avx512" in (library.instruction_set or "").lower().replace("-", "")
        and observed.case.profile.onednn_isa is None
    ):
        change = Change(profile=_with(observed.case, onednn_isa="AVX2"))
    return [
        Suspicion(
            key="reference-kernel",
            title="oneDNN ran its reference implementation, a loop written to be correct, not to be fast",
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
