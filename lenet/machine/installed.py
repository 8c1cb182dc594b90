"""What is installed: every package with its version, and the libraries inside them that speed depends on.

Nothing here imports a framework: what a framework's folder says is read, and what a library says is asked in a process
of its own.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions, version
from pathlib import Path
from typing import Any, cast

from lenet.cases.frameworks import ABILITIES, Framework

QUERY_SECONDS = 20
MOST_BYTES = 2**16

ONEDNN_QUERY = """
import ctypes, sys
class Version(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in ("major", "minor", "patch")]
library = ctypes.CDLL(sys.argv[1])
library.dnnl_version.restype = ctypes.POINTER(Version)
v = library.dnnl_version().contents
print(f"{v.major}.{v.minor}.{v.patch}")
"""
"""`dnnl_version` of oneDNN's C interface; the structure's later fields are left away."""


def package_version(package: str) -> str | None:
    """The version of an installed package, by the name that pip gives it; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def framework_version(framework: Framework) -> str | None:
    """The installed version of a framework, read from its package's metadata; None if it is not installed."""
    return package_version(ABILITIES[framework].package)


def packages() -> dict[str, str]:
    """Every distribution that Python finds, by its normal name: the lock of this environment."""
    found: dict[str, str] = {}
    for each in distributions():
        with contextlib.suppress(Exception):  # a damaged package is no reason not to measure
            name = re.sub(r"[-_.]+", "-", each.metadata["Name"]).lower()
            found.setdefault(name, each.version)  # the first on the path is the one that is imported
    return dict(sorted(found.items()))


def libraries(cann: str | None) -> dict[str, str]:
    """Builds and versions of what packages carry inside: MindSpore's commit, its oneDNN, NumPy's BLAS, CANN.

    `cann` is the folder that ASCEND_HOME_PATH names.
    """
    found = {}
    with contextlib.suppress(PackageNotFoundError):
        mindspore = distribution(ABILITIES[Framework.MINDSPORE].package)
        found["mindspore build"] = _commit(mindspore)
        found["mindspore onednn"] = _onednn(Path(str(mindspore.locate_file("mindspore/lib"))))
    found["numpy blas"] = _blas()
    if cann:
        found["cann"] = _cann(Path(cann))
    return {name: text for name, text in found.items() if text}


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES).decode(errors="replace")
    except OSError:
        return ""


def _commit(mindspore: Distribution) -> str:
    text = _read(Path(str(mindspore.locate_file("mindspore/.commit_id"))))
    match = re.search(r"\[sha1\]:([0-9a-f]{6,40})(?:,\[branch\]:\(?([A-Za-z0-9_./, -]{1,80}))?", text)
    return " ".join(filter(None, match.groups())) if match else ""


def _onednn(folder: Path) -> str:
    for path in sorted(folder.glob("libdnnl.so*")):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            answer = subprocess.run(
                [sys.executable, "-I", "-c", ONEDNN_QUERY, str(path)],
                capture_output=True, text=True, timeout=QUERY_SECONDS, check=True,
            )  # fmt: skip
            return answer.stdout.strip()[:80]
    return ""


def _blas() -> str:
    """Name, version and build of NumPy's BLAS, without the folders in which it was built."""
    import numpy as np

    try:
        told: Any = cast(Any, np.show_config)(mode="dicts")  # its type says that it only prints
        blas = told["Build Dependencies"]["blas"]
    except (KeyError, TypeError):
        return ""
    parts = [blas.get("name"), blas.get("version"), blas.get("openblas configuration")]
    return " ".join(str(part) for part in parts if part and part != "unknown" and "/" not in str(part))[:300]


def _cann(folder: Path) -> str:
    for name in ("version.cfg", "version.info", "compiler/version.info", "runtime/version.info"):
        match = re.search(
            r"(?im)^\s*(?:runtime_running_)?version\s*=\s*\[?([A-Za-z0-9.:_-]{1,60})", _read(folder / name)
        )
        if match:
            return match[1]
    return ""
