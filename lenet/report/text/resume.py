"""The state of a run's cases: what `run --resume RUN --dry-run` prints."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from lenet.report.layout import wrapped
from lenet.report.table.words import count
from lenet.store.freshness import CaseState, State, outstanding

INDENT = 9


def resume_text(found: Sequence[CaseState], *, retry_failed: bool = False, force: bool = False) -> str:
    """A line for each case, its reason below it, then what resuming would measure. Fits 80 columns."""
    lines = []
    for each in found:
        lines.append(wrapped(each.case.label, f"{each.state.value:<{INDENT}}", " " * INDENT))
        if each.reason:
            lines.append(wrapped(each.reason, " " * INDENT, " " * INDENT))
    counts = Counter(each.state for each in found)
    sums = ", ".join(f"{counts[state]} {state.value}" for state in State)
    chosen = len(outstanding(found, retry_failed=retry_failed, force=force))
    options = "".join([" --retry-failed" if retry_failed else "", " --force" if force else ""])
    lines += ["", f"{count(len(found), 'case')}: {sums}", f"--resume{options} would measure {chosen} of them"]
    if counts[State.STALE] and not force:
        lines.append("a stale record that is measured again is kept in the run's folder superseded/")
    return "\n".join(lines)


def resume_json(found: Sequence[CaseState], *, retry_failed: bool = False, force: bool = False) -> str:
    """The same as a JSON list with an object for each case."""
    chosen = set(outstanding(found, retry_failed=retry_failed, force=force))
    states = [
        {
            "case_id": each.case.id,
            "label": each.case.label,
            "state": each.state.value,
            "reason": each.reason,
            "would_measure": each.case in chosen,
        }
        for each in found
    ]
    return json.dumps(states, indent=1)
