"""The user's folders: where they are, what is said where they cannot be used, one process an entry."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from lenet.errors import CacheError
from lenet.files import cache
from lenet.files.locks import alone

PLACES = {"cache": ("LENET_BENCH_CACHE", "user_cache_dir"), "data": ("LENET_BENCH_PROFILES", "user_data_dir")}


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.setenv("LENET_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_variable_names_the_folder_itself(own):
    assert cache.cache_folder() == own
    assert own.is_dir()
    assert cache.user_folder("data", "LENET_BENCH_CACHE", "inside") == own


@pytest.mark.parametrize("kind", PLACES)
def test_a_home_that_no_shell_has_put_in_and_a_relative_folder(kind, monkeypatch, tmp_path):
    """As in a file of variables for a container; workers have another working folder."""
    variable, _ = PLACES[kind]
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for text in ("~/own", "own", "./own"):
        monkeypatch.setenv(variable, text)
        assert cache.user_folder(kind, variable) == tmp_path / "own"


@pytest.mark.parametrize("kind", PLACES)
def test_without_the_variable_it_is_in_the_users_home(kind, monkeypatch, tmp_path):
    variable, _ = PLACES[kind]
    monkeypatch.delenv(variable, raising=False)
    monkeypatch.delenv(f"XDG_{kind.upper()}_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.user_folder(kind, variable, "inside").is_relative_to(tmp_path)
    assert cache.user_folder(kind, variable, "inside").name == "inside"


def test_a_home_of_nobody_becomes_no_folder_with_that_name(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LENET_BENCH_CACHE", "~nobody-is-called-so/cache")
    with pytest.raises(CacheError, match=r"LENET_BENCH_CACHE=~nobody-is-called-so/cache: there is no such home folder"):
        cache.cache_folder()
    assert not list(tmp_path.iterdir())


def raising(*_, **__):
    raise RuntimeError("Could not determine home directory")


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize("answer", [raising, lambda *_, **__: "~/.cache/lenet-bench"], ids=["raises", "relative"])
def test_a_user_without_a_home(kind, answer, monkeypatch):
    variable, function = PLACES[kind]
    monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(f"lenet.files.cache.platformdirs.{function}", answer)
    with pytest.raises(CacheError, match=f"set {variable} to a folder"):
        cache.user_folder(kind, variable)


def test_a_path_that_is_not_text(tmp_path, monkeypatch):
    monkeypatch.setenv("LENET_BENCH_CACHE", os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    with pytest.raises(CacheError, match="not UTF-8: set LENET_BENCH_CACHE"):
        cache.cache_folder()


def test_a_file_in_its_place(own):
    own.write_text("")
    with pytest.raises(CacheError, match=r"cannot be written: .*; set LENET_BENCH_CACHE"):
        cache.cache_folder()


def test_a_lock_that_cannot_be_had_in_time(own, monkeypatch):
    monkeypatch.setattr(cache, "LOCK_SECONDS", 0.2)
    with cache.locked("entry"), pytest.raises(CacheError, match="another process has held"), cache.locked("entry"):
        pass
    with cache.locked("entry") as folder:
        assert folder == own / "entry"


HOLD = """
import time
from lenet.files.cache import locked
with locked("entry"):
    print(flush=True)
    time.sleep(60)
"""


def test_a_wait_says_what_it_waits_for_and_who_holds_it(own, monkeypatch, capsys):
    monkeypatch.setattr("lenet.files.locks.SILENT_SECONDS", 0.1)
    other = subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE)
    other.stdout.readline()
    threading.Timer(1, other.kill).start()
    with cache.locked("entry"):
        pass
    other.communicate()
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert said[0].startswith(f"lenet-bench: waiting for process {other.pid} (")
    assert said[0].endswith(f"), which makes {own / 'entry'} (Ctrl-C ends)")
    assert said[1].startswith(f"lenet-bench: {own / 'entry'} is free after ")


def test_a_file_system_without_locks(own, monkeypatch, tmp_path):
    """Processes of one machine exclude each other by a lock in its temporary folder."""
    real = fcntl.flock

    def flock(descriptor, flags):
        if Path(f"/proc/self/fd/{descriptor}").readlink().is_relative_to(own):
            raise OSError(errno.ENOLCK, "No locks available")
        real(descriptor, flags)

    monkeypatch.setattr("fcntl.flock", flock)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(cache, "LOCK_SECONDS", 0.2)
    with cache.locked("entry") as folder:
        assert folder == own / "entry"
        with pytest.raises(CacheError, match="another process has held"), cache.locked("entry"):
            pass
        with cache.locked("other"):
            pass


def test_no_file_system_with_locks(own, monkeypatch):
    def none(descriptor, flags):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", none)
    with cache.locked("entry") as folder:
        assert folder == own / "entry"


def test_what_fails_inside_for_want_of_room_is_the_caches_fault_and_other_errors_are_their_own(own):
    with pytest.raises(CacheError, match="No space left"), cache.locked("entry"):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(KeyError), cache.locked("entry"):
        raise KeyError
    with cache.locked("entry"):
        pass  # released both times


COUNT = """
import sys, time
from lenet.files.cache import locked
for _ in range(5):
    with locked("count") as folder:
        path = folder / "number"
        number = int(path.read_text()) if path.exists() else 0
        time.sleep(0.01)
        path.write_text(str(number + 1))
"""


FILE_SYSTEMS = Path(__file__).resolve().parents[1] / "file_systems"


@pytest.mark.parametrize("kind", ["", "nfs", "cifs"])
def test_threads_and_processes_exclude_each_other(own, kind):
    other = {"FILE_SYSTEM": kind, "PYTHONPATH": os.pathsep.join([str(FILE_SYSTEMS), str(FILE_SYSTEMS.parents[1])])}
    environment = {**os.environ, **(other if kind else {})}
    others = [subprocess.Popen([sys.executable, "-c", COUNT], env=environment) for _ in range(2)]
    threads = [threading.Thread(target=exec, args=(COUNT, {})) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.wait() for process in others] == [0, 0]
    assert (own / "count" / "number").read_text() == "25"


def test_a_lock_file_that_is_deleted_while_it_is_waited_for(tmp_path):
    path: Path = tmp_path / "lock"
    first = alone(path)
    path.unlink()
    second = alone(path)
    assert first.held
    assert second.held
    assert alone(path) is None
