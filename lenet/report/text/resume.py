"""How the cases of a run stand, as text: what `run --resume RUN --dry-run` prints."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence

from lenet.report.table.layout import TERMINAL_WIDTH
from lenet.store.freshness import Standing, State, wanted

INDENT = 9


def standings(found: Sequence[Standing], *, retry_failed: bool = False, force: bool = False) -> str:
    """A line a case, its reason below it, then what going on would measure. Fits 80 columns."""
    lines = []
    for each in found:
        label = textwrap.shorten(each.case.label, TERMINAL_WIDTH - INDENT, placeholder=" …")
        lines.append(f"{each.state.value:<{INDENT}}{label}")
        if each.why:
            lines.append(
                textwrap.fill(each.why, TERMINAL_WIDTH, initial_indent=" " * INDENT, subsequent_indent=" " * INDENT)
            )
    counts = Counter(each.state for each in found)
    sums = ", ".join(f"{counts[state]} {state.value}" for state in State)
    chosen = len(wanted(found, retry_failed=retry_failed, force=force))
    options = "".join([" --retry-failed" if retry_failed else "", " --force" if force else ""])
    lines += ["", f"{len(found)} cases: {sums}", f"--resume{options} would measure {chosen} of them"]
    if counts[State.STALE] and not force:
        lines.append("a stale record that is measured again is kept in the run's superseded/")
    return "\n".join(lines)
