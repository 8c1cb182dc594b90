"""What `lenet-bench clean` removed, or would remove."""

from __future__ import annotations

from collections.abc import Sequence

from lenet.files.leftovers import Leftover
from lenet.report.layout import grid, wrapped


def clean_text(found: Sequence[Leftover], deleted: bool) -> str:
    """A line for each folder with its size, then the sum. Fits 80 columns."""
    if not found:
        return "nothing to remove\n"
    lines = [(each.kind, str(each.path), megabytes(each.bytes), each.kept and f"kept: {each.kept}") for each in found]
    total = megabytes(sum(each.bytes for each in found if not each.kept))
    said = f"removed {total}" if deleted else f"--yes would remove {total}; nothing is removed without it"
    return "\n".join([grid(("kind", "folder", "size", ""), lines, "wwfw"), "", wrapped(said)]) + "\n"


def megabytes(size: int) -> str:
    """A size in megabytes.

    >>> megabytes(11_500_000)
    '11.5 MB'
    """
    return f"{size / 1e6:,.1f} MB"
