"""The report of `lenet-bench doctor` as text for a terminal of 80 columns."""

from __future__ import annotations

from lenet.machine.devices.doctor import DeviceReport, DoctorReport
from lenet.report.table.layout import clean, wrapped

MARKS = {True: "ok", False: "NO", None: "?"}


def render(report: DoctorReport) -> str:
    """Render what works here, then each device target with its checks and fixes, without colour."""
    version = f"MindSpore {report.mindspore}" if report.mindspore else "no MindSpore"
    head = wrapped(f"{report.machine}; {report.python}; {version}")
    return "\n".join([head, *(line for each in report.devices for line in _device(each))]) + "\n"


def _device(device: DeviceReport) -> list[str]:
    lines = ["", f"{device.device_target.value}: {'can' if device.works else 'cannot'} run here"]
    for check in device.checks:
        text = f"{MARKS[check.passed]:<3}{check.name:<20}{clean(check.message)}"
        lines.append(wrapped(text, " " * 2, " " * 25))
        if check.fix:
            lines.append(wrapped(f"→ {clean(check.fix)}", " " * 25, " " * 27))
    for pair in device.version_pairs:
        lines.append(wrapped(f"known to work together: {pair}", " " * 2, " " * 5))
    return lines
