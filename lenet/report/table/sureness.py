"""How certain a table's figures are: the verdict in words, its mark in a narrow table, and what the spread is."""

from __future__ import annotations

from collections.abc import Sequence

from lenet.analysis.stability import PRECISION, REASONS
from lenet.analysis.statistics import MIN_PROCESSES
from lenet.report.table.groups import Group
from lenet.report.table.words import span

LETTERS = {reason: letter for letter, reason in REASONS.items()}


def _reasons(verdict: str) -> list[str]:
    """The reasons in a row's verdict, also those that this version does not know."""
    _, _, reasons = verdict.partition(": ")
    return [reason for reason in reasons.split(", ") if reason]


def described(group: Group) -> str:
    """The verdict in words, with the number of processes that are still needed; empty if there is none."""
    row = group.row
    if row.verdict is None or not group.processes:
        return ""
    if row.verdict == "stable":
        return "stable"
    if row.more_processes is None:
        return f"{row.verdict} (over 1,000 processes for ±{PRECISION:.0%})"
    if not row.more_processes:
        return row.verdict
    if row.samples < MIN_PROCESSES - 1:
        return f"{row.verdict} (run at least {row.more_processes} more processes)"
    # Also of 1: `verify` holds the tables of earlier versions to these words.
    return f"{row.verdict} (about {row.more_processes:,} more processes for ±{PRECISION:.0%})"


def marked(group: Group) -> str:
    """`?` and a letter per reason if the figure is unstable, else nothing."""
    if group.row.verdict is None or group.row.verdict == "stable" or not group.processes:
        return ""
    return "?" + "".join(LETTERS.get(reason, "") for reason in _reasons(group.row.verdict))


def legend_of(groups: Sequence[Group]) -> list[str]:
    """The meaning of the marks in use, as captions."""
    unstable = [group.row for group in groups if marked(group)]
    used = dict.fromkeys(reason for row in unstable for reason in _reasons(row.verdict or ""))
    if not used:
        return []
    meanings = ", ".join(f"{LETTERS[reason]} {reason}" for reason in used if reason in LETTERS)
    most = max(row.more_processes or 0 for row in unstable)
    wanted = (
        f" ±{PRECISION:.0%} takes up to {most:,} more process{'es' if most > 1 else ''} a case: "
        f"`lenet-bench run --resume RUN --until {PRECISION:.0%}`."
        if most
        else ""
    )
    return [f"? is not stable: {meanings}.{wanted}"]


def samples_caption(groups: Sequence[Group]) -> str:
    """What the column `spread` holds, in a sentence."""
    kinds = []
    merged = [group for group in groups if group.of > 1]
    if any(group.row.interval_low is not None for group in merged):
        counts = span(group.row.windows for group in merged if group.row.windows >= MIN_PROCESSES)
        kinds.append(f"the 95% interval over {counts} processes")
    if any(group.row.interval_low is None for group in merged):
        kinds.append(f"the range over fewer than {MIN_PROCESSES} processes")
    if len(merged) < len(groups) or not groups:
        counts = span(group.row.windows for group in groups if group.of == 1 and group.row.windows)
        kinds.append(f"the quartiles of {counts} windows of one process")
    return f"spread: {'; '.join(kinds)}."
