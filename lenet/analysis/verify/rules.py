"""All rules of a case, by name."""

from __future__ import annotations

from collections.abc import Iterator

from lenet.analysis.verify import agreement, clock, counts, limits
from lenet.analysis.verify.evidence import Evidence, Finding, Rule

CASE_RULES: dict[str, Rule] = {
    rule.__name__: rule for room in (agreement, counts, clock, limits) for rule in room.RULES
}


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Every violation of every rule."""
    for name, rule in CASE_RULES.items():
        for place, message in rule(evidence):
            yield Finding(name.replace("_", " "), place, message)
