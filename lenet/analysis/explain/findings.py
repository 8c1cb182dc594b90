"""From suspected causes and the effects of their changes to findings, each with its evidence and its gain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lenet.analysis.explain.observation import Observed, Speed
from lenet.analysis.explain.suspicions import Key, Suspicion
from lenet.analysis.onednn import Kernel
from lenet.cases.base import Frozen

GAIN_AT_LEAST = 1.2
"""A change that gains less explains nothing."""
NEEDED: Mapping[Key, float] = {"launch-starves-kernels": GAIN_AT_LEAST, "jit-slower-than-graph": 1.5}
"""Causes that are findings only if their change gains this many times; the evidence of the others is enough."""


class TriedChange(Frozen):
    """A change whose effect was measured, with both variants in turn."""

    change: str
    """The option that makes the change, as `--mode graph`."""
    before: Speed
    after: Speed

    @property
    def gain(self) -> float:
        """Throughput with the change over throughput without."""
        return self.after.median / self.before.median

    @property
    def holds(self) -> bool:
        """Whether each process with the change is faster than each one without."""
        return min(self.after.rates) > max(self.before.rates)

    @property
    def gained(self) -> bool:
        """Whether the change explains the speed: a gain beyond noise that is large enough."""
        return self.holds and self.gain >= GAIN_AT_LEAST

    @property
    def words(self) -> str:
        """The effect in a sentence."""
        count = len(self.after.rates)
        verdict = "" if self.holds else "; within the noise"
        return (
            f"tried {self.change}: {self.before.median:,.0f} to {self.after.median:,.0f} images/s, "
            f"{self.gain:,.2f} times ({count} process{'es' if count > 1 else ''} each, in turn{verdict})"
        )


class SpeedFinding(Frozen):
    """A cause of the speed."""

    key: Key
    title: str
    evidence: tuple[str, ...]
    trial: TriedChange | None = None

    @property
    def remedy(self) -> str | None:
        """The change that fixes it, if one was tried and gained."""
        return self.trial.change if self.trial and self.trial.gained else None


class Explanation(Frozen):
    """The explanation of a case."""

    observed: Observed
    findings: tuple[SpeedFinding, ...]


def conclude(
    suspected: Iterable[Suspicion],
    trials: Mapping[Key, TriedChange],
    remedied: Mapping[Key, Sequence[Kernel]],
    before: Observed,
) -> list[SpeedFinding]:
    """The findings that hold, those first whose fix gained most.

    Args:
        suspected: the suspected causes.
        trials: the changes whose effect could be measured.
        remedied: oneDNN's kernels with a change, if they were logged.
        before: the observations of the case.
    """
    findings = []
    for each in suspected:
        trial = trials.get(each.key)
        gain = trial.gain if trial is not None and trial.gained else 0.0
        if gain < NEEDED.get(each.key, 0.0):
            continue
        evidence = [*each.evidence, *_kernels_changed(before.kernels, remedied.get(each.key, ()))]
        findings.append(SpeedFinding(key=each.key, title=each.title, evidence=tuple(evidence), trial=trial))
    return sorted(findings, key=lambda each: each.trial.gain if each.remedy and each.trial else 0.0, reverse=True)


def _kernels_changed(before: Sequence[Kernel], after: Sequence[Kernel]) -> list[str]:
    """The time of oneDNN's primitives with and without the change; empty if one of the two was not logged."""
    if not before or not after:
        return []
    slow, fast = (sum(kernel.milliseconds for kernel in each) for each in (before, after))
    return [f"oneDNN's primitives took {slow:,.2f} ms per step, and {fast:,.2f} ms with the change"]
