"""Whether a case that was run again bears its record out: a verdict a claim, each with its figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum

from lenet.analysis.stability import FOREIGN_SHARE
from lenet.analysis.traces import compare
from lenet.cases.case import Frozen
from lenet.store.record import Evaluation, Record, Status, Throughput

MARGIN = 0.01
"""Two accuracies count as equal when they differ by less than one point in a hundred."""

CONFIDENCE = 0.90
"""Of the interval on the difference; an interval of 90% inside the margin is a TOST at 5%."""

TRACE_STEPS = 50
TRACE_TOLERANCE = 1e-3
"""Relative, over the first steps. Float rounding differs between processors and versions and grows with every step:
later losses part in any two trainings that are not the same to the last bit."""

PROPORTION = 1.25
"""Throughputs of two processes of one case on one machine are in proportion when neither is this much larger."""


class Verdict(str, Enum):
    """What can be said."""

    YES = "yes"
    NO = "no"
    CANNOT_TELL = "cannot tell"


class Claim(Frozen):
    """One claim of a record, judged."""

    case_id: str
    name: str
    verdict: Verdict
    figures: str


def claims(then: Record, now: Record, then_losses: Sequence[float], now_losses: Sequence[float]) -> list[Claim]:
    """What the new record says of the old one. A trace is empty where the events are not at hand."""
    judged = {
        "accuracy": accuracy(then, now),
        "loss trace": trace(then, now, then_losses, now_losses),
        "throughput": throughput(then, now),
    }
    return [
        Claim(case_id=then.case_id, name=name, verdict=verdict, figures=figures)
        for name, (verdict, figures) in judged.items()
    ]


def _not_carried_out(now: Record) -> str | None:
    if now.status.complete or now.status is Status.DIVERGED:
        return None
    return f"it could not be carried out here: {now.status.value}: {now.reason}"


def accuracy(then: Record, now: Record) -> tuple[Verdict, str]:
    """Equivalence of two proportions by two one-sided tests (Schuirmann 1987) on Newcombe's interval (1998, method 10).

    Yes: the interval on the difference lies within the margin. No: it lies wholly outside.
    """
    if (why := _not_carried_out(now)) is not None:
        return Verdict.CANNOT_TELL, why
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
        return (
            Verdict.CANNOT_TELL,
            f"{figures}, after {new.steps:,} and {old.steps:,} steps: a measurement of speed ends by the clock",
        )
    low, high = newcombe(new, old)
    interval = f"{figures}; difference {low:+.4f} to {high:+.4f}, margin {MARGIN:g}"
    if low > -MARGIN and high < MARGIN:
        return Verdict.YES, interval
    if low > MARGIN or high < -MARGIN:
        return Verdict.NO, interval
    return Verdict.CANNOT_TELL, f"{interval}: {new.images:,} test images are too few"


def newcombe(new: Evaluation, old: Evaluation) -> tuple[float, float]:
    """Interval on new accuracy less old accuracy, from the two Wilson intervals."""
    from scipy.stats import binomtest

    (l1, u1), (l2, u2) = (
        binomtest(each.correct, each.images).proportion_ci(CONFIDENCE, "wilson") for each in (new, old)
    )
    p1, p2 = new.accuracy, old.accuracy
    return p1 - p2 - math.hypot(p1 - l1, u2 - p2), p1 - p2 + math.hypot(u1 - p1, p2 - l2)


def trace(then: Record, now: Record, old: Sequence[float], new: Sequence[float]) -> tuple[Verdict, str]:
    """Every step's training loss: identical, or within the tolerance at the start."""
    if (why := _not_carried_out(now)) is not None:
        return Verdict.CANNOT_TELL, why
    if then.losses_sha256 is not None and then.losses_sha256 == now.losses_sha256:
        return Verdict.YES, f"identical to the last bit ({sum(window.steps for window in now.windows):,} steps)"
    if not old or not new:
        return Verdict.CANNOT_TELL, "not identical, and a record alone has no losses: name the run's folder"
    start = "the same weights to begin with" if _same_start(then, now) else "other weights to begin with"
    whole = compare(old, new, TRACE_TOLERANCE)
    if whole.identical:
        return Verdict.YES, f"identical to the last bit over the {whole.steps:,} steps that both have"
    parted = f"parted at step {(whole.first_difference or 0) + 1} of {whole.steps:,}"
    first = compare(old[:TRACE_STEPS], new[:TRACE_STEPS], TRACE_TOLERANCE)
    figures = f"{parted}, by at most {first.largest:.2g} (relative) in the first {first.steps}; {start}"
    return (Verdict.YES if first.within else Verdict.NO), figures


def _same_start(then: Record, now: Record) -> bool:
    initial = then.weights_sha256.get("initial")
    return initial is not None and initial == now.weights_sha256.get("initial")


def throughput(then: Record, now: Record) -> tuple[Verdict, str]:
    """Images a second in proportion, on the same machine only."""
    if (why := _not_carried_out(now)) is not None:
        return Verdict.CANNOT_TELL, why
    old, new = then.summary.throughput, now.summary.throughput
    if old is None or new is None:
        return Verdict.CANNOT_TELL, "there is no steady window to compare"
    ratio = new.median / old.median
    figures = f"{new.median:,.0f} images/s here, {old.median:,.0f} then: {ratio:.2f}×"
    if then.machine_id != now.machine_id:
        return Verdict.CANNOT_TELL, f"{figures}, and another machine"
    if 1 / PROPORTION <= ratio <= PROPORTION:
        return Verdict.YES, figures
    if _overlap(old, new):
        return Verdict.CANNOT_TELL, f"{figures}, and the windows of the two scatter as much"
    foreign = max(record.load.foreign_share if record.load else 0.0 for record in (then, now))
    if foreign > FOREIGN_SHARE:
        return Verdict.CANNOT_TELL, f"{figures}, and other processes had {foreign:.0%} of the machine in one of the two"
    return Verdict.NO, figures


def _overlap(a: Throughput, b: Throughput) -> bool:
    return a.low <= b.high and b.low <= a.high
