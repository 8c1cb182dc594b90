"""The context of a report's figures, as names and values; the same in every form."""

from __future__ import annotations

from lenet.report.content.gather import Report
from lenet.report.table.words import count, few


def facts(report: Report) -> list[tuple[str, str]]:
    """Data, versions, samples and days."""
    rows = report.rows
    data = dict.fromkeys(f"{row.dataset} (sha256 {(row.dataset_sha256 or 'unknown')[:12]})" for row in rows)
    versions = dict.fromkeys(f"{row.framework} {row.framework_version}" for row in rows if row.framework_version)
    windows = sorted({row.windows for row in rows if row.windows})
    days = sorted(entry.record.started_at.date().isoformat() for entry in report.entries)
    samples = f"{windows[0]:,} to {windows[-1]:,}" if len(windows) > 1 else f"{windows[0]:,}" if windows else "none"
    return [
        ("Records", f"{len(rows):,}, {sum(row.sound for row in rows):,} ok"),
        ("Data", few(list(data))),
        ("Framework", few(list(versions)) or "none ran"),
        ("Steady windows a record", samples),
        ("Measured", days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"),
    ]


def notes(report: Report) -> list[str]:
    """What to know before quoting a figure, one sentence each."""
    found = list(report.notes)
    other = sorted({row.dataset for row in report.rows if row.dataset != "mnist"})
    if other:
        found.append(f"NOT MNIST: {few(other)}. Accuracies do not compare with those published for MNIST.")
    if report.traces and report.traces_left_out:
        left = count(report.traces_left_out, "record")
        found.append(f"Loss curves show one training of each kind; {left} have none here.")
    return found
