"""Whether a case that was run again confirms its record: a verdict on each claim, with its figures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from enum import Enum

from lenet.analysis.stability import FOREIGN_SHARE
from lenet.analysis.traces import compare
from lenet.analysis.variables import differing
from lenet.cases.case import Frozen
from lenet.store.manifest import Manifest
from lenet.store.proof import TrainingProof, TrainingStatus
from lenet.store.record import Evaluation, Record, Status

MARGIN = 0.01
"""Two accuracies are equal if they differ by less than one percentage point."""

CONFIDENCE = 0.90
"""Of the interval of the difference: a 90% interval inside the margin is a TOST at 5%."""

TRACE_STEPS = 50
TRACE_TOLERANCE = 1e-3
"""Relative, over the first steps. Rounding differs between processors and versions and grows with every step: later
losses diverge in any two trainings that are not equal to the last bit."""

LARGEST_RATIO = 1.25
"""Largest ratio of the throughputs of two processes of one case on one machine."""


class Verdict(str, Enum):
    """Whether a claim is confirmed."""

    YES = "yes"
    NO = "no"
    CANNOT_TELL = "cannot tell"


class Claim(Frozen):
    """One claim of a record and the verdict on it."""

    case_id: str
    name: str
    verdict: Verdict
    figures: str


def claims(
    then: Record,
    now: Record,
    then_losses: Sequence[float],
    now_losses: Sequence[float],
    proved: tuple[Verdict, str],
) -> list[Claim]:
    """The claims of the record `then`, tested by the record `now`.

    The losses are empty if there are no events. `proved` is the verdict on the training, of `training`.
    """
    if now.status.complete or now.status is Status.DIVERGED:
        results = {
            "training": proved,
            "accuracy": accuracy(then, now),
            "loss trace": trace(then, now, then_losses, now_losses),
            "throughput": throughput(then, now),
        }
    else:
        reason = f"the case did not run here: {now.status.value}: {now.reason}"
        names = ("training", "accuracy", "loss trace", "throughput")
        results = dict.fromkeys(names, (Verdict.CANNOT_TELL, reason))
    return [
        Claim(case_id=then.case_id, name=name, verdict=verdict, figures=figures)
        for name, (verdict, figures) in results.items()
    ]


class Difference(Frozen):
    """A version or a part of the hardware that differs between then and now."""

    name: str
    then: str
    now: str


class Reproduction(Frozen):
    """The result, as it is written beside the new records."""

    lenet_bench_version: str
    claims: tuple[Claim, ...]
    differences: tuple[Difference, ...]


def differences(pairs: Iterable[tuple[Record, Record]], then: Manifest | None, now: Manifest) -> list[Difference]:
    """What differs between the records of each pair and, if the first one's is available, between the manifests."""
    found: dict[str, Difference] = {}

    def note(name: str, before: object, here: object) -> None:
        if before != here:
            found.setdefault(name, Difference(name=name, then=str(before or "unknown"), now=str(here or "unknown")))

    for old, new in pairs:
        if old.software is not None and new.software is not None:
            framework = old.case.framework.value
            note(framework, old.software.framework_version, new.software.framework_version)
            note("python", old.software.python_version, new.software.python_version)
            note("numpy", old.software.numpy_version, new.software.numpy_version)
        note("machine", old.machine_id, new.machine_id)
    if then is not None:
        note("lenet-bench", then.lenet_bench_version, now.lenet_bench_version)
        note("system", then.machine.system, now.machine.system)
        sets = (" ".join(each.machine.instruction_sets) for each in (then, now))
        note("instruction sets", *sets)
        note("frequency governor", then.machine.governor, now.machine.governor)
        for name, values in differing((then.machine.environment, now.machine.environment)).items():
            note(name, *values)
    return list(found.values())


def training(then: TrainingProof | None, now: TrainingProof | None) -> tuple[Verdict, str]:
    """Whether both trained what the case says; `then` is None if the record has no losses."""
    here = now or TrainingProof(status=TrainingStatus.NOT_PROVED, reason="it has no losses")
    known = {"here": here, "then": then} if then is not None else {"here": here}
    found = ", ".join(f"{proof.text} {when}" for when, proof in known.items())
    for status, verdict in ((TrainingStatus.ANOTHER, Verdict.NO), (TrainingStatus.NOT_PROVED, Verdict.CANNOT_TELL)):
        for proof in known.values():
            if proof.status is status:
                return verdict, f"{found}: {proof.reason}"
    steps = min(proof.steps for proof in known.values())
    return Verdict.YES, f"{found}: the losses of the first {steps:,} steps were recomputed"


