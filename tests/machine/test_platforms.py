"""Platforms that are imitated at the edge: what `platform` says, and the first bytes of MindSpore's library."""

from __future__ import annotations

import struct

import pytest

from lenet import training
from lenet.cases.case import Case, DeviceTarget
from lenet.cases.presets import load_preset
from lenet.machine import platforms
from lenet.machine.card import describe
from lenet.machine.devices import doctor
from lenet.machine.devices.doctor import Check, diagnose

ELF_X86 = b"\x7fELF\x02\x01\x01" + bytes(11) + struct.pack("<H", 62)
ELF_ARM = b"\x7fELF\x02\x01\x01" + bytes(11) + struct.pack("<H", 183)
MACH_ARM = struct.pack("<II", 0xFEEDFACF, 0x0100000C) + bytes(12)
PE = b"MZ" + bytes(18)

PLACES = {
    "Linux x86-64": ("Linux", "x86_64"),
    "Linux aarch64": ("Linux", "aarch64"),
    "macOS aarch64": ("Darwin", "arm64"),
    "Windows x86-64": ("Windows", "AMD64"),
}


@pytest.fixture
def imitate(tmp_path, monkeypatch, new_card):
    """Another platform, with a MindSpore whose library begins with these bytes."""

    def go(place, header):
        system, machine = PLACES[place]
        describe.cache_clear()
        monkeypatch.setattr("platform.system", lambda: system)
        monkeypatch.setattr("platform.machine", lambda: machine)
        package = tmp_path / "mindspore"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "_c_expression.so").write_bytes(header)
        monkeypatch.syspath_prepend(tmp_path)

    yield go
    describe.cache_clear()  # the card of the imitated platform


@pytest.mark.parametrize(
    ("place", "header", "built"),
    [
        ("Linux aarch64", ELF_X86, "Linux x86-64"),
        ("macOS aarch64", ELF_X86, "Linux x86-64"),
        ("Windows x86-64", ELF_X86, "Linux x86-64"),
        ("Linux x86-64", ELF_ARM, "Linux aarch64"),
    ],
)
def test_the_doctor_and_the_worker_name_a_wheel_of_another_platform(imitate, monkeypatch, place, header, built):
    imitate(place, header)
    sentence = platforms.wrong_wheel()
    assert f"is built for {built} and this is {place}: install the wheel for it from https://" in sentence
    monkeypatch.setattr(doctor, "probe", lambda target, *_: Check(name="probe", passed=False, message=target.value))
    (device,) = diagnose([DeviceTarget.CPU]).devices
    assert (device.checks[0].passed, device.checks[0].message) == (False, sentence)
    assert platforms.SOURCE in device.checks[0].fix
    with pytest.raises(training.DeviceUnavailableError) as raised:
        training.build(Case(), None)
    assert str(raised.value) == sentence


@pytest.mark.parametrize(
    ("place", "header"),
    [
        ("Linux x86-64", ELF_X86),
        ("Linux aarch64", ELF_ARM),
        ("macOS aarch64", MACH_ARM),
        ("Windows x86-64", PE),
        ("Linux x86-64", b"what is this"),
        ("Linux x86-64", b""),
    ],
)
def test_a_wheel_of_this_platform_and_an_unknown_one_pass(imitate, place, header):
    imitate(place, header)
    assert platforms.wrong_wheel() == ""


@pytest.mark.parametrize("place", PLACES)
def test_a_preset_asks_for_x86_instruction_sets_on_x86_only(imitate, place):
    imitate(place, b"")
    names = [profile.name for profile in load_preset("standard").profiles]
    x86 = place.endswith("x86-64")
    assert names == ["default", "onednn_isa=avx2+launch_blocking" if x86 else "launch_blocking"]
    assert [profile.name for profile in load_preset("quick").profiles] == ["default"]


@pytest.mark.parametrize("place", PLACES)
def test_the_extra_gpu_is_advised_only_where_it_holds_anything(imitate, monkeypatch, place):
    imitate(place, b"")
    monkeypatch.setattr(doctor, "probe", lambda target, *_: Check(name="probe", passed=False, message=target.value))
    (device,) = diagnose([DeviceTarget.GPU]).devices
    advised = any("[gpu]" in check.command for check in device.checks)
    said = [check.message for check in device.checks if check.name == "platform"]
    if place == "Linux x86-64":
        assert said == []
    else:
        assert not advised
        assert said == [f"MindSpore has a GPU plugin for Linux x86-64 only; this is {place}"]
