"""Wheel files as releases: what they are called, and what of a bad one a person is told."""

from __future__ import annotations

import hashlib
import random
import re
import zipfile

import pytest
from make_wheel import make_wheel
from pydantic import ValidationError

from lenet.cases import wheels
from lenet.cases.axes import axis
from lenet.cases.case import Case
from lenet.cases.matrix import Matrix
from lenet.cases.presets import load_file, override
from lenet.cases.wheels import is_wheel, parse_release, wheel_of
from lenet.errors import UsageError


@pytest.mark.parametrize(
    "version", ["2.11.0", "2.11.0.post1", "2.11.0.dev20261125", "2.11.0rc1.post2.dev3+cpu.avx2", "2.11.0+ci.17"]
)
def test_a_wheel_file_is_called_by_its_version_and_digest(tmp_path, version):
    path = make_wheel(tmp_path, version=version)
    release = parse_release(str(path))
    assert release == f"{version}@{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
    assert Case(framework_version=release).framework_version == release
    assert is_wheel(release)
    assert not is_wheel(version)
    assert wheel_of(release).path == path
    assert parse_release(release) == release, "as tables show it"


def test_two_builds_of_one_version_are_two_releases_and_a_copy_is_the_same(tmp_path):
    first = make_wheel(tmp_path / "a", files={"mindspore.py": "1"})
    second = make_wheel(tmp_path / "b", files={"mindspore.py": "2"})
    copy = tmp_path / "c" / first.name
    copy.parent.mkdir()
    copy.write_bytes(first.read_bytes())
    assert parse_release(str(first)) != parse_release(str(second))
    assert parse_release(str(first)) == parse_release(str(copy))
    first.write_bytes(second.read_bytes())
    assert parse_release(str(first)) == parse_release(str(second)), "read again after it has changed"


def test_a_large_file_is_read_once_however_often_it_is_named(tmp_path, monkeypatch):
    path = make_wheel(tmp_path)
    release = parse_release(str(path))
    monkeypatch.setattr(wheels.hashlib, "sha256", lambda: pytest.fail("read again"))
    assert parse_release(str(path)) == release
    assert axis("version").is_named(str(path), release, release), "for --over and --baseline"


def test_a_home_folder_behind_a_comma_which_no_shell_expands(tmp_path, monkeypatch):
    make_wheel(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (name,) = (path.name for path in tmp_path.glob("*.whl"))
    matrix = override(Matrix(), versions=f"2.10.0,~/{name}")
    assert [is_wheel(each) for each in matrix.versions] == [False, True]
    assert len({case.id for case in matrix.cases()}) == len(matrix.cases())


def test_a_matrix_file_names_wheel_files_and_a_manifest_cannot(tmp_path):
    path = make_wheel(tmp_path)
    (tmp_path / "m.toml").write_text(f'versions = ["2.10.0", "{path}"]\n')
    assert load_file(tmp_path / "m.toml").versions == ("2.10.0", parse_release(str(path)))
    (tmp_path / "m.toml").write_text('versions = ["nowhere.whl"]\n')
    with pytest.raises(UsageError, match=r"m\.toml: versions: cannot read the wheel file"):
        load_file(tmp_path / "m.toml")
    with pytest.raises(ValidationError):
        Matrix(versions=(str(path),))


def no_archive(folder):
    path = make_wheel(folder)
    path.write_bytes(b"not a zip")
    return path


def cut_off(folder):
    path = make_wheel(folder)
    path.write_bytes(path.read_bytes()[:-30])
    return path


def of_two_packages(folder):
    path = make_wheel(folder)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other-1.0.dist-info/METADATA", "Name: other\n")
    return path


def a_folder(folder):
    path = folder / "mindspore-2.11.0-py3-none-any.whl"
    path.mkdir()
    return path


def renamed(folder):
    return make_wheel(folder).rename(folder / "the new one.whl")


BAD = {
    "absent": (lambda folder: folder / "mindspore-2.11.0-py3-none-any.whl", "cannot read the wheel file"),
    "a folder": (a_folder, "is not a file"),
    "renamed": (renamed, "is not the name of a wheel file: keep the one that it was built with"),
    "of another package": (lambda folder: make_wheel(folder, "numpy"), "is a wheel of numpy: name one of mindspore"),
    "no archive": (no_archive, "is not a whole wheel file"),
    "cut off": (cut_off, "is not a whole wheel file"),
    "of two packages": (of_two_packages, "does not hold the metadata of one package"),
    "of another version inside": (
        lambda folder: make_wheel(folder, stated=("mindspore", "2.12.0")), "contains mindspore 2.12.0"
    ),
    "of another package inside": (
        lambda folder: make_wheel(folder, stated=("evil\x1b[31m", "2.11.0")), "give the file the name"
    ),
    "large metadata": (lambda folder: make_wheel(folder, headers="X: x\n" * 2**19), "larger than 1 MiB"),
    "addresses of its own": (
        lambda folder: make_wheel(folder, headers="Requires-Dist: numpy @ https://example.org/numpy.whl\n"),
        "requires packages from addresses of its own",
    ),
    "a version without end": (lambda folder: make_wheel(folder, version=f"2.11.0+{'a' * 60}"), "is not a version"),
    "an epoch": (lambda folder: make_wheel(folder, version="1!2.11.0"), "is not a version"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "words"), BAD.values(), ids=BAD)
def test_a_bad_file_is_one_sentence(tmp_path, make, words):
    path = make(tmp_path)
    with pytest.raises(UsageError, match=re.escape(words)):
        override(Matrix(), versions=f"2.10.0,{path}")


@pytest.mark.parametrize("text", ["latest", "2", "2.10.0\n", "2.11.0@12", "2.11.0@0123456789AB", "mindspore-2.10.0"])
def test_what_is_neither_a_release_nor_a_file(text):
    with pytest.raises(UsageError, match="is neither a release such as"):
        parse_release(text)


def test_damaged_bytes_are_a_wheel_or_one_sentence(tmp_path, seed):
    chance = random.Random(seed)
    path = make_wheel(tmp_path)
    whole, found = path.read_bytes(), []
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path.write_bytes(damaged)
        wheels._examined.cache_clear()
        try:
            found.append(parse_release(str(path)))
        except UsageError as error:
            found.append(str(error))
    assert len(found) == 300
    assert all(path.name in each or re.fullmatch(r"2\.11\.0@[0-9a-f]{12}", each) for each in found)
