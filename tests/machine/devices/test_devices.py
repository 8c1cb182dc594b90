"""What a device target lacks, in words."""

from __future__ import annotations

import pytest

from lenet.cases.case import DeviceTarget
from lenet.machine.devices import cuda, missing, plugin


def nvcc(folder, says):
    path = folder / "bin" / "nvcc"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)


def test_the_cpu_needs_nothing_and_has_no_plugin():
    assert missing(DeviceTarget.CPU) == []
    assert plugin(DeviceTarget.CPU) is None


def test_no_cuda_home(monkeypatch):
    if not cuda.missing_wheels():
        pytest.skip("the wheels stand in for it here")
    monkeypatch.delenv("CUDA_HOME", raising=False)
    assert "CUDA_HOME is not set" in missing(DeviceTarget.GPU)


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        ("Cuda compilation tools, release 12.4, V12.4.99", "CUDA 12.4"),
        ("Cuda compilation tools, release 11.6, V11.6.55", None),
        ("hello", "does not print its release"),
    ],
)
def test_the_release_that_nvcc_prints(tmp_path, says, expected):
    nvcc(tmp_path, says)
    release, trouble = cuda.toolkit_release(str(tmp_path))
    if expected:
        assert release is None
        assert expected in trouble
    else:
        assert (release, trouble) == ("11.6", "")


def test_a_cuda_home_without_nvcc(tmp_path):
    assert "no bin/nvcc" in cuda.toolkit_release(str(tmp_path))[1]


def test_no_cann(monkeypatch):
    monkeypatch.delenv("ASCEND_HOME_PATH", raising=False)
    assert "set_env.sh" in missing(DeviceTarget.ASCEND)[0]


def test_the_newest_plugin_is_used(monkeypatch, tmp_path):
    folder = tmp_path / "mindspore" / "lib" / "plugin"
    folder.mkdir(parents=True)
    (tmp_path / "mindspore" / "__init__.py").touch()
    for version in ("9.9", "10.1", "11.1", "11.6"):
        (folder / f"libmindspore_gpu.so.{version}").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert plugin(DeviceTarget.GPU).name == "libmindspore_gpu.so.11.6"
    assert plugin(DeviceTarget.ASCEND) is None
