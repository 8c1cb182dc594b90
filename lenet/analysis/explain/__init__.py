"""Explains the speed of a case in two passes.

`suspicions` names what the observations point at, and the change that would confirm it; the caller measures those
changes; `conclude` keeps what holds.
"""

from lenet.analysis.explain.findings import Explanation, SpeedFinding, TriedChange, conclude
from lenet.analysis.explain.observation import Bounds, Observed, Operator, Speed, StepTimes
from lenet.analysis.explain.suspicions import Change, Key, Suspicion, suspicions

__all__ = [
    "Bounds",
    "Change",
    "Explanation",
    "Key",
    "Observed",
    "Operator",
    "Speed",
    "SpeedFinding",
    "StepTimes",
    "Suspicion",
    "TriedChange",
    "conclude",
    "suspicions",
]
