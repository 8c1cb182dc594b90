"""Submissions: one file of a sealed run, read without trust."""

from __future__ import annotations

import io
import random
import shutil
import stat
import zipfile
from pathlib import Path

import pytest

from lenet.errors import StoreError
from lenet.files.folder import scan
from lenet.store import submission
from lenet.store.seal import SEAL, SIGNATURE, is_covered, write_seal
from lenet.store.submission import pack, unpacked


@pytest.fixture(scope="module")
def run(honest_run, tmp_path_factory):
    """The honest run, sealed and with a signature that nobody checks here."""
    folder = shutil.copytree(honest_run, tmp_path_factory.mktemp("packed") / "run")
    write_seal(folder)
    (folder / SIGNATURE).write_text("signature")
    return folder


@pytest.fixture(scope="module")
def packed(run):
    return pack(scan(run))


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_it_holds_the_sealed_files_byte_for_byte_and_no_log_or_table(run, packed, tmp_path):
    (tmp_path / "s.zip").write_bytes(packed)
    with unpacked(tmp_path / "s.zip") as folder:
        found = contents(folder)
        assert not list(folder.rglob("*.log"))
        inside = folder
    assert not inside.exists()
    expected = {name: data for name, data in contents(run).items() if is_covered(name) or name in (SEAL, SIGNATURE)}
    assert found == expected
    assert len(expected) == 4 + len(list((run / "records").iterdir()))
    assert any(name.startswith("logs/") for name in contents(run))
    assert pack(scan(run)) == packed, "the same run gives the same bytes"


def archive(*members, compression=zipfile.ZIP_DEFLATED, text="{}", always=("manifest.json", SEAL)):
    """A ZIP file of these names or members with that text each, beside those that are always there."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as made:
        for each in (*always, *members):
            made.writestr(each, text)
    return file.getvalue()


def member(name, mode):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


HOSTILE = {
    "empty": b"",
    "no-zip": b"manifest.json",
    "tar": b"\x1f\x8b" + b"\0" * 100,
    "traversal": archive("../outside.json"),
    "deep-traversal": archive("records/../../outside.json"),
    "absolute": archive("/tmp/outside.json"),
    "drive": archive("C:/outside.json"),
    "backslash": archive("records\\..\\..\\outside.json"),
    "folder": archive("records/"),
    "log": archive("logs/x.log"),
    "table": archive("table.html"),
    "page": archive("index.html"),
    "hidden": archive("records/.git"),
    "control": archive("records/a\nb.json"),
    "long": archive("records/" + "x" * 300),
    "not-ascii": archive("records/\N{CYRILLIC SMALL LETTER A}.json"),
    "link": archive(member("records/a.json", stat.S_IFLNK | 0o777)),
    "pipe": archive(member("records/a.json", stat.S_IFIFO | 0o644)),
    "folder-as-file": archive(member("records/a.json", stat.S_IFDIR | 0o755)),
    "bzip2": archive("records/a.json", compression=zipfile.ZIP_BZIP2),
    "lzma": archive("records/a.json", compression=zipfile.ZIP_LZMA),
    "no-seal": archive(always=("manifest.json",)),
    "no-manifest": archive(always=(SEAL,)),
}


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
@pytest.mark.parametrize("name", [*HOSTILE, "duplicate", "encrypted"])
def test_what_no_submission_has_is_one_sentence_and_writes_nothing(tmp_path, name):
    path, inside = tmp_path / "s.zip", tmp_path / "inside"
    inside.mkdir()
    if name == "duplicate":
        data = archive("records/a.json", "records/a.json")
    elif name == "encrypted":
        whole = archive()
        at = whole.index(b"PK\x01\x02") + 8
        data = whole[:at] + b"\x01" + whole[at + 1 :]
    else:
        data = HOSTILE[name]
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"s\.zip is no submission") as caught, unpacked(path, inside):
        raise AssertionError("it is taken")
    assert str(caught.value).isprintable()
    assert list(inside.iterdir()) == []
    assert sorted(each.name for each in tmp_path.iterdir()) == ["inside", "s.zip"]
    assert not Path("/tmp/outside.json").exists()


class TestLimits:
    """Before anything is unpacked."""

    def refused(self, path, match):
        with pytest.raises(StoreError, match=match), unpacked(path):
            raise AssertionError("it is taken")

    def test_of_the_file(self, tmp_path, packed, monkeypatch):
        monkeypatch.setattr(submission, "MAX_BYTES", len(packed) - 1)
        (tmp_path / "s.zip").write_bytes(packed)
        self.refused(tmp_path / "s.zip", "it is larger than")

    def test_of_what_is_unpacked(self, tmp_path):
        """A gigabyte of zeros takes a megabyte."""
        zeros = io.BytesIO()
        with zipfile.ZipFile(zeros, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made:
            made.writestr("manifest.json", "{}")
            made.writestr(SEAL, "")
            with made.open("events.jsonl", "w", force_zip64=True) as target:
                for _ in range(1025):
                    target.write(b"\0" * 2**20)
        assert len(zeros.getvalue()) < 2**23
        (tmp_path / "s.zip").write_bytes(zeros.getvalue())
        self.refused(tmp_path / "s.zip", "it would take 1025 MiB")

    def test_of_a_member_that_lies_about_its_size(self, tmp_path):
        """The table of contents says 3 bytes, and a megabyte would come out: never more than 3 are written."""
        whole = archive("records/a.json", text="\0" * 2**20)
        data = whole.replace((2**20).to_bytes(4, "little"), (3).to_bytes(4, "little"))
        assert data != whole
        (tmp_path / "s.zip").write_bytes(data)
        self.refused(tmp_path / "s.zip", "is no submission: Bad CRC-32")

    def test_of_the_number_of_files(self, tmp_path, monkeypatch):
        monkeypatch.setattr(submission, "MAX_MEMBERS", 5)
        (tmp_path / "s.zip").write_bytes(archive(*(f"records/{number}.json" for number in range(4))))
        self.refused(tmp_path / "s.zip", "more than 5 files")

    def test_of_a_run_to_pack(self, run, monkeypatch):
        for name, limit in (("MAX_MEMBERS", 3), ("MAX_UNPACKED_BYTES", 1000), ("MAX_BYTES", 1000)):
            with monkeypatch.context() as patch:
                patch.setattr(submission, name, limit)
                with pytest.raises(StoreError, match="too large to submit"):
                    pack(scan(run))


def test_a_damaged_submission_is_refused_or_unpacks_what_was_packed(packed, run, tmp_path, seed):
    expected = {name: data for name, data in contents(run).items() if is_covered(name) or name in (SEAL, SIGNATURE)}
    draw = random.Random(seed)
    refused = 0
    for _ in range(150):
        data = bytearray(packed)
        for _ in range(draw.choice((1, 1, 3, 30))):
            data[draw.choice((draw.randrange(len(data)), draw.randrange(len(data) - 3000, len(data))))] = (
                draw.randrange(256)
            )
        if draw.randrange(4) == 0:
            del data[draw.randrange(len(data)) :]
        (tmp_path / "s.zip").write_bytes(data)
        try:
            with unpacked(tmp_path / "s.zip") as folder:
                assert contents(folder).items() <= expected.items()
        except StoreError:
            refused += 1
    assert refused > 50


def test_a_file_that_cannot_be_read(tmp_path):
    for path in (tmp_path / "nowhere.zip", tmp_path):
        with pytest.raises(StoreError, match="cannot read"), unpacked(path):
            raise AssertionError("it is taken")