def accuracy(then: Record, now: Record) -> tuple[Verdict, str]:
    """Equivalence of two proportions by two one-sided tests (Schuirmann 1987) on Newcombe's interval (1998, method 10).

    Yes: the interval of the difference is within the margin. No: it is wholly outside.
    """
    if not then.evaluations:
        return Verdict.CANNOT_TELL, "the record has no evaluation"
    if now.status is Status.DIVERGED or not now.evaluations:
        return Verdict.NO, f"the training {now.status.value} here: {now.reason}"
    old, new = then.evaluations[-1], now.evaluations[-1]
    figures = f"{new.accuracy:.4f} here, {old.accuracy:.4f} then"
    final = (then.weights_sha256.get("final"), now.weights_sha256.get("final"))
    if final[0] is not None and final[0] == final[1] and (old.correct, old.images) == (new.correct, new.images):
        return Verdict.YES, f"{figures}: the same weights to the last bit"
    if old.steps != new.steps:
        figures += f", after {new.steps:,} and {old.steps:,} steps: the clock ends a measurement of speed"
        return Verdict.CANNOT_TELL, figures
    low, high = newcombe(new, old)
    interval = f"{figures}; difference {low:+.4f} to {high:+.4f}, margin {MARGIN:g}"
    if low > -MARGIN and high < MARGIN:
        return Verdict.YES, interval
    if low > MARGIN or high < -MARGIN:
        return Verdict.NO, interval
    return Verdict.CANNOT_TELL, f"{interval}: {new.images:,} test images are too few"


def newcombe(new: Evaluation, old: Evaluation) -> tuple[float, float]:
    """Interval of the new accuracy minus the old one, from the two Wilson intervals."""
    from scipy.stats import binomtest

    (l1, u1), (l2, u2) = (
        binomtest(each.correct, each.images).proportion_ci(CONFIDENCE, "wilson") for each in (new, old)
    )
    p1, p2 = new.accuracy, old.accuracy
    return p1 - p2 - math.hypot(p1 - l1, u2 - p2), p1 - p2 + math.hypot(u1 - p1, p2 - l2)


def trace(then: Record, now: Record, old: Sequence[float], new: Sequence[float]) -> tuple[Verdict, str]:
    """Every step's training loss: identical, or within the tolerance at the start."""
    if then.losses_sha256 is not None and then.losses_sha256 == now.losses_sha256:
        return Verdict.YES, f"identical to the last bit ({sum(window.steps for window in now.windows):,} steps)"
    if not old or not new:
        return Verdict.CANNOT_TELL, "not identical, and a record alone has no losses: name the run's folder"
    initial = then.weights_sha256.get("initial")
    same = initial is not None and initial == now.weights_sha256.get("initial")
    whole = compare(old, new, TRACE_TOLERANCE)
    if whole.first_difference is None:
        return Verdict.YES, f"identical to the last bit over the {whole.steps:,} steps that both have"
    apart = f"differ from step {whole.first_difference + 1} of {whole.steps:,}"
    first = compare(old[:TRACE_STEPS], new[:TRACE_STEPS], TRACE_TOLERANCE)
    figures = f"{apart}, by at most {first.largest:.2g} (relative) in the first {first.steps}; "
    figures += "the same initial weights" if same else "other initial weights"
    return (Verdict.YES if first.first_beyond is None else Verdict.NO), figures


def throughput(then: Record, now: Record) -> tuple[Verdict, str]:
    """Images per second within the largest ratio, on the same machine only."""
    old, new = then.summary.throughput, now.summary.throughput
    if old is None or new is None:
        return Verdict.CANNOT_TELL, "there is no steady window"
    ratio = new.median / old.median
    figures = f"{new.median:,.0f} images/s here, {old.median:,.0f} then: {ratio:.2f}×"
    if then.machine_id != now.machine_id:
        return Verdict.CANNOT_TELL, f"{figures}, and another machine"
    if 1 / LARGEST_RATIO <= ratio <= LARGEST_RATIO:
        return Verdict.YES, figures
    if old.low <= new.high and new.low <= old.high:
        return Verdict.CANNOT_TELL, f"{figures}, and the windows of both scatter as much"
    foreign = max(record.load.foreign_share if record.load else 0.0 for record in (then, now))
    if foreign > FOREIGN_SHARE:
        return Verdict.CANNOT_TELL, f"{figures}, and other processes had {foreign:.0%} of the machine in one of the two"
    return Verdict.NO, figures
