"""What hardware and software this is. No user name, host name or path is in it."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from lenet.case import DeviceTarget, Frozen

PACKAGES = (
    "mindspore",
    "torch",
    "numpy",
    "pandas",
    "scipy",
    "pydantic",
    "pytest-benchmark",
    "scikit-learn",
    "lenet-bench",
)
VARIABLES = re.compile(
    r"^(OMP|ONEDNN|DNNL|MKL|OPENBLAS|KMP|MS|GLOG|ASCEND|HCCL|NCCL)_|^(CUDA_VISIBLE_DEVICES|GLOG_v|CUDA_HOME)$"
)
INSTRUCTION_SETS = ("sse4_1", "avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "asimd", "sve")
QUERY_SECONDS = 10


class MachineCard(Frozen):
    """A machine's card. Bytes, MHz and counts; None where the system does not tell. Caches are the first core's."""

    cpu: str
    architecture: str
    physical_cores: int | None
    logical_cores: int
    usable_cores: int
    """Cores that this process may run on."""
    instruction_sets: tuple[str, ...]
    l2_cache_bytes: int | None
    l3_cache_bytes: int | None
    frequency_mhz: float | None
    governor: str | None
    memory_bytes: int
    memory_limit_bytes: int | None
    """The container's limit, where there is one."""
    cpu_limit: float | None
    """Cores that the container grants, where it limits them."""
    load_average: float | None
    """Over the last minute, when the card was made."""
    virtual: bool
    system: str
    python: str
    gpus: tuple[str, ...]
    npus: tuple[str, ...]
    packages: dict[str, str]
    environment: dict[str, str]
    git_commit: str | None
    git_dirty: bool | None

    @property
    def id(self) -> str:
        """A short stable name over what does not change between runs: the hardware."""
        hardware = repr(
            (
                *(self.cpu, self.architecture, self.physical_cores, self.logical_cores, self.usable_cores),
                *(self.cpu_limit, self.instruction_sets, self.memory_bytes >> 30, self.gpus, self.npus),
            )
        )
        words = re.sub(r"[^a-z0-9]+", "-", self.cpu.lower()).strip("-")[:24].strip("-") or "machine"
        return f"{words}-{self.usable_cores}c-{hashlib.sha256(hardware.encode()).hexdigest()[:8]}"

    @property
    def summary(self) -> str:
        """The machine in one line."""
        sets = "AVX-512" if "avx512f" in self.instruction_sets else ", ".join(self.instruction_sets[-2:])
        parts = [
            f"{self.cpu}, {self.usable_cores} of {self.logical_cores} cores",
            sets,
            f"{self.memory_bytes >> 30} GiB",
        ]
        return ", ".join(filter(None, [*parts, *self.gpus, *self.npus, self.system]))


@functools.cache
def describe() -> MachineCard:
    """This machine's card, made once a process. Never raises for what the system does not tell."""
    cpu = _cpu_information()
    flags = set(cpu.get("flags", ()))
    frequency = None
    with contextlib.suppress(Exception):
        frequency = psutil.cpu_freq().current
    load = None
    with contextlib.suppress(OSError):
        load = os.getloadavg()[0]
    commit, dirty = _git()
    return MachineCard(
        cpu=cpu.get("brand_raw") or platform.processor() or "unknown",
        architecture=platform.machine(),
        physical_cores=psutil.cpu_count(logical=False),
        logical_cores=psutil.cpu_count() or 1,
        usable_cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else psutil.cpu_count() or 1,
        instruction_sets=tuple(name for name in INSTRUCTION_SETS if name in flags),
        l2_cache_bytes=_cache(2),
        l3_cache_bytes=_cache(3),
        frequency_mhz=frequency,
        governor=_text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        memory_bytes=psutil.virtual_memory().total,
        memory_limit_bytes=_size(_text("/sys/fs/cgroup/memory.max")),
        cpu_limit=_cpu_limit(),
        load_average=load,
        virtual="hypervisor" in flags,
        system=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        gpus=_query("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"),
        npus=_query("npu-smi", "info", "-l"),
        packages=_packages(),
        environment=_environment(),
        git_commit=commit,
        git_dirty=dirty,
    )


def present_devices() -> tuple[DeviceTarget, ...]:
    """The device targets that this machine seems to have, without importing a framework."""
    found = [DeviceTarget.CPU]
    if shutil.which("nvidia-smi") or Path("/dev/nvidiactl").exists():
        found.append(DeviceTarget.GPU)
    if shutil.which("npu-smi") or Path("/dev/davinci_manager").exists():
        found.append(DeviceTarget.ASCEND)
    return tuple(found)


def _cpu_information() -> dict[str, Any]:
    import cpuinfo

    try:
        return dict(cpuinfo.get_cpu_info())
    except Exception:  # it parses what many systems print, and some print what it does not expect
        return {}


def _size(value: object) -> int | None:
    return int(value) if isinstance(value, int) or (isinstance(value, str) and value.isdigit()) else None


def _cache(level: int) -> int | None:
    """Bytes of the cache of that level which the first core uses, as Linux tells it (`32768K`)."""
    for folder in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        if _text(f"{folder}/level") == str(level):
            size = (_text(f"{folder}/size") or "").removesuffix("K")
            return int(size) * 1024 if size.isdigit() else None
    return None


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def _cpu_limit() -> float | None:
    quota, _, period = (_text("/sys/fs/cgroup/cpu.max") or "").partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None


def _query(*command: str) -> tuple[str, ...]:
    if shutil.which(command[0]) is None:
        return ()
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=QUERY_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip()[:200] for line in answer.stdout.splitlines()[:64] if line.strip())


def _packages() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _environment() -> dict[str, str]:
    """Variables that bear on speed; a value that may be a path is only said to be set."""
    return {
        name: "(set)" if "/" in value or "\\" in value else value
        for name, value in sorted(os.environ.items())
        if VARIABLES.search(name)
    }


def _git() -> tuple[str | None, bool | None]:
    """Commit and dirtiness of the checkout that this package stands in, if it does."""
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None, None
    try:
        answers = [
            subprocess.run(
                ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=QUERY_SECONDS, check=True
            ).stdout.strip()
            for arguments in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        ]
    except (OSError, subprocess.SubprocessError):
        return None, None
    return answers[0], bool(answers[1])
