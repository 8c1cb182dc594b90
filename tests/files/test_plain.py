"""Plain files: no link followed, no pipe waited for, sizes capped; written whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lenet.errors import StoreError
from lenet.files.plain import create, open_plain, read_named, read_plain, replace, write_named
from lenet.files.text import MAX_FILE_BYTES, make_folder, read_text, write_atomically


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file"


@pytest.mark.parametrize("read", [read_plain, read_named])
def test_a_file_of_the_largest_size_is_read_and_one_byte_more_is_not(path, read):
    path.write_bytes(b"12345678")
    assert read(path, 8) == b"12345678"
    with pytest.raises(OSError, match="larger") as error:
        read(path, 7)
    assert error.value.errno == errno.EFBIG


def test_a_link_is_followed_only_where_the_user_named_it(path, tmp_path):
    target = tmp_path / "target"
    target.write_text("mine")
    path.symlink_to(target)
    with pytest.raises(OSError, match="symbolic link"):
        read_plain(path, 100)
    assert read_named(path, 100) == b"mine"


def test_a_pipe_is_not_waited_for_unless_the_user_named_it(path):
    os.mkfifo(path)
    with pytest.raises(OSError, match="not a plain file"):
        read_plain(path, 100)
    writer = threading.Thread(target=path.write_bytes, args=(b"sent",))
    writer.start()
    assert read_named(path, 100) == b"sent"
    writer.join()


@pytest.mark.parametrize("other", ["/dev/zero", "/"])
def test_devices_and_folders_are_no_files(other):
    with pytest.raises(OSError, match="not a plain file"):
        open_plain(Path(other))


def test_no_descriptor_is_left_open(path):
    os.mkfifo(path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(OSError, match="not a plain file"):
        open_plain(path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_in_a_run_nothing_but_a_plain_file_is_replaced(path, tmp_path):
    target = tmp_path / "target"
    target.write_text("theirs")
    path.symlink_to(target)
    os.mkfifo(tmp_path / "pipe")
    for other in (path, tmp_path / "pipe"):
        for write in (lambda name: replace(name, b"new"), create):
            with pytest.raises(OSError, match="not a plain file"):
                write(other)
    assert (path.is_symlink(), target.read_text()) == (True, "theirs")
    assert (tmp_path / "pipe").is_fifo()
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_permissions_are_those_of_the_umask_or_of_the_file_before(path, umask, mode):
    before = os.umask(umask)
    try:
        replace(path, b"new")
        assert stat.S_IMODE(path.stat().st_mode) == mode
        path.chmod(0o646)
        replace(path, b"newer")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o646


class TestNamed:
    """A path that the user named."""

    def test_the_target_of_a_link_is_written_and_the_link_stays(self, path, tmp_path):
        (tmp_path / "inside").mkdir()
        (tmp_path / "inside" / "next").symlink_to("../target")
        path.symlink_to("inside/next")
        for content in (b"made", b"replaced"):
            write_named(path, content)
            assert (tmp_path / "target").read_bytes() == content
        assert path.is_symlink()
        assert (tmp_path / "inside" / "next").is_symlink()

    def test_a_ring_of_links(self, path, tmp_path):
        path.symlink_to(tmp_path / "other")
        (tmp_path / "other").symlink_to(path)
        with pytest.raises(OSError, match="symbolic link"):
            write_named(path, b"x")

    def test_a_pipe(self, path):
        os.mkfifo(path)
        read = []
        reader = threading.Thread(target=lambda: read.append(path.read_bytes()))
        reader.start()
        write_named(path, b"sent")
        reader.join()
        assert read == [b"sent"]
        assert path.is_fifo()

    def test_a_device(self, path):
        write_named(Path("/dev/null"), b"gone")
        assert Path("/dev/null").is_char_device()
        path.symlink_to("/dev/full")
        with pytest.raises(OSError, match="No space left"):
            write_named(path, b"x")
        assert path.is_symlink()

    @pytest.mark.skipif(os.geteuid() != 0, reason="makes devices: only root may")
    def test_a_device_in_any_folder_and_a_disk(self, path, tmp_path):
        disk = tmp_path / "disk"
        try:
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
            os.mknod(disk, stat.S_IFBLK | 0o666, os.makedev(7, 250))
            write_named(path, b"gone")
        except PermissionError:
            pytest.skip("makes devices, which this container may not")
        assert path.is_char_device()
        with pytest.raises(OSError, match="not a plain file"):
            write_named(disk, b"x")
        assert disk.is_block_device()

    @pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
    @pytest.mark.parametrize("redirect", [">", ">>", "| cat >", "| cat >>"])
    def test_standard_output_wherever_it_goes(self, path, name, redirect):
        code = f"from pathlib import Path; from lenet.files.plain import write_named as w; w(Path({name!r}), b'new')"
        path.write_text("before ")
        subprocess.run(f'"{sys.executable}" -c "{code}" {redirect} {path}', shell=True, check=True)
        assert path.read_text() == ("before new" if ">>" in redirect else "new")

    def test_a_folder(self, tmp_path):
        for name in (tmp_path, tmp_path / ".", Path(), Path("..")):
            with pytest.raises(OSError, match="not a plain file"):
                write_named(name, b"x")

    def test_a_file_that_cannot_be_renamed_over_is_written_in_its_place(self, path, tmp_path, monkeypatch):
        path.write_text("longer than what follows")

        def busy(*_):
            raise OSError(errno.EBUSY, "Device or resource busy")

        monkeypatch.setattr(Path, "replace", busy)
        write_named(path, b"new")
        assert path.read_text() == "new"
        assert list(tmp_path.iterdir()) == [path]
        with pytest.raises(OSError, match="busy"):
            write_named(tmp_path / "absent", b"new")


def test_what_cannot_be_written_leaves_the_old_file_and_nothing_else(path, tmp_path, monkeypatch):
    replace(path, b"old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("lenet.files.plain.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        replace(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_file_and_folder_are_flushed(path, monkeypatch):
    flushed = []
    real = os.fsync

    def note(descriptor):
        flushed.append(stat.S_IFMT(os.fstat(descriptor).st_mode))
        real(descriptor)

    monkeypatch.setattr("lenet.files.plain.os.fsync", note)
    replace(path, b"new")
    assert flushed == [stat.S_IFREG, stat.S_IFDIR]


class TestTextOfARun:
    def test_what_is_written_is_read(self, path):
        write_atomically(path, "ä\n")
        assert path.read_bytes() == "ä\n".encode()
        assert read_text(path) == "ä\n"

    @pytest.mark.parametrize(
        ("content", "words"), [(b"\xff", "not UTF-8"), (bytes(MAX_FILE_BYTES + 1), "larger than 64 MiB")]
    )
    def test_other_content(self, path, content, words):
        path.write_bytes(content)
        with pytest.raises(StoreError, match=words):
            read_text(path)

    @pytest.mark.parametrize("write", [lambda path: write_atomically(path / "a", ""), make_folder])
    def test_a_file_in_the_place_of_the_folder(self, path, write):
        path.write_text("")
        with pytest.raises(StoreError, match="choose another --output"):
            write(path)
