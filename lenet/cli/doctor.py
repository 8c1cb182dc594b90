"""`lenet-bench doctor`."""

from __future__ import annotations

from typing import Annotated

import typer

from lenet.cli import options
from lenet.cli.options import ENGINE, WORKLOAD, option
from lenet.cli.output import put
from lenet.errors import FAILED


def doctor(
    device: Annotated[
        str | None, option(WORKLOAD, "cpu, gpu or ascend; exit 1 if it cannot be used.", metavar="DEVICE")
    ] = None,
    form: options.TextFormat = "terminal",
    timeout: Annotated[
        float, option(ENGINE, "Time that a framework may take to compute.", metavar="SECONDS", min=1)
    ] = 60.0,
) -> None:
    """Check which device targets work on this machine, what the others lack and how to fix it."""
    from lenet.cases.case import DeviceTarget
    from lenet.engine.environments.venv import environments
    from lenet.machine.devices.doctor import diagnose
    from lenet.report.text.doctor import doctor_text

    names = {each.value.lower(): each for each in DeviceTarget}
    if device is not None:
        options.choice("--device", device.lower(), list(names))
    options.choice("--format", form, options.TEXT_FORMATS)
    targets = list(DeviceTarget) if device is None else [names[device.lower()]]
    diagnosis = diagnose(targets, timeout, environments())
    put(doctor_text(diagnosis) if form == "terminal" else diagnosis.model_dump_json(indent=1) + "\n", form)
    if device is not None and not diagnosis.devices[0].works:
        raise typer.Exit(FAILED)
