"""The result of `lenet-bench reproduce`: a verdict on each claim of a record, and what differs here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from lenet.analysis.reproduce import Claim
from lenet.report.layout import shortened, wrapped

MOST_DIFFERENCES = 12
INDENT = " " * 27
"""Below the claims' names and verdicts."""


def reproduce_text(claims: Iterable[Claim], differences: Sequence[tuple[str, str, str]]) -> str:
    """Claims by case. `differences` are names of conditions with their values then and here."""
    lines = []
    for case_id, members in groupby(claims, key=lambda claim: claim.case_id):
        lines.append(wrapped(case_id))
        for claim in members:
            first = f"  {shortened(claim.name, 11):<11} {claim.verdict.value:<12} "
            lines.append(wrapped(claim.figures, first, INDENT))
    for name, then, here in differences[:MOST_DIFFERENCES]:
        lines.append(wrapped(f"differs: {name}: {then} then, {here} here", rest="  "))
    return "\n".join(lines) + "\n"
