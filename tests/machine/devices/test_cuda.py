"""CUDA 11 from PyPI's wheels: what resolves, and the stand-in for nvcc."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lenet.cases.case import DeviceTarget
from lenet.machine import devices
from lenet.machine.devices import cuda
from lenet.machine.devices.libraries import resolve


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """Fake wheels: the right names and versions, with files that are not libraries."""

    def install(*names):
        for name in names:
            folder = tmp_path / "site" / f"{name.replace('-', '_')}-11.8.89.dist-info"
            folder.mkdir(parents=True)
            (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 11.8.89\n")
            library = f"nvidia/{name}/lib/lib{name}.so.11"
            (folder / "RECORD").write_text(f"{library},,\nnvidia/{name}/__init__.py,,\n")
            (tmp_path / "site" / library).parent.mkdir(parents=True)
            (tmp_path / "site" / library).write_bytes(b"not a library")
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        cuda.installed_wheels.cache_clear()

    yield install
    cuda.installed_wheels.cache_clear()


def test_wheels_are_known_by_their_metadata(wheels):
    if cuda.missing_wheels() != list(cuda.WHEELS):
        pytest.skip("the real wheels are installed")
    wheels(*cuda.WHEELS[:-1])
    assert cuda.missing_wheels() == ["nvidia-cudnn-cu11"]
    assert set(cuda.installed_wheels().values()) == {"11.8.89"}
    assert "libnvidia-cublas-cu11.so.11" in cuda.wheel_libraries()


def test_the_stand_in_prints_the_release_of_the_wheel(wheels, tmp_path):
    wheels(*cuda.WHEELS)
    home = cuda.stand_in(tmp_path / "cache")
    assert cuda.toolkit_release(str(home)) == ("11.8", "")
    said = subprocess.run([home / "bin" / "nvcc", "--version"], capture_output=True, text=True, check=True).stdout
    assert "stand-in" in said
    assert "11.8.89" in said
    compiled = subprocess.run([home / "bin" / "nvcc", "x.cu"], capture_output=True, text=True, check=False)
    assert compiled.returncode == 1
    assert "compiles nothing" in compiled.stderr
    assert cuda.stand_in(tmp_path / "cache") == home, "a second time changes nothing"


def test_an_installed_toolkit_is_used(wheels, tmp_path):
    wheels(*cuda.WHEELS)
    home = cuda.stand_in(tmp_path / "toolkit")
    environment = {"CUDA_HOME": str(home)}
    assert cuda.prepare(tmp_path / "plugin.so", tmp_path / "cache", environment) == []
    assert environment == {"CUDA_HOME": str(home)}
    assert not (tmp_path / "cache").exists()


def test_without_all_wheels_there_is_no_stand_in(wheels, tmp_path):
    if not cuda.missing_wheels():
        pytest.skip("the real wheels are installed")
    wheels(*cuda.WHEELS[:3])
    environment: dict[str, str] = {}
    assert cuda.prepare(tmp_path / "plugin.so", tmp_path / "cache", environment) == []
    assert environment == {}


def test_with_the_wheels_cuda_home_is_the_stand_in(wheels, tmp_path):
    wheels(*cuda.WHEELS)
    environment: dict[str, str] = {}
    cuda.prepare(tmp_path / "plugin.so", tmp_path / "cache", environment)
    assert cuda.toolkit_release(environment["CUDA_HOME"]) == ("11.8", "")


def test_an_nvcc_that_hangs_is_killed(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    nvcc = tmp_path / "bin" / "nvcc"
    nvcc.write_text("#!/bin/sh\nexec sleep 60\n")
    nvcc.chmod(0o755)
    monkeypatch.setattr(cuda, "NVCC_SECONDS", 0.2)
    assert cuda.toolkit_release(str(tmp_path)) == (None, "CUDA_HOME has no bin/nvcc that answers")


def test_every_library_of_the_real_plugin_resolves_but_the_drivers():
    """Runs if the extra `gpu` is installed; it needs no GPU, and does not show that one works."""
    plugin = devices.plugin(DeviceTarget.GPU)
    if plugin is None:
        pytest.skip("this MindSpore has no GPU plugin")
    if absent := cuda.missing_wheels():
        pytest.skip(f"the extra `gpu` is not installed: {', '.join(absent)}")
    named = cuda.named_by(plugin)
    result = resolve(plugin, named)
    assert set(result.absent) <= {cuda.DRIVER}
    assert {"libcublas.so.11", "libcudnn.so.8", "libcudart.so.11.0"} <= set(named)
    code = f"import ctypes\nfor path in {[str(path) for path in named.values()]}: ctypes.CDLL(path)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
