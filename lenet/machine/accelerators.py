"""The accelerators of a machine, as reported by their drivers. No framework is imported."""

from __future__ import annotations

import contextlib

from lenet.machine.programs import ProgramError, output

QUERY_SECONDS = 10
MAX_LINES, MAX_LINE = 64, 200


def gpus() -> tuple[str, ...]:
    """Return `NAME, DRIVER, MEMORY MiB` of each NVIDIA GPU: from NVML if nvidia-ml-py is installed, or nvidia-smi."""
    with contextlib.suppress(Exception):  # not installed, or a driver that does not answer: nvidia-smi may
        return _nvml()
    lines = _lines("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader")
    return tuple(filter(names_gpu, lines))


def npus() -> tuple[str, ...]:
    """Return the lines of `npu-smi info -l`; none if they name no NPU."""
    lines = _lines("npu-smi", "info", "-l")
    return lines if any(map(names_npu, lines)) else ()


def names_gpu(line: str) -> bool:
    """Whether a line of nvidia-smi has the three fields of a GPU: it prints some errors with exit code 0."""
    return line.count(", ") >= 2


def names_npu(line: str) -> bool:
    """Whether a line of `npu-smi info -l` is that of an NPU: the others are about cards and chips, or an error."""
    return line.startswith("NPU ID")


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


def _lines(*command: str) -> tuple[str, ...]:
    """The program's lines, stripped and shortened; none if it is missing or fails."""
    try:
        lines = output(*command, seconds=QUERY_SECONDS).splitlines()
    except ProgramError:
        return ()
    return tuple(line.strip()[:MAX_LINE] for line in lines[:MAX_LINES] if line.strip())
