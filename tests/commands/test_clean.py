"""`lenet-bench clean`: a list unless it is told to remove, and never a run."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lenet.cli import main
from lenet.commands.clean import ALL, clean
from lenet.errors import UsageError
from lenet.files.cache import locked
from lenet.files.leftovers import LEFT_SECONDS

OLD = time.time() - 2 * LEFT_SECONDS


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A cache and a temporary folder with one entry of each kind, and with files of others."""
    cache, temporary, profiles = (tmp_path / name for name in ("cache", "temporary", "profiles"))
    monkeypatch.setenv("LENET_BENCH_CACHE", str(cache))
    monkeypatch.setenv("LENET_BENCH_PROFILES", str(profiles))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(temporary))
    for name in (
        *("cache/mnist", "cache/local-0123456789abcdef", "cache/environment-mindspore-2.7.0-py311", "cache/cuda-11.8"),
        "cache/folders",
        "cache/environment-mindspore-2.11.0.dev1+cpu@0123456789ab-py311",
        *("cache/run-of-a-user", "temporary/lenet-bench-left", "temporary/lenet-bench-new", "temporary/other"),
        "profiles",
    ):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(bytes(1000))
        for path in (folder / "file", folder):
            os.utime(path, (OLD, OLD))
    os.utime(temporary / "lenet-bench-new")
    (cache / "digits").symlink_to(tmp_path / "profiles")
    return tmp_path


def names(found):
    return [each.path.name for each in found]


REMOVABLE = [
    *("folders", "local-0123456789abcdef", "mnist", "environment-mindspore-2.7.0-py311"),
    *("environment-mindspore-2.11.0.dev1+cpu@0123456789ab-py311", "cuda-11.8", "lenet-bench-left"),
]


def everything(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_lists_what_it_would_remove(places):
    before = everything(places)
    found = clean()
    assert names(found) == REMOVABLE
    assert {each.bytes for each in found} == {1000}
    assert everything(places) == before


def test_removes_that_and_nothing_else(places):
    before = everything(places)
    assert names(clean(delete=True)) == REMOVABLE
    gone = {path.split("/")[1] for path in set(before) - set(everything(places)) if "/" in path}
    assert gone == set(REMOVABLE)
    assert clean() == []


@pytest.mark.parametrize("kind", ALL)
def test_one_kind_only(places, kind):
    assert {each.kind for each in clean([kind], delete=True)} == {kind}
    assert kind not in {each.kind for each in clean()}
    assert len(clean()) >= len(REMOVABLE) - 3


def test_keeps_what_is_in_use(places):
    inside = places / "temporary/lenet-bench-left"
    with subprocess.Popen([sys.executable, "-c", "input()"], cwd=inside, stdin=subprocess.PIPE) as process:
        try:
            with locked("mnist"):
                kept = {each.path.name: each.kept for each in clean(delete=True) if each.kept}
        finally:
            process.stdin.close()
    assert kept == {"mnist": "another process makes it", "lenet-bench-left": "a process works in it"}
    assert inside.is_dir()


def test_keeps_a_temporary_folder_in_whose_depth_something_is_written(places):
    """As a node of a cluster writes the records of a long group: the folder's own time stays that of its start."""
    deep = places / "temporary/lenet-bench-left/run/records"
    deep.mkdir(parents=True)
    (deep / "record.json").touch()
    for folder in (deep, deep.parent, deep.parent.parent):
        os.utime(folder, (OLD, OLD))
    assert clean(["temporary"]) == []
    os.utime(deep / "record.json", (OLD, OLD))
    assert names(clean(["temporary"])) == ["lenet-bench-left"]


@pytest.mark.skipif(sys.platform == "win32", reason="its locks are of other calls")
def test_a_cache_on_a_file_system_without_locks_is_emptied_too(places, monkeypatch):
    import fcntl

    real, cache = fcntl.flock, places / "cache"

    def flock(descriptor, flags):
        if Path(f"/proc/self/fd/{descriptor}").readlink().is_relative_to(cache):
            raise OSError(errno.ENOLCK, "No locks available")
        real(descriptor, flags)

    monkeypatch.setattr("fcntl.flock", flock)
    with locked("mnist"):
        kept = {each.path.name: each.kept for each in clean(["data"], delete=True) if each.kept}
    assert kept == {"mnist": "another process makes it"}
    assert names(clean(["data"], delete=True)) == ["mnist"]
    assert clean(["data"]) == []


def test_what_an_interrupted_removal_leaves_is_no_entry_and_is_removed_later(places, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", interrupted)
        with pytest.raises(KeyboardInterrupt):
            clean(["environments"], delete=True)
    assert not (places / "cache/environment-mindspore-2.7.0-py311").exists()
    assert len(clean(["environments"], delete=True)) == 1
    assert clean(["environments"]) == []


def test_a_folder_that_cannot_be_renamed_as_one_of_a_containers_image(places, monkeypatch):
    def across(*_):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr("pathlib.Path.rename", across)
    (found,) = clean(["stand-ins"], delete=True)
    assert found.kept == ""
    assert not (places / "cache/cuda-11.8").exists()


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="Windows has no user ids")
def test_keeps_what_another_user_made(places, monkeypatch):
    monkeypatch.setattr("os.getuid", lambda: 12345)
    found = clean(["data", "environments", "stand-ins"], delete=True)
    assert {each.kept for each in found} == {"another user made it"}
    assert (places / "cache/mnist/file").exists()


def test_a_kind_that_there_is_not():
    with pytest.raises(UsageError, match="--only 'caches': choose from data, environments"):
        clean(["caches"])


def test_the_command(places, monkeypatch, capsys):
    for arguments, said in (((), "--yes would remove 0.0 MB; nothing is removed"), (("--yes",), "removed 0.0 MB")):
        monkeypatch.setattr(sys, "argv", ["lenet-bench", "clean", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0
        assert said in capsys.readouterr().out
    assert not (places / "cache/mnist").exists()
    assert (places / "profiles/file").exists()
