"""The report of `lenet-bench doctor` as text for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from lenet.machine.devices.doctor import DeviceReport, DoctorReport, Environment
from lenet.report.layout import clean, shortened, wrapped

MARKS = {True: "ok", False: "NO", None: "?"}
INDENT = " " * 25
"""Of messages, beside the checks' names."""


def doctor_text(report: DoctorReport) -> str:
    """Render what works here, then each device target with its checks and fixes, without colour."""
    version = f"MindSpore {report.mindspore}" if report.mindspore else "no MindSpore"
    head = wrapped(f"{report.machine}; {report.python}; {version}")
    devices = (line for each in report.devices for line in _device(each))
    return "\n".join([head, *devices, *_environments(report.environments)]) + "\n"


def _environments(found: Sequence[Environment]) -> list[str]:
    """The environments of releases and wheel files, each with its folder."""
    lines = ["", "environments for --versions and --exact, in the cache:"] if found else []
    for each in found:
        mark = f"  {MARKS[each.python is not None]:<3}"
        state = f"Python {each.python}" if each.python else "its Python is gone: it is made again when it is used"
        lines += [wrapped(f"{each.title}, {state}", mark, " " * 5), wrapped(each.folder, " " * 5, " " * 5)]
    return lines


def _device(device: DeviceReport) -> list[str]:
    others = f"; {', '.join(device.peers)} can" if device.peers and not device.works else ""
    lines = ["", f"{device.device_target.value}: {'can' if device.works else 'cannot'} run here{others}"]
    for check in device.checks:
        name = f"  {MARKS[check.passed]:<3}{shortened(check.name, 19):<20}"
        lines.append(wrapped(check.message, name, INDENT))
        if check.fix:
            lines.append(wrapped(check.fix, f"{INDENT}→ ", f"{INDENT}  "))
        if check.command:
            lines.append(f"  $ {clean(check.command)}")  # whole, on a line of its own: it is copied
    return [*lines, *(wrapped(f"known to work together: {pair}", "  ", " " * 5) for pair in device.version_pairs)]
