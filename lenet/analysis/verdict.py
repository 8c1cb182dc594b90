"""What a difference of two cases says: faster, slower, the same, or unresolved. The one home of these words.

Faster or slower needs three things: the test of the difference (`lenet.analysis.difference`) with Holm's correction for
all differences that are decided together, its interval on one side of 1, and a size of at least the margin. "The same"
needs the whole interval within the margin (two one-sided tests, here at 2.5% each: Schuirmann, Journal of
Pharmacokinetics and Biopharmaceutics 15, 1987). All else is unresolved, a failed test too.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from lenet.analysis.difference import SIGNIFICANT, SpeedDifference
from lenet.analysis.statistics import holm

MARGIN = 0.01
"""The smallest relative difference that matters, unless one is given: 1%."""


class Mark(str, Enum):
    """The result for B relative to A."""

    FASTER = "faster"
    SLOWER = "slower"
    SAME = "same"
    UNRESOLVED = "unresolved"
    NOT_COMPARABLE = "not comparable"
    BROKE = "broke"
    FIXED = "fixed"
    ONLY_A = "only in A"
    ONLY_B = "only in B"


def decide(differences: Sequence[SpeedDifference], margin: float = MARGIN) -> list[tuple[Mark, float | None]]:
    """The mark of each difference, and its p after Holm's correction over those that have one.

    `margin` is the smallest relative difference that matters.
    """
    tested = [index for index, each in enumerate(differences) if each.p is not None]
    corrected = dict(zip(tested, holm([p for each in differences if (p := each.p) is not None]), strict=True))
    return [(_mark(each, corrected.get(index), margin), corrected.get(index)) for index, each in enumerate(differences)]


def _mark(found: SpeedDifference, p: float | None, margin: float) -> Mark:
    if p is None or found.ratio is None or found.interval is None:
        return Mark.UNRESOLVED
    low, high = found.interval.low, found.interval.high
    if p < SIGNIFICANT and abs(found.ratio - 1) >= margin:
        if low > 1:
            return Mark.FASTER
        if high < 1:
            return Mark.SLOWER
    return Mark.SAME if low >= 1 - margin and high <= 1 + margin else Mark.UNRESOLVED
