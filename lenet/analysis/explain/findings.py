"""From suspected causes and the effects of their changes to findings, each with its evidence and its gain."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lenet.analysis.explain.gap import GapLine
from lenet.analysis.explain.observation import Observed
from lenet.analysis.explain.suspicions import Key
from lenet.analysis.explain.trials import TriedChange
from lenet.analysis.onednn import Kernel
from lenet.cases.base import Frozen

CONFIRMED_BY_GAIN = ("launch-starves-kernels", "jit-slower-than-graph")
"""Causes that are findings only if their change gains; the evidence of the others is enough."""


class SpeedFinding(Frozen):
    """A cause of the speed."""

    key: Key
    title: str
    evidence: tuple[str, ...]
    seen_with: str = ""
    """The options of the fixes with which it was seen; empty for the case as it is."""
    trial: TriedChange | None = None
    """The effect of its change where it was seen."""
    beside_others: TriedChange | None = None
    """The effect of its change beside all other fixes, if there are others."""
    control: TriedChange | None = None
    """The effect of what was tried to tell the cause from another."""
    fixed: bool = False
    """Whether its change is one of the fixes that are kept."""

    @property
    def gains(self) -> tuple[float, ...]:
        """What its fix gains beyond the noise, where it was seen and beside the others; empty if it is not fixed."""
        effects = (self.trial, self.beside_others) if self.fixed else ()
        return tuple(each.gain for each in effects if each is not None and each.gained)

    @property
    def remedy(self) -> str | None:
        """The change that fixes it."""
        return self.trial.change if self.trial is not None and self.gains else None


class SpeedLine(Frozen):
    """One line of the account of all fixes."""

    name: str
    """`as it is`, the options of fixes, or a framework."""
    images_per_second: float
    compared: TriedChange | None
    """With the case as it is; None for that line itself."""


class Explanation(Frozen):
    """The explanation of a case."""

    observed: Observed
    """The case as it is."""
    findings: tuple[SpeedFinding, ...]
    fixes: str = ""
    """The options that make all fixes; empty if none gained."""
    remaining: Observed | None = None
    """The case with all fixes; None if none gained."""
    speeds: tuple[SpeedLine, ...] = ()
    """As it is, with each fix, with all fixes, and in PyTorch: members of the same groups."""
    twin: TriedChange | None = None
    """PyTorch's throughput over that with all fixes; None if it was not measured."""
    gap: tuple[GapLine, ...] = ()
    """The step with all fixes, part by part, beside PyTorch's and the limit of arithmetic."""
    notes: tuple[str, ...] = ()
    """What was not done, and why."""


def conclude(suspected: Iterable[SpeedFinding], before: Observed, after: Observed | None) -> list[SpeedFinding]:
    """The findings that hold, with the evidence of what was tried, those first whose fix gained most.

    `before` is what was observed of the case as it is, `after` with all fixes, if there are any.
    """
    findings = []
    for each in suspected:
        gained = each.fixed or (each.trial is not None and each.trial.gained)
        if each.key in CONFIRMED_BY_GAIN and not gained:
            continue
        evidence = list(each.evidence)
        if each.key == "reference-kernel" and each.fixed and after is not None:
            evidence += _kernels_changed(before.kernels, after.kernels)
        if each.key == "jit-slower-than-graph" and each.control is not None:
            evidence.append(_whole_step(each.control))
        findings.append(each.model_copy(update={"evidence": tuple(evidence)}))
    return sorted(findings, key=lambda each: max(each.gains, default=0.0), reverse=True)


def _whole_step(model: TriedChange) -> str:
    """Whether compiling the whole step is what is slow: `ms.train.Model` compiles it too, and is no `@ms.jit`."""
    says, found = ("is not", "is faster") if model.gained else ("may be", "is not seen to be faster")
    return (
        f"compiling the whole step {says} what is slow: ms.train.Model compiles it too, optimiser included, and {found}"
    )


def _kernels_changed(before: Sequence[Kernel], after: Sequence[Kernel]) -> list[str]:
    """The time of oneDNN's primitives before and after; empty if one of the two was not logged."""
    if not before or not after:
        return []
    slow, fast = (sum(kernel.milliseconds for kernel in each) for each in (before, after))
    return [f"oneDNN's primitives took {slow:,.2f} ms per step, and {fast:,.2f} ms with all fixes"]
