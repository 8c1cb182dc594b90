"""The headline: the fastest case in one sentence, and what names a case that is quoted outside its table."""

from __future__ import annotations

from lenet.cases.profile import RuntimeProfile
from lenet.report.content.gather import Report
from lenet.report.content.places import own, ranked
from lenet.report.table.rows import Row
from lenet.report.table.words import mode, settings

AS_INSTALLED = RuntimeProfile().name
"""The profile that changes nothing."""


def headline(report: Report) -> str:
    """The fastest case: of MindSpore if it was measured, else of what was."""
    best = next(iter(own(ranked(report.groups))), None)
    if best is None:
        return "Nothing was measured: no case succeeded."
    row = best.row
    words = f"{mode(row)} on {row.device_target} at batch {row.batch_size:,}"
    if row.profile != AS_INSTALLED:
        words += f" with the profile {row.profile}"
    if row.world_size > 1:
        words += f" over {row.world_size} processes"
    named = ("framework", "mode", "device_target", "batch_size", "profile", "world_size")
    words = ", ".join([words, *settings(row, without=named)])
    where = f" on {report.short_machine(row.machine)}" if len(report.machines) > 1 else ""
    return f"Fastest: {words}, {row.images_per_second:,.0f} images/s ({release(row)}{where})."


def release(row: Row) -> str:
    """Framework and version."""
    return f"{row.framework} {row.framework_version}" if row.framework_version else row.framework


def setting(row: Row) -> list[str]:
    """Batch size, profile and what else is not as usual: the best of a place may have any."""
    named = ("framework", "mode", "device_target", "batch_size", "profile", "world_size")
    return [f"batch {row.batch_size:,}", row.profile, *settings(row, without=named)]
