"""The result of `lenet-bench verify` for one run."""

from __future__ import annotations

from collections.abc import Sequence

from lenet.report.layout import wrapped
from lenet.report.table.words import count, few

MOST_VIOLATIONS = 200
MOST_FILES = 6


def verify_text(
    run: str, violations: Sequence[str], remarks: Sequence[str], unread: Sequence[str], records: int, events: int
) -> str:
    """A paragraph for each violation and remark, then the verdict on `run`. `unread` are files that were not read."""
    texts = [*violations[:MOST_VIOLATIONS]]
    if len(violations) > MOST_VIOLATIONS:
        texts.append(f"… and {len(violations) - MOST_VIOLATIONS:,} more")
    texts += [f"note: {each}" for each in remarks]
    if unread:
        texts.append(f"not verified: {count(len(unread), 'file')}: {few(list(unread), MOST_FILES)}")
    verdict = f"refused: {count(len(violations), 'violation')}" if violations else "verified: no violation"
    texts.append(f"{run}: {verdict} ({count(records, 'record')}, {count(events, 'event')})")
    return "\n".join(wrapped(each, rest="  ") for each in texts) + "\n"
