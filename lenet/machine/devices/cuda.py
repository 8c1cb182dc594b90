"""CUDA 11 for MindSpore's GPU plugin, from the system or from PyPI's wheels (the extra `gpu`).

The plugin in MindSpore's wheel needs the libraries of CUDA 11 and cuDNN 8, and MindSpore tries it only if `CUDA_HOME`
is set and its `bin/nvcc --version` answers 11.x. NVIDIA publishes the libraries as wheels, none of which contains nvcc.
So without a CUDA 11 toolkit and with the wheels installed, the worker

- loads the wheels' libraries before MindSpore is imported. The loader then uses them for the plugin regardless of
  LD_LIBRARY_PATH: the plugin's DT_RPATH contains /usr/local/cuda/lib64, which the loader searches before
  LD_LIBRARY_PATH, so that another CUDA there would be mixed in (libcurand.so.10 is also in CUDA 12 and 13);
- sets `CUDA_HOME` to a folder in the cache whose `bin/nvcc` is a stand-in. It says so, compiles nothing, and answers
  `--version` with the release of the installed runtime wheel.

Not tested on a GPU, except that the libraries resolve.
"""

from __future__ import annotations

import ctypes
import functools
import re
from collections.abc import Mapping, MutableMapping
from importlib.metadata import distribution
from pathlib import Path

from lenet.files.plain import replace
from lenet.machine.devices.libraries import read
from lenet.machine.installed import package_version
from lenet.machine.programs import ProgramError, output

WHEELS = (
    "nvidia-cuda-runtime-cu11",
    "nvidia-cuda-nvrtc-cu11",
    "nvidia-cublas-cu11",
    "nvidia-cufft-cu11",
    "nvidia-curand-cu11",
    "nvidia-cusparse-cu11",
    "nvidia-cusolver-cu11",
    "nvidia-cudnn-cu11",
)
"""In loading order: each after those that it needs."""

DRIVER = "libcuda.so.1"
"""The one library of the plugin that comes with the driver and is in no wheel."""

NVCC_SECONDS = 10

STAND_IN = """#!/bin/sh
# Not a compiler. MindSpore reads the release of CUDA from `nvcc --version`; this answers with the release of the
# installed wheel nvidia-cuda-runtime-cu11, whose libraries lenet-bench loads.
[ "$1" = --version ] || {{ echo "lenet-bench's stand-in for nvcc compiles nothing" >&2; exit 1; }}
echo "nvcc: lenet-bench's stand-in for the wheel nvidia-cuda-runtime-cu11 {version}"
echo "Cuda compilation tools, release {release}, V{version}"
"""


def toolkit_release(home: str | None) -> tuple[str | None, str]:
    """Return the release of the CUDA toolkit in `home`, by its nvcc (`11.8`); or None and why it cannot be used."""
    if not home:
        return None, "CUDA_HOME is not set"
    try:
        version = output(str(Path(home) / "bin" / "nvcc"), "--version", seconds=NVCC_SECONDS)
    except ProgramError:
        return None, "CUDA_HOME has no bin/nvcc that answers"
    release = re.search(r"release (\d+)\.(\d+)", version)
    if release is None:
        return None, "CUDA_HOME's nvcc does not print its release"
    found = f"{release[1]}.{release[2]}"
    if release[1] != "11":
        return None, f"CUDA_HOME holds CUDA {found}, and MindSpore's GPU plugin needs 11.x"
    return found, ""


@functools.cache
def installed_wheels() -> Mapping[str, str]:
    """Return the installed ones of `WHEELS` with their versions."""
    versions = {name: package_version(name) for name in WHEELS}
    return {name: version for name, version in versions.items() if version is not None}


def missing_wheels() -> list[str]:
    """Return those of `WHEELS` that are not installed."""
    return [name for name in WHEELS if name not in installed_wheels()]


def wheel_libraries() -> dict[str, Path]:
    """Return the shared libraries of the installed wheels, file name to path, in loading order."""
    found: dict[str, Path] = {}
    for name in installed_wheels():
        for entry in distribution(name).files or ():
            path = Path(str(entry.locate()))
            if re.search(r"\.so(\.\d+)+$", path.name) and path.is_file():
                found[path.name] = path
    return found


def named_by(plugin: Path) -> dict[str, Path]:
    """Return the wheels' libraries that `plugin` needs, directly or through others, in loading order."""
    available = wheel_libraries()
    ordered: dict[str, Path] = {}

    def visit(path: Path) -> None:
        needs = read(path)
        for name in needs.libraries if needs else ():
            if name in available and name not in ordered:
                visit(available[name])
                ordered[name] = available[name]

    visit(plugin)
    return ordered


def stand_in(cache: Path) -> Path:
    """Make a CUDA_HOME in `cache` whose nvcc prints the release of the installed runtime wheel, and return its path.

    Raises:
        OSError: the cache cannot be written.
    """
    version = installed_wheels()["nvidia-cuda-runtime-cu11"]
    release = ".".join(version.split(".")[:2])
    home = cache / f"cuda-{version}"
    nvcc = home / "bin" / "nvcc"
    text = STAND_IN.format(version=version, release=release)
    if not nvcc.is_file() or nvcc.read_text(encoding="utf-8") != text:
        nvcc.parent.mkdir(parents=True, exist_ok=True)
        replace(nvcc, text.encode(), 0o755)
    return home


def prepare(plugin: Path, cache: Path, environment: MutableMapping[str, str]) -> list[str]:
    """Load the wheels' libraries and set CUDA_HOME, before MindSpore is imported, unless a toolkit is set up.

    For a worker: the libraries stay loaded. `environment` is the process's own. Returns the names of loaded libraries.
    """
    if toolkit_release(environment.get("CUDA_HOME"))[0] is not None or missing_wheels():
        return []
    loaded = []
    for name, path in named_by(plugin).items():
        try:
            ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue  # `doctor` names it, and so does MindSpore's error
        loaded.append(name)
    environment["CUDA_HOME"] = str(stand_in(cache))
    return loaded
