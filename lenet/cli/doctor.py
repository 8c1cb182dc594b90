"""`lenet-bench doctor`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from lenet.errors import FAILED, UsageError


def doctor(
    device: Annotated[str | None, typer.Option(help="cpu, gpu or ascend; exit code 1 if it cannot run.")] = None,
    form: Annotated[str, typer.Option("--format", help="terminal, json")] = "terminal",
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that MindSpore may take to compute.")] = 60.0,
) -> None:
    """Check which device targets work on this machine, what the others lack and how to fix it."""
    from lenet.cases.case import DeviceTarget
    from lenet.machine.devices.doctor import diagnose
    from lenet.report.text.doctor import doctor_text

    names = {each.value.lower(): each for each in DeviceTarget}
    if device is not None and device.lower() not in names:
        raise UsageError(f"--device {device!r}: choose from {', '.join(names)}")
    if form not in ("terminal", "json"):
        raise UsageError(f"--format {form!r}: choose from terminal, json")
    targets = list(DeviceTarget) if device is None else [names[device.lower()]]
    checked = diagnose(targets, timeout)
    sys.stdout.write(doctor_text(checked) if form == "terminal" else checked.model_dump_json(indent=1) + "\n")
    if device is not None and not checked.devices[0].works:
        raise typer.Exit(FAILED)
