"""Suspected causes of a slow step: what the observations point at, and the change whose effect would confirm it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from lenet.analysis.explain.account import DATA, KERNELS
from lenet.analysis.explain.observation import Observed
from lenet.cases.case import Case
from lenet.cases.frameworks import Framework
from lenet.cases.profile import RuntimeProfile
from lenet.cases.values import GRAPH_MODES, DeviceTarget, Mode, Pipeline

PIPELINE_SHARE = 0.25
"""The share of a step from which the pipeline is suspected: by the clock, or by a batch that stays on the device."""
OUTSIDE_SHARE = 0.5
"""The share of a step without its data wait in which no operator runs, from which that time is suspected."""

Key = Literal["reference-kernel", "launch-starves-kernels", "jit-slower-than-graph", "pipeline", "outside-operators"]


@dataclass(frozen=True)
class Change:
    """A change of a case with all else equal: settings added to its profile, or another value of one axis."""

    settings: str = ""
    """Settings of a profile, as `onednn_isa=AVX2`."""
    mode: Mode | None = None
    pipeline: Pipeline | None = None

    def apply(self, case: Case) -> Case:
        """The case with the change."""
        update: dict[str, object] = {}
        if self.settings:
            update["profile"] = case.profile.with_settings(RuntimeProfile.parse(self.settings))
        if self.mode is not None:
            update["mode"] = self.mode
        if self.pipeline is not None:
            update["pipeline"] = self.pipeline
        return case.model_copy(update=update)


def changed(case: Case, changes: Iterable[Change]) -> Case:
    """The case with all changes."""
    for change in changes:
        case = change.apply(case)
    return case


def options(changes: Sequence[Change]) -> str:
    """The options that make all changes, as `--mode graph --profile onednn_isa=AVX2+launch_blocking`."""
    words = [f"--mode {each.mode.value}" for each in changes if each.mode is not None]
    words += [f"--pipeline {each.pipeline.value}" for each in changes if each.pipeline is not None]
    if settings := "+".join(each.settings for each in changes if each.settings):
        words.append(f"--profile {settings}")
    return " ".join(words)


@dataclass(frozen=True)
class Suspicion:
    """A suspected cause; the effect of `change` would confirm it."""

    key: Key
    title: str
    evidence: tuple[str, ...]
    change: Change | None = None
    control: Change | None = None
    """Is tried beside it, and never a fix: its effect tells the cause from another that would look the same."""


def suspicions(observed: Observed) -> list[Suspicion]:
    """The suspected causes of the case's speed."""
    causes = (_reference_kernels, _starving_launch, _slow_jit, _pipeline, _outside)
    return [suspicion for cause in causes if (suspicion := cause(observed)) is not None]


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
        if kernel.gflops is not None and observed.bounds is not None:
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
        Change("onednn_isa=AVX2") if avx512 and not capped else None,
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
        Change("launch_blocking"),
    )


def _slow_jit(observed: Observed) -> Suspicion | None:
    case = observed.case
    if case.framework is not Framework.MINDSPORE or case.mode is not Mode.JIT:
        return None
    return Suspicion(
        "jit-slower-than-graph",
        "the whole step as one @ms.jit function is slower than the same step in Graph mode",
        ("both are compiled from the same functional step; nothing else differs between the two",),
        Change(mode=Mode.GRAPH),
        # It compiles the whole step too, optimiser included; in one process only.
        Change(mode=Mode.MODEL) if case.world_size == 1 else None,
    )


def _pipeline(observed: Observed) -> Suspicion | None:
    step, account = observed.step, observed.account
    evidence = []
    if step.data is not None and step.data >= PIPELINE_SHARE * step.whole:
        evidence.append(
            f"a step takes {step.whole:,.2f} ms with the pipeline and {step.resident:,.2f} ms on a batch that stays on "
            f"the device: {step.data / step.whole:.0%} of the step is the pipeline's"
        )
    if account is not None and account.share(DATA) >= PIPELINE_SHARE:
        evidence.append(f"{account.share(DATA):.0%} of a step is waiting for its batch")
    if not evidence:
        return None
    cached = observed.case.pipeline is Pipeline.CACHED
    return Suspicion(
        "pipeline",
        "the data pipeline takes time from the training",
        tuple(evidence),
        None if cached else Change(pipeline=Pipeline.CACHED),
    )


def _outside(observed: Observed) -> Suspicion | None:
    account, case = observed.account, observed.case
    if account is None or (kernels := account.part(KERNELS)) is None:
        return None
    computing = account.sum - (account.part(DATA) or 0.0)
    outside = computing - kernels
    if outside < OUTSIDE_SHARE * computing:
        return None
    many = observed.cores > 1 and case.profile.operator_threads is None and case.device_target is DeviceTarget.CPU
    return Suspicion(
        "outside-operators",
        "most of a step is in no operator: it is Python, launching, and threads waiting for one another",
        (
            f"no operator runs for {outside:,.2f} ms of the {computing:,.2f} ms of a step that has its batch",
            "LeNet's operators are small: a larger batch spreads the same launches over more images",
        ),
        Change("operator_threads=1") if many else None,
    )
