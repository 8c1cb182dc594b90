"""Programs that print anything, hang or fail: each is an answer or one line, at every place that runs one."""

from __future__ import annotations

import sys
import time

import pytest

from lenet.cases.case import DeviceTarget
from lenet.engine.environments import venv
from lenet.machine import accelerators, card, installed
from lenet.machine.card import _git, describe
from lenet.machine.devices import cuda, doctor
from lenet.machine.devices.libraries import loader_cache
from lenet.machine.programs import ProgramError, output

NOT_UTF8 = r"printf 'NVIDIA \377\376 A100, 535.1, 8.0 \\303\n'"


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Puts a shell script on the PATH, before all others; returns its path."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin:/sbin")

    def make(name, script):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return str(path)

    return make


def test_output_is_text_whatever_the_bytes(program):
    assert output(program("tool", NOT_UTF8), seconds=10) == "NVIDIA \ufffd\ufffd A100, 535.1, 8.0 \\303"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo broken >&2; exit 9", "ended with exit code 9: broken"),
        (r"printf '\377'; exit 1", "ended with exit code 1: \ufffd"),
        ("exec sleep 60", "did not answer within 0.5 s"),
        ("cat; exit 3", "ended with exit code 3"),
    ],
)
def test_no_answer_is_one_line(program, script, message):
    began = time.monotonic()
    with pytest.raises(ProgramError) as raised:
        output(program("tool", script), seconds=0.5 if "sleep" in script else 30)
    assert str(raised.value).endswith(message)
    assert time.monotonic() - began < 20


def test_a_program_that_is_absent_or_is_none(tmp_path):
    with pytest.raises(ProgramError, match="is not on the PATH"):
        output("no-such-program", seconds=1)
    (tmp_path / "tool").write_bytes(b"\x7fELF of nothing")
    (tmp_path / "tool").chmod(0o755)
    with pytest.raises(ProgramError, match="cannot be run"):
        output(str(tmp_path / "tool"), seconds=1)


def _gpu_driver(program):
    program("nvidia-smi", NOT_UTF8)
    (device,) = doctor.diagnose([DeviceTarget.GPU]).devices
    return next(each.message for each in device.checks if each.name == "driver")


def _npu_driver(program):
    program("npu-smi", NOT_UTF8)
    (device,) = doctor.diagnose([DeviceTarget.ASCEND]).devices
    return next(each.message for each in device.checks if each.name == "driver")


def _card(program):
    program("nvidia-smi", NOT_UTF8)
    program("npu-smi", NOT_UTF8)
    describe.cache_clear()
    try:
        card = describe()
    finally:
        describe.cache_clear()
    return card.gpus[0] + card.npus[0]


def _nvcc(program):
    program("bin/nvcc", rf"{NOT_UTF8}; echo 'release 11.6, V1'")
    return cuda.toolkit_release(program("x", "").removesuffix("/x"))[0]


def _loader(program):
    program("ldconfig", r"printf '\377\n\tlibc.so.6 (libc6,x86-64) => /lib/libc.so.6\n'")
    loader_cache.cache_clear()
    try:
        return str(loader_cache()["libc.so.6"])
    finally:
        loader_cache.cache_clear()


def _checkout(program, monkeypatch, tmp_path):
    (tmp_path / ".git").mkdir()
    monkeypatch.setattr(card, "__file__", str(tmp_path / "lenet" / "machine" / "card.py"))
    program("git", r"printf 'a\377'")
    return _git()[0]


def _library(program, monkeypatch, tmp_path):
    (tmp_path / "libdnnl.so.2").touch()
    monkeypatch.setattr(sys, "executable", program("python", NOT_UTF8))
    return installed._onednn(tmp_path)


def _pip(program):
    with pytest.raises(venv.InstallError) as raised:
        venv.execute([program("pip", r"printf 'ERROR: no \377\n' >&2; exit 1")])
    return str(raised.value)


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        *((place, "\ufffd") for place in (_gpu_driver, _npu_driver, _card, _checkout, _library, _pip)),
        (_nvcc, "11.6"),
        (_loader, "/lib/libc.so.6"),
    ],
)
def test_every_place_takes_bytes_that_are_not_utf8(place, expected, program, monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "probe", lambda target, _: doctor.Check(name="probe", passed=None, message=""))
    monkeypatch.setattr(accelerators, "_nvml", lambda: (_ for _ in ()).throw(ImportError))
    arguments = {"monkeypatch": monkeypatch, "tmp_path": tmp_path}
    wanted = place.__code__.co_varnames[1 : place.__code__.co_argcount]
    found = place(program, **{name: arguments[name] for name in wanted})
    assert expected in found


def test_a_driver_that_answers_nothing_of_use_leaves_the_card_without_one(program, monkeypatch):
    monkeypatch.setattr(accelerators, "_nvml", lambda: (_ for _ in ()).throw(ImportError))
    program("nvidia-smi", "exit 9")
    assert accelerators.gpus() == ()
