"""Reports on runs of several machines: small and large, with GPUs and NPUs, one that tells little of itself."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from lenet.cases.case import DeviceTarget
from lenet.machine.devices.doctor import Check, DeviceReport, DoctorReport
from lenet.report.content.facts import machine_facts
from lenet.report.content.gather import gather
from lenet.report.document.html import page
from lenet.report.document.markdown import document
from lenet.report.document.terminal import report_text
from lenet.report.table.forms import markdown
from lenet.report.text.doctor import doctor_text


@pytest.fixture
def report(tmp_path, measured, write_run, machine_card):
    write_run(tmp_path / "here", [measured((200, 300))], machine=machine_card)
    write_run(tmp_path / "there", [measured()])
    return gather([tmp_path])


def squeezed(text):
    return "".join(text.split())


def test_the_terminal_names_the_machine_in_80_columns(report, machine_card):
    text = report_text(report)
    assert max(map(cell_len, text.split("\n"))) <= 80
    assert squeezed(f"Machine: {machine_card.summary}") in squeezed(text)


def test_the_documents_have_every_fact_of_the_card(report, machine_card):
    facts = machine_facts(machine_card)
    assert {"Processor", "Cores", "Memory", "System", "Python"} <= {name for name, _ in facts}
    assert ("GPU" in dict(facts)) is bool(machine_card.gpus)
    assert ("NPU" in dict(facts)) is bool(machine_card.npus)
    text, _ = document(report, None, None)
    html = page(report)
    for name, value in facts:
        assert squeezed(f"| {name} | {markdown(value)} |") in squeezed(text)
        assert f"<dt>{name}</dt>" in html
        assert value in html


def test_the_doctor_names_the_machine_in_80_columns(machine_card):
    check = Check(name="driver", passed=True, message="; ".join((*machine_card.gpus, *machine_card.npus)))
    each = DeviceReport(device_target=DeviceTarget.CPU, works=True, checks=(check,), version_pairs=())
    text = doctor_text(DoctorReport(machine=machine_card.summary, python="p", mindspore=None, devices=(each,)))
    assert max(map(cell_len, text.split("\n"))) <= 80
    assert squeezed(machine_card.summary) in squeezed(text)
