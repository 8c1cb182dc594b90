"""What ratios rest on, and what a verdict on them still needs, in words: the same for every table of ratios."""

from __future__ import annotations

from collections.abc import Sequence

from lenet.analysis.compare import Comparison
from lenet.analysis.difference import SpeedDifference
from lenet.analysis.paired import LEAST_GROUPS, LOOKS, PLANNED_LEVEL
from lenet.analysis.statistics import LEVEL
from lenet.report.table.words import count, span

SAMPLED = f"Sampled to a precision, with looks at {', '.join(map(str, LOOKS))} groups"


def basis(found: Sequence[SpeedDifference | Comparison]) -> str:
    """What the ratios were estimated from, in sentences; with their numbers, where it is not the same for all."""
    sentences = {
        "of workers that took turns, within {groups}: the mean over groups, Student's t": [
            each for each in found if each.unit == "groups" and each.groups >= LEAST_GROUPS
        ],
        "of workers that took turns, within {groups}: the intervals are of these processes only, no verdict": [
            each for each in found if each.unit == "groups" and each.groups < LEAST_GROUPS
        ],
        "of independent processes: the median of all quotients of two, Welch's t where they are few, Mann-Whitney's "
        "test where they are many": [each for each in found if each.unit == "processes"],
    }
    kinds = sum(map(bool, sentences.values())) + any(each.unit == "windows" for each in found)
    words = []
    for sentence, held in sentences.items():
        if held:
            groups = span(each.groups for each in held)
            rest = sentence.format(groups=f"{groups} group{'s' if groups != '1' else ''}")
            words.append(f"{'Ratios' if kinds == 1 else count(len(held), 'ratio')} {rest}.")
    if any(each.planned for each in found):
        words.append(f"{SAMPLED}: intervals of {PLANNED_LEVEL:.1%} each, so that stopping early keeps {LEVEL:.0%}.")
    return " ".join(words)


def needed(unit: str | None, number: int | None, margin: float) -> str:
    """How many units an interval of ±`margin` takes, for a verdict that is unresolved; empty if nobody can know."""
    if unit not in ("groups", "processes"):
        return ""
    of = "groups" if unit == "groups" else "processes on each side"
    return f"±{margin * 100:.3g}% takes {f'about {number:,}' if number else 'over 1,000'} {of}"
