"""Each record's raw figures, small enough for the page."""

from __future__ import annotations

from typing import Any

from lenet.report.charts.points import PHASES
from lenet.report.content.gather import Report

MOST_FIGURES = 400_000
"""Window speeds in the whole page."""
FEWEST_A_RECORD = 8
TAIL = 1200
"""Characters of a failed worker's last output."""


def details(report: Report) -> list[dict[str, Any]]:
    """What the view of a record shows beyond its row: every window's speed, every evaluation, phases, software.

    If the page would become too large, only every n-th window is in it: `step` is n, `windows` the number of all.
    """
    most = max(FEWEST_A_RECORD, MOST_FIGURES // max(1, len(report.entries)))
    found = []
    for entry in report.entries:
        record = entry.record
        windows = record.windows_between_lead_ins
        step = max(1, -(-len(windows) // most))
        software = record.software
        data: dict[str, Any] = {
            "at": record.started_at.strftime("%Y-%m-%d %H:%M:%S"),
            "windows": len(windows),
            "step": step,
            "speeds": [_figure(window.images_per_second) for window in windows[::step]],
            "warmup": sum(window.warmup for window in windows[::step]),
            "resident": [_figure(window.images_per_second) for window in record.resident_windows[:most]],
            "evaluations": [
                [each.epoch, each.steps, _figure(each.training_seconds), each.correct, each.images]
                for each in record.evaluations[:most]
            ],
        }
        if record.phases is not None:
            data["phases"] = [_figure(getattr(record.phases, field)) for field, _ in PHASES]
        if software is not None:
            versions = {"python": software.python_version, "numpy": software.numpy_version}
            data["software"] = versions | software.details
        digests = {"losses": record.losses_sha256, **record.weights_sha256}
        data["sha256"] = {name: text[:12] for name, text in digests.items() if text}
        if record.stderr_tail:
            data["tail"] = record.stderr_tail[-TAIL:]
        found.append(data)
    return found


def _figure(value: float) -> float:
    """Four significant digits."""
    rounded = float(f"{value:.4g}")
    return int(rounded) if rounded.is_integer() else rounded
