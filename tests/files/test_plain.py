"""Plain files: no link followed, no pipe waited for, sizes capped; written whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from lenet.errors import StoreError
from lenet.files.plain import open_plain, read_named, read_plain, replace
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


def test_a_file_is_replaced_and_not_the_target_of_a_link(path, tmp_path):
    target = tmp_path / "target"
    target.write_text("theirs")
    path.symlink_to(target)
    replace(path, b"new")
    assert (path.read_bytes(), path.is_symlink(), target.read_text()) == (b"new", False, "theirs")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644, "others may read it, whatever the umask of the temporary file"


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
