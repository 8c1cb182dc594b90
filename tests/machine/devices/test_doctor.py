"""`doctor` on machines made of programs, files and variables; the real child process once."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from lenet.cases.case import DeviceTarget
from lenet.cases.frameworks import Framework
from lenet.machine.devices import cuda, doctor
from lenet.machine.devices.doctor import Check, DeviceReport, DoctorReport, diagnose
from lenet.machine.installed import framework_version
from lenet.report.text.doctor import doctor_text
from tests.installed import NEEDS_PYTORCH


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A PATH with the system's tools and without a driver's; `command` puts one there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin:/sbin")
    for name in ("CUDA_HOME", "ASCEND_HOME_PATH", "LD_LIBRARY_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(doctor, "probe", lambda target, *_: Check(name="probe", passed=False, message=target.value))

    def command(name, script):
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    return command


def checks(target):
    (device,) = diagnose([target]).devices
    return {check.name: check for check in device.checks}


def test_no_gpu(bare):
    found = checks(DeviceTarget.GPU)
    assert found["driver"].passed is False
    assert "not on the PATH" in found["driver"].message
    if cuda.missing_wheels():
        assert found["CUDA"].command.endswith("pip install '.[gpu]'")
    if "libraries" in found and found["libraries"].passed is False:
        assert "libcuda.so.1" in found["libraries"].message


def test_a_message_may_quote_a_path_of_any_bytes():
    assert "\ufffd" in Check(name="x", passed=None, message="/\udcff").model_dump_json()


def test_a_driver_that_is_too_old(bare):
    bare("nvidia-smi", "echo 'Tesla T4, 470.57.02, 7.5'")
    driver = checks(DeviceTarget.GPU)["driver"]
    assert driver.passed is False
    assert "510.39.01" in driver.message
    assert driver.fix


def test_a_driver_that_is_new_enough(bare):
    bare("nvidia-smi", "echo 'NVIDIA A100, 535.104.05, 8.0'; echo 'NVIDIA A100, 535.104.05, 8.0'")
    driver = checks(DeviceTarget.GPU)["driver"]
    assert driver.passed is True
    assert driver.message.count("A100") == 2


def test_a_driver_that_hangs_is_killed(bare, monkeypatch):
    bare("nvidia-smi", "exec sleep 60")
    monkeypatch.setattr(doctor, "QUERY_SECONDS", 0.5)
    began = time.monotonic()
    driver = checks(DeviceTarget.GPU)["driver"]
    assert driver.passed is False
    assert "did not answer within 0.5 s" in driver.message
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("script", ["echo broken >&2; exit 9", "printf '\\377\\376broken'", "true", "echo broken"])
def test_a_driver_that_lists_nothing(bare, script):
    for name, target in (("nvidia-smi", DeviceTarget.GPU), ("npu-smi", DeviceTarget.ASCEND)):
        bare(name, script)
        driver = checks(target)["driver"]
        assert driver.passed is False
        assert ("broken" in driver.message) == ("broken" in script)


def test_cann_of_another_version(bare, tmp_path, monkeypatch):
    (tmp_path / "version.cfg").write_text("version=6.0.1\n")
    monkeypatch.setenv("ASCEND_HOME_PATH", str(tmp_path))
    monkeypatch.setattr("lenet.machine.devices.doctor.framework_version", lambda _: "2.10.0")
    check = checks(DeviceTarget.ASCEND)["CANN"]
    assert check.passed is None
    assert "6.0.1" in check.message
    assert "9.1" in check.message


def test_cann_that_this_mindspore_accepts(bare, tmp_path, monkeypatch):
    (tmp_path / "version.cfg").write_text("version=8.5.0\n")
    monkeypatch.setenv("ASCEND_HOME_PATH", str(tmp_path))
    monkeypatch.setattr("lenet.machine.devices.doctor.framework_version", lambda _: "2.10.0")
    assert checks(DeviceTarget.ASCEND)["CANN"] == Check(name="CANN", passed=True, message="8.5.0")


def test_npus_are_listed_and_every_missing_library_is_named(bare):
    bare("npu-smi", "echo 'NPU ID   : 0'; echo 'NPU ID : 1'")
    found = checks(DeviceTarget.ASCEND)
    assert found["driver"].passed is True
    assert "NPU ID : 0; NPU ID : 1" in found["driver"].message
    assert "set_env.sh" in found["CANN"].fix
    if "libraries" in found and found["libraries"].passed is False:
        assert {"libge_runner.so", "libascendcl.so", "libhccl.so"} <= set(
            found["libraries"].message.removeprefix("missing: ").split(", ")
        )


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("import time; time.sleep(60)", "did not answer within 2 s"),
        ("import os; os.abort()", "exit code -6"),
        ("print('chatter')", "without an answer"),
        ("print('[1]')", "without an answer"),
        ('print(\'{"version": "2", "error": "lost"}\')', "lost"),
    ],
)
def test_a_child_that_misbehaves(script, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "PROBE", script)
    check = doctor.probe(DeviceTarget.CPU, Framework.MINDSPORE, 2.0)
    assert check.passed is False
    assert expected in check.message


def test_where_only_pytorch_computes(bare, monkeypatch):
    """As on an H100 with CUDA 13: MindSpore's plugin needs CUDA 11, and PyTorch trains."""
    bare("nvidia-smi", "echo 'NVIDIA H100 80GB HBM3, 580.159.04, 9.0'")
    monkeypatch.setattr(doctor, "framework_version", {Framework.PYTORCH: "2.11.0"}.get)

    def computes(target, framework, _):
        return Check(name=framework.value, passed=framework is Framework.PYTORCH, message="")

    monkeypatch.setattr(doctor, "probe", computes)
    report = diagnose([DeviceTarget.GPU, DeviceTarget.ASCEND])
    gpu, ascend = report.devices
    assert (gpu.works, gpu.peers) == (False, ("PyTorch",))
    assert [check.name for check in gpu.checks[-2:]] == ["mindspore", "pytorch"]
    assert (ascend.works, ascend.peers) == (False, ())
    assert ascend.checks[-1].name == "mindspore", "PyTorch is not asked about a target that it does not have"
    text = doctor_text(report)
    assert "GPU: cannot run here; PyTorch can" in text
    assert "Ascend: cannot run here\n" in text
    monkeypatch.setattr(doctor, "probe", lambda *_: Check(name="computes", passed=True, message=""))
    (gpu,) = diagnose([DeviceTarget.GPU]).devices
    assert (gpu.works, gpu.peers) == (True, ("PyTorch",)), "MindSpore is none of its own peers"


