"""Programs that print anything, hang or fail: each is an answer or one line, at every place that runs one."""

from __future__ import annotations

import signal
import sys
import threading
import time

import psutil
import pytest

from lenet.cases.case import DeviceTarget
from lenet.cases.frameworks import Framework
from lenet.engine.environments import releases, venv
from lenet.machine import accelerators, card, installed, programs
from lenet.machine.card import _git, describe
from lenet.machine.devices import cann, cuda, doctor
from lenet.machine.devices.libraries import loader_cache
from lenet.machine.programs import ProgramError, output, printed

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
        ("sleep 60; true", "did not answer within 0.5 s"),
        ("yes; true # sleep", "did not answer within 0.5 s"),
        ("cat; exit 3", "ended with exit code 3"),
    ],
)
def test_no_answer_is_one_line(program, script, message):
    began = time.monotonic()
    with pytest.raises(ProgramError) as raised:
        output(program("tool", script), seconds=0.5 if "sleep" in script else 30)
    assert str(raised.value).endswith(message)
    assert time.monotonic() - began < 20


def test_only_the_beginning_of_an_endless_output_is_kept(program, monkeypatch):
    monkeypatch.setattr(programs, "MAX_BYTES", 10)
    done = printed(program("tool", "head -c 1000000 /dev/zero; echo no >&2; exit 4"), seconds=30)
    assert (done.code, done.stdout, done.stderr) == (4, bytes(10), b"no\n")


def test_what_a_program_leaves_behind_is_not_waited_for_and_ends(program, tmp_path):
    began = time.monotonic()
    assert output(program("tool", f"sleep 300 & echo $! > {tmp_path}/pid; echo answer"), seconds=200) == "answer"
    assert time.monotonic() - began < 100
    assert ends(int((tmp_path / "pid").read_text()))


def ends(pid):
    """Whether the process ends soon: it was killed."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


def test_ctrl_c_ends_the_program_and_its_children(program, tmp_path):
    def interrupt():
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            time.sleep(0.01)
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            output(program("tool", f"sleep 300 & echo $! > {tmp_path}/pid; wait"), seconds=200)
    finally:
        signal.signal(signal.SIGINT, before)
    assert ends(int((tmp_path / "pid").read_text()))


def test_ctrl_c_in_doctor_does_not_wait_for_mindspore(program, monkeypatch, tmp_path):
    """The program runs in a thread, which Ctrl-C does not reach."""
    monkeypatch.setattr(sys, "executable", program("python", f"echo $$ > {tmp_path}/pid; exec sleep 300"))

    def interrupted():
        # On a busy machine the program may run before the thread has noted that it is alive.
        while not ((tmp_path / "pid").exists() and programs._alive):
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "_mindspore", interrupted)
    with pytest.raises(KeyboardInterrupt):
        doctor.diagnose([DeviceTarget.CPU], 200)
    assert not programs._alive


@pytest.mark.parametrize("script", ["sleep 60", r"printf 'Model name: \377'", "exit 3", "yes"])
def test_the_card_of_a_machine_whose_lscpu_is_of_no_use(program, monkeypatch, script):
    usual = card._cpu_information()["brand_raw"]
    monkeypatch.setattr(card, "CPU_QUERY", card.CPU_QUERY.replace("timeout=5", "timeout=0.5"))
    program("lscpu", script)
    assert card._cpu_information()["brand_raw"] == usual


def test_lscpu_is_asked_in_english(program, monkeypatch, tmp_path):
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("LANGUAGE", "de")
    program("lscpu", f"echo $LC_ALL > {tmp_path}/locale")
    card._cpu_information()
    assert (tmp_path / "locale").read_text() == "C\n"


def test_the_card_of_a_machine_whose_processor_cannot_be_asked(program, monkeypatch):
    monkeypatch.setattr(sys, "executable", program("python", "exit 1"))
    assert card._cpu_information() == {}


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
    program("npu-smi", r"printf 'NPU ID : 0\nChip \377\n'")
    describe.cache_clear()
    try:
        card = describe()
    finally:
        describe.cache_clear()
    return card.gpus[0] + card.npus[1]


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


def _python_of_another_version(program):
    return str(releases._works(program("python3.10", NOT_UTF8), (3, 10)))


def _set_env(program, tmp_path):
    program("bash", r"printf 'ASCEND_HOME_PATH=/\377\0'")
    (tmp_path / "set_env.sh").touch()
    return cann.source(tmp_path / "set_env.sh")["ASCEND_HOME_PATH"]


def _processor(program, monkeypatch):
    monkeypatch.setattr(sys, "executable", program("python", NOT_UTF8))
    return str(card._cpu_information())


def _mindspore(program, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(sys, "executable", program("python", NOT_UTF8))
    return doctor.probe(DeviceTarget.CPU, Framework.MINDSPORE, 10).message


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        *((place, "\ufffd") for place in (_gpu_driver, _npu_driver, _card, _checkout, _library, _pip)),
        (_nvcc, "11.6"),
        (_loader, "/lib/libc.so.6"),
        (_python_of_another_version, "False"),
        (_set_env, "/\udcff"),
        (_processor, "{}"),
        (_mindspore, "without an answer"),
    ],
)
def test_every_place_takes_bytes_that_are_not_utf8(place, expected, program, monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "probe", lambda target, *_: doctor.Check(name="probe", passed=None, message=""))
    monkeypatch.setattr(accelerators, "_nvml", lambda: (_ for _ in ()).throw(ImportError))
    arguments = {"monkeypatch": monkeypatch, "tmp_path": tmp_path}
    wanted = place.__code__.co_varnames[1 : place.__code__.co_argcount]
    found = place(program, **{name: arguments[name] for name in wanted})
    assert expected in found


def test_where_no_thread_can_be_started_there_is_no_answer_and_no_program_left(program, monkeypatch):
    def refused(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    before = set(psutil.Process().children())
    with pytest.raises(ProgramError, match="slow cannot be run: can't start new thread"):
        output(program("slow", "exec sleep 60"), seconds=60)
    assert set(psutil.Process().children()) == before


def test_a_driver_that_answers_nothing_of_use_leaves_the_card_without_one(program, monkeypatch):
    monkeypatch.setattr(accelerators, "_nvml", lambda: (_ for _ in ()).throw(ImportError))
    program("nvidia-smi", "exit 9")
    assert accelerators.gpus() == ()
    for said in ("No devices were found", "Unable to determine the device handle for GPU0000:01:00.0: Unknown Error"):
        program("nvidia-smi", f"echo '{said}'")
        assert accelerators.gpus() == ()
    program("npu-smi", "echo 'dcmi module initialize failed. ret is -8005'")
    assert accelerators.npus() == ()
