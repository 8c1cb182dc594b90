"""`clean`: remove what lenet-bench keeps outside of runs and can make again. Runs and tuned profiles always stay."""

from __future__ import annotations

from collections.abc import Collection

from lenet.errors import UsageError
from lenet.files.leftovers import KINDS, TEMPORARY, Leftover, leftovers, remove

ALL = (*KINDS, TEMPORARY)


def clean(kinds: Collection[str] = ALL, *, delete: bool = False) -> list[Leftover]:
    """What there is of these kinds, removed with `delete`; with the reason where it cannot be removed.

    Raises:
        UsageError: an unknown kind.
        CacheError: the user has no cache folder, or it cannot be made.
    """
    for kind in kinds:
        if kind not in ALL:
            raise UsageError(f"--only {kind!r}: choose from {', '.join(ALL)}")
    found = [each for each in leftovers() if each.kind in kinds]
    return [remove(each) for each in found] if delete else found
