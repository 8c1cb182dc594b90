"""Which changes are tried next, alone and together, and which of them are kept.

Changes that help each other gain much more together than alone, so all suspected changes are also tried at once. What
gains nothing beside the others is taken away again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from lenet.analysis.explain.suspicions import Change
from lenet.analysis.explain.trials import TriedChange

Changes = tuple[Change, ...]
Compare = Callable[[Changes, Changes], TriedChange | None]
"""The effect of going from the first changes to the second; None where it was not measured."""


def candidates(kept: Changes, suggested: Sequence[Change], attempted: Collection[frozenset[Change]]) -> list[Changes]:
    """What is measured beside the changes that are kept: all new ones added, each of them added, each kept one omitted.

    The first are the most promising, for when there is no time for all. `attempted` holds the sets of changes that were
    measured before.
    """
    new = [change for change in dict.fromkeys(suggested) if change not in kept]
    found = [(*kept, *new)] if len(new) > 1 else []
    found += [(*kept, change) for change in new]
    found += _without_one(kept)
    return [each for each in found if frozenset(each) not in attempted]


def _without_one(kept: Changes) -> list[Changes]:
    """The changes without each of them; a single one is compared with none, as it was tried."""
    return [tuple(other for other in kept if other is not each) for each in kept] if len(kept) > 1 else []


def choose(kept: Changes, tried: Sequence[Changes], compare: Compare) -> Changes | None:
    """The changes for the next round; None if nothing gains and nothing can be taken away.

    Of those that gain, the fastest, or else a smaller set from which the fastest gains nothing.
    """
    gains = {
        each: trial.gain
        for each in tried
        if len(each) > len(kept) and (trial := compare(kept, each)) is not None and trial.gained
    }
    if gains:
        best = max(gains, key=gains.__getitem__)
        smaller = sorted((each for each in gains if len(each) < len(best)), key=gains.__getitem__, reverse=True)
        return next((each for each in smaller if not _gains(compare(each, best))), best)
    idle = {
        each: trial.gain
        for each in _without_one(kept)
        if (trial := compare(each, kept)) is not None and not trial.gained
    }
    return min(idle, key=idle.__getitem__) if idle else None


def _gains(trial: TriedChange | None) -> bool:
    return trial is not None and trial.gained
