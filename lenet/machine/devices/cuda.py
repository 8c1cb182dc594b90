"""CUDA 11 for MindSpore's GPU plugin, from the system or from PyPI's wheels (the extra `gpu`).

The plugin that MindSpore's wheel carries names the libraries of CUDA 11 and cuDNN 8, and MindSpore tries it only where
`CUDA_HOME` is set and its `bin/nvcc --version` answers 11.x. NVIDIA publishes the libraries as wheels; none of them
holds nvcc. So where no CUDA 11 toolkit is set up and the wheels are installed, the worker

- loads the wheels' libraries before MindSpore is imported. The loader then takes them for the plugin whatever
  LD_LIBRARY_PATH says: the plugin's DT_RPATH has /usr/local/cuda/lib64, which the loader searches before
  LD_LIBRARY_PATH, and another CUDA there would be mixed in (libcurand.so.10 is also in CUDA 12 and 13);
- sets `CUDA_HOME` to a folder of the cache whose `bin/nvcc` is a stand-in. It says that it is one, compiles nothing,
  and answers `--version` with the release of the installed runtime wheel.

Never run on a GPU so far: that the libraries resolve is what was seen.
"""

from __future__ import annotations

import ctypes
import functools
import os
import re
import subprocess
from collections.abc import Mapping, MutableMapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from lenet.machine.devices.libraries import read

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
"""In an order in which each may be loaded after those that it needs."""

DRIVER = "libcuda.so.1"
"""The one library of the plugin that belongs to the driver and is in no wheel."""

NVCC_SECONDS = 10

STAND_IN = """#!/bin/sh
# Not a compiler. MindSpore reads the release of CUDA from `nvcc --version`; this answers with the release of the
# installed wheel nvidia-cuda-runtime-cu11, whose libraries lenet-bench loads.
[ "$1" = --version ] || {{ echo "lenet-bench's stand-in for nvcc compiles nothing" >&2; exit 1; }}
echo "nvcc: lenet-bench's stand-in for the wheel nvidia-cuda-runtime-cu11 {version}"
echo "Cuda compilation tools, release {release}, V{version}"
"""


def toolkit_release(home: str | None) -> tuple[str | None, str]:
    """The release that `home`'s nvcc tells (`11.8`), or None and what is wrong with it."""
    if not home:
        return None, "CUDA_HOME is not set"
    try:
        answer = subprocess.run(
            [str(Path(home) / "bin" / "nvcc"), "--version"],
            capture_output=True,
            text=True,
            timeout=NVCC_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None, "CUDA_HOME has no bin/nvcc that answers"
    release = re.search(r"release (\d+)\.(\d+)", answer.stdout)
    if release is None:
        return None, "CUDA_HOME's nvcc does not tell its release"
    found = f"{release[1]}.{release[2]}"
    if release[1] != "11":
        return None, f"CUDA_HOME holds CUDA {found}, and MindSpore's GPU plugin needs 11.x"
    return found, ""


@functools.cache
def installed_wheels() -> Mapping[str, str]:
    """Those of `WHEELS` that are installed here, with their versions."""
    found = {}
    for name in WHEELS:
        try:
            found[name] = distribution(name).version
        except PackageNotFoundError:
            continue
    return found


def absent_wheels() -> list[str]:
    """Those of `WHEELS` that are not installed here."""
    return [name for name in WHEELS if name not in installed_wheels()]


def wheel_libraries() -> dict[str, Path]:
    """The shared libraries of the installed wheels that the plugin may name, file name to file, in loading order."""
    found: dict[str, Path] = {}
    for name in installed_wheels():
        for entry in distribution(name).files or ():
            path = Path(str(entry.locate()))
            if re.search(r"\.so(\.\d+)+$", path.name) and path.is_file():
                found[path.name] = path
    return found


def named_by(plugin: Path) -> dict[str, Path]:
    """The wheels' libraries that `plugin` names, and those that these name, in an order in which each can be loaded."""
    available = wheel_libraries()
    ordered: dict[str, Path] = {}

    def take(path: Path) -> None:
        needs = read(path)
        for name in needs.libraries if needs else ():
            if name in available and name not in ordered:
                take(available[name])
                ordered[name] = available[name]

    take(plugin)
    return ordered


def stand_in(cache: Path) -> Path:
    """A CUDA_HOME in `cache` whose nvcc tells the release of the installed runtime wheel.

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
        partial = nvcc.with_name(f"nvcc.{os.getpid()}")
        partial.write_text(text, encoding="utf-8")
        partial.chmod(0o755)
        partial.replace(nvcc)
    return home


def prepare(plugin: Path, cache: Path, environment: MutableMapping[str, str]) -> list[str]:
    """Make the wheels' libraries this process's CUDA, before MindSpore is imported; nothing where a toolkit serves.

    Call it in a worker only: the libraries stay loaded. `environment` is the process's own. Returns what was loaded.
    """
    if toolkit_release(environment.get("CUDA_HOME"))[0] is not None or absent_wheels():
        return []
    loaded = []
    for name, path in named_by(plugin).items():
        try:
            ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue  # MindSpore's own error names what it misses, and `doctor` does before
        loaded.append(name)
    environment["CUDA_HOME"] = str(stand_in(cache))
    return loaded
