"""The accelerators of a machine, as their drivers tell them. No framework is imported."""

from __future__ import annotations

import contextlib
import shutil
import subprocess

QUERY_SECONDS = 10


def gpus() -> tuple[str, ...]:
    """`NAME, DRIVER, MEMORY MiB` of each NVIDIA GPU: from NVML where nvidia-ml-py is installed, else nvidia-smi."""
    with contextlib.suppress(Exception):  # absent, or a driver that does not answer: nvidia-smi may
        return _nvml()
    return query("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader")


def _nvml() -> tuple[str, ...]:
    import pynvml

    pynvml.nvmlInit()
    try:
        driver = _text(pynvml.nvmlSystemGetDriverVersion())
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        return tuple(
            f"{_text(pynvml.nvmlDeviceGetName(handle))}, {driver}, "
            f"{pynvml.nvmlDeviceGetMemoryInfo(handle).total >> 20} MiB"
            for handle in handles
        )
    finally:
        pynvml.nvmlShutdown()


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def npus() -> tuple[str, ...]:
    """What npu-smi lists."""
    return query("npu-smi", "info", "-l")


def query(*command: str) -> tuple[str, ...]:
    """A tool's lines; none where it is absent or fails."""
    if shutil.which(command[0]) is None:
        return ()
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=QUERY_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip()[:200] for line in answer.stdout.splitlines()[:64] if line.strip())
