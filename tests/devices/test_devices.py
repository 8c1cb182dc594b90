"""What a device target lacks, said in words."""

from __future__ import annotations

import pytest

from lenet.case import DeviceTarget
from lenet.training.devices import absent_libraries, missing


def nvcc(folder, says):
    path = folder / "bin" / "nvcc"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)


def test_the_cpu_lacks_nothing():
    assert missing(DeviceTarget.CPU) == []


def test_no_cuda_home(monkeypatch):
    monkeypatch.delenv("CUDA_HOME", raising=False)
    assert "CUDA_HOME is not set" in missing(DeviceTarget.GPU)


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        ("Cuda compilation tools, release 12.4, V12.4.99", "CUDA 12.4"),
        ("Cuda compilation tools, release 11.6, V11.6.55", None),
        ("hello", "does not tell"),
    ],
)
def test_the_release_that_nvcc_tells(monkeypatch, tmp_path, says, expected):
    nvcc(tmp_path, says)
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    text = "; ".join(phrase for phrase in missing(DeviceTarget.GPU) if "loader" not in phrase)
    assert expected in text if expected else text == ""


def test_a_cuda_home_without_nvcc(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    assert "no bin/nvcc" in missing(DeviceTarget.GPU)[0]


def test_no_cann(monkeypatch):
    monkeypatch.delenv("ASCEND_HOME_PATH", raising=False)
    assert "set_env.sh" in missing(DeviceTarget.ASCEND)[0]


def test_libraries_that_exist_and_do_not():
    assert absent_libraries(("libc.so.6", "libnowhere.so.99")) == ["libnowhere.so.99"]
