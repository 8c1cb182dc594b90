"""The doctor on machines that are made up with commands, files and variables; its child is the real one, once."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from lenet.cases.case import DeviceTarget
from lenet.machine.devices import cuda, doctor
from lenet.machine.devices.doctor import Diagnosis, Examination, Finding, examine
from lenet.report.text.doctor import render


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A PATH with the system's tools and without a driver's; `command` puts one there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin:/sbin")
    for name in ("CUDA_HOME", "ASCEND_HOME_PATH", "LD_LIBRARY_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(doctor, "ask", lambda target, seconds: Finding(what="asked", good=False, says=target.value))

    def command(name, script):
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    return command


def findings(target):
    (examination,) = examine([target]).examinations
    return {finding.what: finding for finding in examination.findings}


def test_no_gpu(bare):
    found = findings(DeviceTarget.GPU)
    assert found["driver"].good is False
    assert "not on the PATH" in found["driver"].says
    if cuda.absent_wheels():
        assert found["CUDA"].mend == doctor.INSTALL_GPU
    if "libraries" in found and found["libraries"].good is False:
        assert "libcuda.so.1" in found["libraries"].says


def test_a_driver_that_is_too_old(bare):
    bare("nvidia-smi", "echo 'Tesla T4, 470.57.02, 7.5'")
    driver = findings(DeviceTarget.GPU)["driver"]
    assert driver.good is False
    assert "510.39.01" in driver.says
    assert driver.mend


def test_a_driver_that_serves(bare):
    bare("nvidia-smi", "echo 'NVIDIA A100, 535.104.05, 8.0'; echo 'NVIDIA A100, 535.104.05, 8.0'")
    driver = findings(DeviceTarget.GPU)["driver"]
    assert driver.good is True
    assert driver.says.count("A100") == 2


def test_a_driver_that_hangs_is_given_up(bare, monkeypatch):
    bare("nvidia-smi", "exec sleep 60")
    monkeypatch.setattr(doctor, "QUERY_SECONDS", 0.5)
    began = time.monotonic()
    driver = findings(DeviceTarget.GPU)["driver"]
    assert driver.good is False
    assert "did not answer within 0.5 s" in driver.says
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("script", ["echo broken >&2; exit 9", "printf '\\377\\376garbage'", "true"])
def test_a_driver_that_talks_nonsense_is_no_crash(bare, script):
    bare("nvidia-smi", script)
    assert findings(DeviceTarget.GPU)["driver"].what == "driver"


def test_cann_of_another_version(bare, tmp_path, monkeypatch):
    (tmp_path / "version.cfg").write_text("version=6.0.1\n")
    monkeypatch.setenv("ASCEND_HOME_PATH", str(tmp_path))
    monkeypatch.setattr("lenet.machine.devices.doctor.framework_version", lambda _: "2.10.0")
    finding = findings(DeviceTarget.ASCEND)["CANN"]
    assert finding.good is None
    assert "6.0.1" in finding.says
    assert "9.1" in finding.says


def test_cann_that_goes_with_this_mindspore(bare, tmp_path, monkeypatch):
    (tmp_path / "version.cfg").write_text("version=8.5.0\n")
    monkeypatch.setenv("ASCEND_HOME_PATH", str(tmp_path))
    monkeypatch.setattr("lenet.machine.devices.doctor.framework_version", lambda _: "2.10.0")
    assert findings(DeviceTarget.ASCEND)["CANN"] == Finding(what="CANN", good=True, says="8.5.0")


def test_npus_are_listed_and_every_absent_library_is_named(bare):
    bare("npu-smi", "echo 'NPU ID   : 0'; echo 'NPU ID : 1'")
    found = findings(DeviceTarget.ASCEND)
    assert found["driver"].good is True
    assert "NPU ID : 0; NPU ID : 1" in found["driver"].says
    assert "set_env.sh" in found["CANN"].mend
    if "libraries" in found and found["libraries"].good is False:
        assert {"libge_runner.so", "libascendcl.so", "libhccl.so"} <= set(
            found["libraries"].says.removeprefix("missing: ").split(", ")
        )


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("import time; time.sleep(60)", "none within"),
        ("import os; os.abort()", "exit code -6"),
        ("print('chatter')", "no answer"),
        ("print('[1]')", "no answer"),
        ('print(\'{"version": "2", "error": "lost"}\')', "lost"),
    ],
)
def test_a_child_that_misbehaves(script, expected, tmp_path, monkeypatch):
    real = subprocess.run

    def run(command, **rest):
        assert command[1:3] == ["-m", "lenet.training.ask"]
        return real([sys.executable, "-c", script], **rest)

    monkeypatch.setattr(subprocess, "run", run)
    finding = doctor.ask(DeviceTarget.CPU, 2.0)
    assert finding.good is False
    assert expected in finding.says


def test_eighty_columns_and_nothing_hidden():
    finding = Finding(
        what="libraries", good=False, says="missing: " + ", ".join(f"lib{i}.so" for i in range(40)), mend="x" * 70
    )
    each = Examination(device_target=DeviceTarget.GPU, runs=False, findings=(finding,), pairs=("a " * 60,))
    text = render(Diagnosis(machine="m " * 80, python="CPython 3", mindspore=None, examinations=(each,)))
    assert max(map(len, text.splitlines())) <= 80
    for i in range(40):
        assert f"lib{i}.so" in text
    assert "GPU: cannot run here" in text
    assert "no MindSpore" in text


def test_control_characters_from_a_command_do_not_reach_the_terminal():
    finding = Finding(what="driver", good=True, says="Tesla\x1b[31m\x07")
    each = Examination(device_target=DeviceTarget.GPU, runs=True, findings=(finding,), pairs=())
    text = render(Diagnosis(machine="m", python="p", mindspore="2", examinations=(each,)))
    assert "\x1b" not in text
    assert "\x07" not in text


@pytest.mark.mindspore
def test_the_command_says_what_this_machine_can_run():
    """The CPU computes; JSON is the whole diagnosis; the parent never imports MindSpore."""
    command = [sys.executable, "-X", "importtime", "-m", "lenet.cli", "doctor", "--device", "cpu", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    diagnosis = Diagnosis.model_validate(json.loads(done.stdout))
    (cpu,) = diagnosis.examinations
    assert cpu.runs
    assert cpu.findings[-1].good is True
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "lenet.machine.devices.doctor" in imported
    assert not imported & {"mindspore", "torch"}
