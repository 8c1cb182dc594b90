"""Locks between real processes: refused, waited for, released by the kernel when the holder dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from lenet.cases.case import Case, DeviceTarget
from lenet.engine.busy import BusyError, devices, folder, held
from lenet.files.locks import holder, take

HOLD = """
import os, sys, time
from pathlib import Path
from lenet.files.locks import take
if len(sys.argv) > 2:  # after the imports: another user may not be able to read this environment
    os.setgroups([])
    os.setgid(int(sys.argv[2]))
    os.setuid(int(sys.argv[2]))
lock = take(Path(sys.argv[1]), 0o666)
print("none" if lock is None else "held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def hold():
    processes = []

    def start(path, *user):
        command = [sys.executable, "-c", HOLD, str(path), *user]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        return process, process.stdout.readline().strip()

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def locks(tmp_path, monkeypatch):
    monkeypatch.setenv("LENET_BENCH_LOCKS", str(tmp_path))
    return tmp_path


def test_a_second_process_sees_the_holder(tmp_path, hold):
    path = tmp_path / "lock"
    process, said = hold(path)
    assert said == "held"
    assert take(path) is None
    if Path("/proc/locks").exists():
        assert holder(path).startswith(f"process {process.pid} (")
    assert hold(path)[1] == "none"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_holder_that_dies_holds_nothing(tmp_path, hold, number):
    path = tmp_path / "lock"
    process, _ = hold(path)
    process.send_signal(number)
    process.wait()
    lock = take(path)
    assert lock is not None
    lock.release()
    assert path.exists(), "the file of a lock stays: if it were deleted, two could hold it"


def test_a_process_gets_the_same_lock_again(tmp_path):
    first = take(tmp_path / "lock")
    assert take(tmp_path / "lock") is first
    first.release()
    first.release()
    assert not first.held
    second = take(tmp_path / "lock")
    assert second is not first
    assert second.held


def test_a_lock_that_nothing_refers_to_is_released(tmp_path, hold):
    take(tmp_path / "lock")
    assert hold(tmp_path / "lock")[1] == "held"


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic link"):
        take(tmp_path / "lock")
    assert not (tmp_path / "elsewhere").exists()


def test_a_pipe_in_its_place_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "lock")
    with pytest.raises(OSError, match="not a plain file"):
        take(tmp_path / "lock")


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user: only root may")
def test_the_lock_of_another_user_is_respected_and_can_be_taken_afterwards(tmp_path, hold):
    """In a folder like /tmp: all users may write, none may delete the file of another."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    for parent in shared.parents:
        if parent == Path(tempfile.gettempdir()):
            break
        parent.chmod(0o755)
    path = shared / "lock"
    theirs, said = hold(path, "65534")
    assert said == "held"
    assert path.stat().st_uid == 65534
    assert take(path) is None
    theirs.kill()
    theirs.wait()
    lock = take(path)
    assert lock is not None
    assert hold(path, "65534")[1] == "none"
    lock.release()
    assert hold(path, "65533")[1] == "held", "a third user's"


class TestDevices:
    def test_names(self):
        cases = [Case(device_target=target) for target in DeviceTarget]
        assert devices(cases, {}) == ["ascend-0", "cpu", "gpu-0"]
        assert devices(cases[:1], {"CUDA_VISIBLE_DEVICES": "3"}) == ["cpu"]

    @pytest.mark.parametrize(
        ("environment", "name"),
        [
            ({"CUDA_VISIBLE_DEVICES": "3"}, "gpu-3"),
            ({"CUDA_VISIBLE_DEVICES": "3, 5", "DEVICE_ID": "1"}, "gpu-5"),
            ({"CUDA_VISIBLE_DEVICES": "GPU-8f2c/../.."}, "gpu-GPU8f2c"),
            ({"DEVICE_ID": "2"}, "gpu-2"),
            ({"DEVICE_ID": "../x"}, "gpu-x"),
            ({"DEVICE_ID": "/"}, "gpu-0"),
            ({"ASCEND_RT_VISIBLE_DEVICES": "7"}, "gpu-0"),
        ],
    )
    def test_which_gpu(self, environment, name):
        assert devices([Case(device_target=DeviceTarget.GPU)], environment) == [name]

    @pytest.mark.parametrize(
        ("environment", "names"),
        [
            ({}, ["gpu-0", "gpu-1"]),
            ({"CUDA_VISIBLE_DEVICES": "3,5,7"}, ["gpu-3", "gpu-5"]),
            ({"CUDA_VISIBLE_DEVICES": "3,5", "DEVICE_ID": "1"}, ["gpu-3", "gpu-5"]),
        ],
    )
    def test_each_rank_has_a_device_of_its_own(self, environment, names):
        """msrun numbers the ranks' devices from 0, whatever DEVICE_ID says."""
        cases = [Case(device_target=DeviceTarget.GPU, world_size=2)]
        assert devices(cases, environment) == names
        assert devices([*cases, Case(world_size=2)], environment) == ["cpu", *names]

    def test_pytorch_knows_no_device_id(self):
        cases = [Case(framework="pytorch", mode="eager", device_target="GPU")]
        assert devices(cases, {"CUDA_VISIBLE_DEVICES": "3,5", "DEVICE_ID": "1"}) == ["gpu-3"]

    def test_refused_with_the_holders_name(self, locks, hold):
        process, _ = hold(locks / "lenet-bench-cpu.lock")
        with pytest.raises(BusyError, match=r"measures on cpu: .*--busy wait") as error, held(["cpu"], "refuse"):
            pass
        if Path("/proc/locks").exists():
            assert f"process {process.pid}" in str(error.value)

    def test_waited_for(self, locks, hold):
        process, _ = hold(locks / "lenet-bench-cpu.lock")
        said = []

        def say(sentence):
            said.append(sentence)
            process.kill()

        with held(["cpu"], "wait", say):
            assert hold(locks / "lenet-bench-cpu.lock")[1] == "none"
        assert "waiting for" in said[0]
        assert "cpu is free after" in said[1]
        assert hold(locks / "lenet-bench-cpu.lock")[1] == "held", "given back at the end"

    def test_another_device_is_free(self, locks, hold):
        hold(locks / "lenet-bench-cpu.lock")
        with held(["gpu-0"], "refuse"):
            pass

    def test_parts_of_a_command_do_not_give_it_back_between_them(self, locks, hold):
        with held(["cpu"], "refuse"):
            with held(["cpu", "gpu-0"], "refuse"):
                assert hold(locks / "lenet-bench-gpu-0.lock")[1] == "none"
            assert hold(locks / "lenet-bench-cpu.lock")[1] == "none"
            assert hold(locks / "lenet-bench-gpu-0.lock")[1] == "held"
        assert hold(locks / "lenet-bench-cpu.lock")[1] == "held"

    def test_a_refused_run_gives_back_what_it_had(self, locks, hold):
        hold(locks / "lenet-bench-gpu-0.lock")
        with pytest.raises(BusyError), held(["cpu", "gpu-0"], "refuse"):
            pass
        assert hold(locks / "lenet-bench-cpu.lock")[1] == "held"

    def test_where_no_lock_can_be_made_it_is_said_and_measured(self, tmp_path, monkeypatch):
        monkeypatch.setenv("LENET_BENCH_LOCKS", str(tmp_path / "none"))
        said = []
        with held(["cpu"], "wait", said.append):
            pass
        (sentence,) = said
        assert "no lock on cpu" in sentence

    def test_progress_while_it_waits(self, locks, hold, monkeypatch):
        monkeypatch.setattr("lenet.files.locks.NOTIFY_SECONDS", 0.2)
        monkeypatch.setattr("lenet.files.locks.POLL_SECONDS", 0.05)
        process, _ = hold(locks / "lenet-bench-cpu.lock")
        said = []

        def say(sentence):
            said.append(sentence)
            if len(said) == 3:
                process.kill()

        began = time.monotonic()
        with held(["cpu"], "wait", say):
            pass
        assert "min so far" in said[1]
        assert time.monotonic() - began < 30

    def test_all_users_share_a_folder(self, monkeypatch):
        monkeypatch.delenv("LENET_BENCH_LOCKS")
        monkeypatch.setenv("TMPDIR", "/somewhere/of/mine")
        assert folder() == Path("/tmp")
