"""The rules that each case of a run must obey, by name."""

from __future__ import annotations

from collections.abc import Iterator

from lenet.analysis.verify import agreement, clock, counts, limits, traced
from lenet.analysis.verify.evidence import Evidence, Rule, Violation

CASE_RULES: dict[str, Rule] = {
    rule.__name__: rule for module in (agreement, counts, traced, clock, limits) for rule in module.RULES
}


def violations(evidence: Evidence) -> Iterator[Violation]:
    """Every violation of every rule by one case."""
    for name, rule in CASE_RULES.items():
        for place, message in rule(evidence):
            yield Violation(name.replace("_", " "), place, message)
