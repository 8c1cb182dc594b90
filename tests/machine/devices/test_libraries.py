"""What libraries need and where the loader finds it, on real libraries and on small ones made here."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path

import numpy
import pytest

from lenet.machine.devices.libraries import loader_cache, read, resolve
from lenet.machine.programs import ProgramError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ELF is Linux's")


@pytest.fixture(autouse=True)
def _fresh_loader_cache():
    """A test of imitated programs may have filled it."""
    loader_cache.cache_clear()


@pytest.fixture
def build(tmp_path):
    """Make a shared library `name` in `folder` that needs others."""
    if (compiler := shutil.which("cc")) is None:
        pytest.skip("no C compiler here")

    def make(folder, name, needs=(), *flags):
        folder = tmp_path / folder
        folder.mkdir(exist_ok=True)
        out = folder / name
        source = tmp_path / "empty.c"
        source.write_text(f"int {name.split('.')[0]}(void) {{ return 1; }}\n")
        links = [str(path) for path in needs]
        command = [compiler, "-shared", "-fPIC", f"-Wl,-soname,{name}", "-Wl,--no-as-needed", *flags]
        subprocess.run([*command, "-o", str(out), str(source), *links], check=True, capture_output=True)
        return out

    return make


@pytest.fixture
def extension():
    """An extension of numpy's wheel, which finds its OpenBLAS by an $ORIGIN-relative path."""
    (found,) = Path(numpy.__file__).parent.glob("core/_multiarray_umath*.so")
    if not any("openblas" in name for name in read(found).libraries):
        pytest.skip("this numpy has no OpenBLAS of its own")
    return found


def test_a_real_extension_resolves_through_all_that_it_needs(extension):
    result = resolve(extension)
    assert result.absent == {}
    (blas,) = (path for name, path in result.found.items() if "openblas" in name)
    assert "numpy.libs" in str(blas)
    assert "libc.so.6" in result.found
    assert any("gfortran" in name or "quadmath" in name for name in result.found), "what OpenBLAS itself needs"


def test_a_copy_outside_its_wheel_lacks_what_the_wheel_contains(extension, tmp_path):
    moved = Path(shutil.copy(extension, tmp_path))
    ((name, by),) = resolve(moved, search=()).absent.items()
    assert "openblas" in name
    assert by == moved.name


def test_a_loaded_library_is_not_searched_for_and_its_own_needs_are(build):
    inner = build("inner", "inner.so")
    middle = build("middle", "middle.so", [inner])
    outer = build("outer", "outer.so", [middle])
    assert resolve(outer, search=()).absent == {"middle.so": "outer.so"}
    assert resolve(outer, {"middle.so": middle}, search=()).absent == {"inner.so": "middle.so"}
    assert resolve(outer, {"middle.so": middle, "inner.so": inner}, search=()).absent == {}


@pytest.mark.parametrize(("flag", "winner"), [("--disable-new-dtags", "own"), ("--enable-new-dtags", "search")])
def test_rpath_goes_before_the_search_path_and_runpath_after(build, flag, winner, monkeypatch):
    """As in the real loader."""
    own, search = build("own", "which.so"), build("search", "which.so")
    outer = build("outer", "outer.so", [own], f"-Wl,{flag}", f"-Wl,-rpath,{own.parent}")
    expected = {"own": own, "search": search}[winner]
    assert resolve(outer, search=[search.parent]).found["which.so"] == expected
    code = f"import ctypes; ctypes.CDLL({str(outer)!r}); print(open('/proc/self/maps').read())"
    maps = subprocess.run(
        [sys.executable, "-c", code], env={"LD_LIBRARY_PATH": str(search.parent)}, capture_output=True, text=True,
        check=True,
    ).stdout  # fmt: skip
    assert str(expected) in maps


def test_a_loaded_library_is_used_instead_of_one_on_the_path(build):
    """The worker relies on it: a loaded library is used regardless of DT_RPATH."""
    wanted, shadow = build("wanted", "which.so"), build("shadow", "which.so")
    outer = build("outer", "outer.so", [shadow], "-Wl,--disable-new-dtags", f"-Wl,-rpath,{shadow.parent}")
    code = (
        f"import ctypes; ctypes.CDLL({str(wanted)!r}, mode=ctypes.RTLD_GLOBAL); ctypes.CDLL({str(outer)!r})\n"
        "print(open('/proc/self/maps').read())"
    )
    maps = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert str(wanted) in maps
    assert str(shadow) not in maps
    assert resolve(outer, {"which.so": wanted}).found["which.so"] == wanted


def test_rpath_is_inherited(build):
    """As in the real loader."""
    inner = build("libs", "inner.so")
    middle = build("libs", "middle.so", [inner])
    outer = build("outer", "outer.so", [middle], "-Wl,--disable-new-dtags", f"-Wl,-rpath,{middle.parent}")
    assert resolve(outer, search=()).absent == {}
    ctypes.CDLL(str(outer))


def test_a_runpath_ends_the_inheritance_of_rpath(build):
    """As in the real loader, which does not find the library either."""
    inner = build("libs", "inner.so")
    middle = build("libs", "middle.so", [inner], "-Wl,--enable-new-dtags", "-Wl,-rpath,/nowhere")
    outer = build("outer", "outer.so", [middle], "-Wl,--disable-new-dtags", f"-Wl,-rpath,{middle.parent}")
    assert resolve(outer, search=()).absent == {"inner.so": "middle.so"}
    code = f"import ctypes; ctypes.CDLL({str(outer)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "OSError: inner.so" in done.stderr


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"#!/bin/sh\n", b"\x7fELF" + b"\xff" * 200])
def test_a_file_that_is_not_a_library_needs_nothing(content, tmp_path):
    path = tmp_path / "x.so"
    path.write_bytes(content)
    assert read(path) is None
    assert resolve(path).absent == {}


def test_a_circle_ends(build, tmp_path):
    first = build("circle", "first.so")
    second = build("circle", "second.so", [first])
    first = build("circle", "first.so", [second])
    read.cache_clear()
    assert resolve(first, search=[first.parent]).absent == {}


def test_a_loader_cache_that_could_not_be_read_is_asked_for_again(monkeypatch, tmp_path):
    """A machine that is too busy for `ldconfig` once does not miss libraries for the life of the process."""
    asked = tmp_path / "asked"
    program = tmp_path / "ldconfig"
    program.write_text(f"#!/bin/sh\n[ -e {asked} ] && exec /sbin/ldconfig -p\ntouch {asked}\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(ProgramError):
        loader_cache()
    assert "libc.so.6" in loader_cache()
    asked.unlink()
    assert "libc.so.6" in loader_cache(), "an answer is kept"