@NEEDS_PYTORCH
def test_pytorch_computes_on_the_cpu():
    check = doctor.probe(DeviceTarget.CPU, Framework.PYTORCH, 120)
    assert (check.name, check.passed) == ("PyTorch computes", True), check.message
    assert check.message == f"PyTorch {framework_version(Framework.PYTORCH)} computed on it"


def test_a_library_of_the_system_that_is_missing_has_its_remedy(monkeypatch):
    line = '{"version": null, "error": "ImportError: libgomp.so.1: cannot open shared object file"}'
    monkeypatch.setattr(doctor, "output", lambda *_, **__: line)
    assert "apt-get install libgomp1" in doctor.probe(DeviceTarget.CPU, Framework.MINDSPORE, 2.0).fix


def test_the_report_fits_80_columns_and_is_complete():
    missing = "missing: " + ", ".join(f"lib{i}.so" for i in range(40))
    check = Check(name="libraries", passed=False, message=missing, fix="x" * 70)
    each = DeviceReport(device_target=DeviceTarget.GPU, works=False, checks=(check,), version_pairs=("a " * 60,))
    text = doctor_text(DoctorReport(machine="m " * 80, python="CPython 3", mindspore=None, devices=(each,)))
    assert max(map(len, text.splitlines())) <= 80
    for i in range(40):
        assert f"lib{i}.so" in text
    assert "GPU: cannot run here" in text
    assert "no MindSpore" in text


def test_control_characters_from_a_command_do_not_reach_the_terminal():
    check = Check(name="driver", passed=True, message="Tesla\x1b[31m\x07")
    each = DeviceReport(device_target=DeviceTarget.GPU, works=True, checks=(check,), version_pairs=())
    text = doctor_text(DoctorReport(machine="m", python="p", mindspore="2", devices=(each,)))
    assert "\x1b" not in text
    assert "\x07" not in text


@pytest.mark.mindspore
def test_the_command_on_this_machine():
    """The CPU works, JSON is the complete report, and the parent does not import MindSpore."""
    command = [sys.executable, "-X", "importtime", "-m", "lenet.cli", "doctor", "--device", "cpu", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    (cpu,) = DoctorReport.model_validate(json.loads(done.stdout)).devices
    assert cpu.works
    assert cpu.checks[-1].passed is True
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "lenet.machine.devices.doctor" in imported
    assert not imported & {"mindspore", "torch"}
