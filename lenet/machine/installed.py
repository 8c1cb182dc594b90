"""Versions of the installed packages, and of the libraries inside them that affect speed.

No framework is imported: its files are read, and a library is loaded in a process of its own.
"""

from __future__ import annotations

import contextlib
import functools
import re
import shutil
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from lenet.cases.frameworks import ABILITIES, Framework
from lenet.machine.programs import ProgramError, output, quoted

QUERY_SECONDS = 20
MAX_FILE_BYTES = 2**16

CANN_VERSION_FILES = (
    *("compiler/version.info", "version.info", "version.cfg", "ascend_toolkit_install.info", "runtime/version.info"),
)

ONEDNN_QUERY = """
import ctypes, sys
class Version(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in ("major", "minor", "patch")]
library = ctypes.CDLL(sys.argv[1])
library.dnnl_version.restype = ctypes.POINTER(Version)
v = library.dnnl_version().contents
print(f"{v.major}.{v.minor}.{v.patch}")
"""
"""Calls `dnnl_version` of oneDNN's C interface; later fields of the structure are not declared."""


LIBRARY_QUERY = """
import ctypes, sys
try:
    ctypes.CDLL(sys.argv[1])
except OSError:
    print("no")
else:
    print("yes")
"""


def has_library(name: str) -> bool:
    """Whether the dynamic linker finds the shared library of that name, and can load it."""
    with contextlib.suppress(ProgramError):
        return _is_loaded(name)
    return False


@functools.cache
def _is_loaded(name: str) -> bool:
    """What the dynamic linker says.

    Raises:
        ProgramError: it cannot be asked; the next call asks again.
    """
    return output(sys.executable, "-I", "-c", LIBRARY_QUERY, name, seconds=QUERY_SECONDS) == "yes"


def package_version(package: str) -> str | None:
    """The version of an installed package, by the name that pip gives it; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def framework_version(framework: Framework) -> str | None:
    """The installed version of a framework, read from its package's metadata; None if it is not installed."""
    return package_version(ABILITIES[framework].package)


def install_command(*requirements: str) -> str:
    """The command that installs into the environment that this runs in, whichever is activated and whatever made it."""
    wanted = " ".join(map(quoted, requirements))
    python = quoted(sys.executable)
    if find_spec("pip") is not None:
        return f"{python} -m pip install {wanted}"
    if shutil.which("uv") is not None:  # its environments have no pip
        return f"uv pip install --python {python} {wanted}"
    return f"{python} -m ensurepip && {python} -m pip install {wanted}"


def packages() -> dict[str, str]:
    """Return the version of every distribution that Python finds, by its normalized name."""
    found: dict[str, str] = {}
    for each in distributions():
        with contextlib.suppress(Exception):  # a package with damaged metadata
            name = re.sub(r"[-_.]+", "-", each.metadata["Name"]).lower()
            found.setdefault(name, each.version)  # the first on the path is the one that is imported
    return dict(sorted(found.items()))


def libraries(cann: str | None) -> dict[str, str]:
    """Return versions of libraries by name: MindSpore's build and its oneDNN, NumPy's BLAS, CANN.

    `cann` is CANN's folder, the value of ASCEND_HOME_PATH. What is not found is left out.
    """
    found = {}
    with contextlib.suppress(PackageNotFoundError):
        mindspore = distribution("mindspore")
        found["mindspore build"] = _commit(mindspore)
        found["mindspore onednn"] = _onednn(Path(str(mindspore.locate_file("mindspore/lib"))))
    found["numpy blas"] = _blas()
    if cann:
        found["cann"] = cann_version(Path(cann)) or ""
    return {name: text for name, text in found.items() if text}


def cann_version(folder: Path) -> str | None:
    """Return the version of the CANN in `folder`, from its own files; None if they contain none."""
    for name in CANN_VERSION_FILES:
        # `Version=8.5.0`, `version=8.2.RC1`, `runtime_running_version=[8.2.0.1.220:8.2.RC1]`
        pattern = r"(?im)^\s*\w*version\s*=\s*\[?(?:[^:\]\s]*:)?(\d+\.\d+[\w.]*)"
        if found := re.search(pattern, _read(folder / name)):
            return found[1][:60]
    return None


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES).decode(errors="replace")
    except OSError:
        return ""


def _commit(mindspore: Distribution) -> str:
    text = _read(Path(str(mindspore.locate_file("mindspore/.commit_id"))))
    match = re.search(r"\[sha1\]:([0-9a-f]{6,40})(?:,\[branch\]:\(?([A-Za-z0-9_./, -]{1,80}))?", text)
    return " ".join(filter(None, match.groups())) if match else ""


def _onednn(folder: Path) -> str:
    for path in sorted(folder.glob("libdnnl.so*")):
        with contextlib.suppress(ProgramError):
            return output(sys.executable, "-I", "-c", ONEDNN_QUERY, str(path), seconds=QUERY_SECONDS)[:80]
    return ""


def _blas() -> str:
    """Name, version and build of NumPy's BLAS, without the folders of its build."""
    import numpy as np

    try:
        config: Any = cast(Any, np.show_config)(mode="dicts")  # declared to return None
        blas = config["Build Dependencies"]["blas"]
    except (KeyError, TypeError):
        return ""
    parts = [blas.get("name"), blas.get("version"), blas.get("openblas configuration")]
    return " ".join(str(part) for part in parts if part and part != "unknown" and "/" not in str(part))[:300]
