"""A diagnosis as text for a terminal of 80 columns."""

from __future__ import annotations

from lenet.machine.devices.doctor import Diagnosis, Examination
from lenet.report.table.layout import clean, wrapped

MARKS = {True: "ok", False: "NO", None: "?"}


def render(diagnosis: Diagnosis) -> str:
    """What runs here, then each device target with its findings and what mends them; readable without colour."""
    version = f"MindSpore {diagnosis.mindspore}" if diagnosis.mindspore else "no MindSpore"
    head = wrapped(f"{diagnosis.machine}; {diagnosis.python}; {version}")
    return "\n".join([head, *(line for each in diagnosis.examinations for line in _device(each))]) + "\n"


def _device(examination: Examination) -> list[str]:
    verdict = "can run here" if examination.runs else "cannot run here"
    lines = ["", f"{examination.device_target.value}: {verdict}"]
    for finding in examination.findings:
        says = f"{MARKS[finding.good]:<3}{finding.what:<20}{clean(finding.says)}"
        lines.append(wrapped(says, " " * 2, " " * 25))
        if finding.mend:
            lines.append(wrapped(f"→ {clean(finding.mend)}", " " * 25, " " * 27))
    for pair in examination.pairs:
        lines.append(wrapped(f"known to go together: {pair}", " " * 2, " " * 5))
    return lines
