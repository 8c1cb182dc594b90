"""A diagnosis as text for a terminal of 80 columns."""

from __future__ import annotations

import textwrap

from lenet.devices.doctor import Diagnosis, Examination
from lenet.report.layout import TERMINAL_WIDTH, clean

MARKS = {True: "ok", False: "NO", None: "?"}


def render(diagnosis: Diagnosis) -> str:
    """What runs here, then each device target with its findings and what mends them; readable without colour."""
    version = f"MindSpore {diagnosis.mindspore}" if diagnosis.mindspore else "no MindSpore"
    head = _wrapped(f"{diagnosis.machine}; {diagnosis.python}; {version}", "")
    return "\n".join([*head, *(line for each in diagnosis.examinations for line in _device(each))]) + "\n"


def _device(examination: Examination) -> list[str]:
    verdict = "can run here" if examination.runs else "cannot run here"
    lines = ["", f"{examination.device_target.value}: {verdict}"]
    for finding in examination.findings:
        lines += _wrapped(f"{MARKS[finding.good]:<3}{finding.what:<20}{clean(finding.says)}", " " * 2, 23)
        if finding.mend:
            lines += _wrapped(f"→ {clean(finding.mend)}", " " * 25, 2)
    for pair in examination.pairs:
        lines += _wrapped(f"known to go together: {pair}", " " * 2, 3)
    return lines


def _wrapped(text: str, indent: str, hang: int = 0) -> list[str]:
    return textwrap.wrap(
        text, TERMINAL_WIDTH, initial_indent=indent, subsequent_indent=indent + " " * hang, break_on_hyphens=False,
        drop_whitespace=True,
    )  # fmt: skip
