"""One release of the framework against the one before it, case by case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lenet.analysis.compare import Comparison, compare_all
from lenet.analysis.selection import Key, key
from lenet.cases.axes import axis
from lenet.cases.values import version_order
from lenet.store.record import Record


@dataclass(frozen=True)
class Step:
    """A release, and what it changed. `comparison` has the release before as A and this one as B."""

    version: str
    before: str | None
    """The release that it is compared with; None for the first, whose comparison has no A."""
    comparison: Comparison


def steps(records: Sequence[Record], minimum_effect: float = 0.01) -> list[Step]:
    """Every case's releases from old to new, cases in the order of their first record.

    Holm's correction is over all steps of all cases.
    """
    version = axis("framework_version")
    cases: dict[Key, dict[str, list[Record]]] = {}
    for record in records:
        if release := version.record_identity(record):
            cases.setdefault(key(record, [version.name]), {}).setdefault(release, []).append(record)
    pairs: list[tuple[str, str | None, list[Record], list[Record]]] = []
    for releases in cases.values():
        before: str | None = None
        for release in sorted(releases, key=version_order):
            pairs.append((release, before, releases[before] if before else [], releases[release]))
            before = release
    found = compare_all([(a, b) for _, _, a, b in pairs], minimum_effect, [version.name])
    return [Step(pair[0], pair[1], each) for pair, each in zip(pairs, found, strict=True)]
