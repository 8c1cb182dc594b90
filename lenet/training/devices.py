"""What a device target needs on this machine before MindSpore can use it, and what of that is missing.

Sources: MindSpore's GPU installation guide (CUDA 11.1 or 11.6, cuDNN) and the libraries that the wheel's plugins name;
the plugin for GPU is tried only where `CUDA_HOME` is set and its `bin/nvcc --version` answers 11.x.
"""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
from pathlib import Path

from lenet.case import DeviceTarget

GPU_LIBRARIES = ("libcuda.so.1", "libcudart.so.11.0", "libcublas.so.11", "libcudnn.so.8")
ASCEND_LIBRARIES = ("libascendcl.so", "libge_runner.so")


def absent_libraries(names: tuple[str, ...]) -> list[str]:
    """Those of the shared libraries that the loader does not find."""
    absent = []
    for name in names:
        try:
            ctypes.CDLL(name)
        except OSError:
            absent.append(name)
    return absent


def _cuda_toolkit() -> str | None:
    """What is wrong with the CUDA toolkit, or None."""
    home = os.environ.get("CUDA_HOME")
    if not home:
        return "CUDA_HOME is not set"
    try:
        answer = subprocess.run(
            [str(Path(home) / "bin" / "nvcc"), "--version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return "CUDA_HOME has no bin/nvcc that answers"
    release = re.search(r"release (\d+)\.(\d+)", answer.stdout)
    if release is None:
        return "CUDA_HOME's nvcc does not tell its release"
    if release[1] != "11":
        return f"CUDA_HOME holds CUDA {release[1]}.{release[2]}, and MindSpore's GPU plugin needs 11.x"
    return None


def missing(target: DeviceTarget) -> list[str]:
    """What `target` lacks here, a phrase each; empty when nothing was found missing. Call it in a worker only."""
    if target is DeviceTarget.CPU:
        return []
    found = []
    if target is DeviceTarget.GPU:
        if (toolkit := _cuda_toolkit()) is not None:
            found.append(toolkit)
        libraries: tuple[str, ...] = GPU_LIBRARIES
    else:
        if not os.environ.get("ASCEND_HOME_PATH"):
            found.append("ASCEND_HOME_PATH is not set (source CANN's set_env.sh)")
        libraries = ASCEND_LIBRARIES
    if absent := absent_libraries(libraries):
        found.append(f"the loader does not find {', '.join(absent)}")
    return found
