"""What hardware and software this is. No user name, host name or path is in it, but for the host's where asked."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import psutil
from pydantic import Field

from lenet.cases.case import DeviceTarget, Frozen
from lenet.machine.accelerators import gpus, npus
from lenet.machine.installed import libraries, packages
from lenet.machine.redact import variables, without_names

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
    """Every installed package with its version: what `reproduce --exact` installs from."""
    environment: dict[str, str]
    git_commit: str | None
    git_dirty: bool | None
    l1d_cache_bytes: int | None = None
    frequency_max_mhz: float | None = None
    memory_available_bytes: int | None = None
    """When the card was made."""
    container: str | None = None
    """The kind of container, where there is one."""
    libraries: dict[str, str] = Field(default_factory=dict)
    """Builds and versions that no package's version tells: `lenet.machine.installed.libraries`."""
    host: str | None = None
    """The host's name; only where a person asked for it."""

    @property
    def id(self) -> str:
        """A short stable name over what does not change between runs: the hardware, without drivers."""
        cards = tuple(gpu.partition(", ")[0] for gpu in self.gpus)
        hardware = repr(
            (
                *(self.cpu, self.architecture, self.physical_cores, self.logical_cores, self.usable_cores),
                *(self.cpu_limit, self.instruction_sets, self.memory_bytes >> 30, cards, self.npus),
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
    frequency = fastest = None
    with contextlib.suppress(Exception):
        frequency, fastest = psutil.cpu_freq().current, psutil.cpu_freq().max or None
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
        memory_limit_bytes=_memory_limit(),
        cpu_limit=_cpu_limit(),
        load_average=load,
        virtual="hypervisor" in flags,
        system=f"{platform.system()} {'-'.join(map(without_names, platform.release().split('-')))}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        gpus=gpus(),
        npus=npus(),
        packages=packages(),
        environment=_environment(),
        git_commit=commit,
        git_dirty=dirty,
        l1d_cache_bytes=_cache(1),
        frequency_max_mhz=fastest,
        memory_available_bytes=psutil.virtual_memory().available,
        container=_container(),
        libraries={name: without_names(text) for name, text in libraries(os.environ.get("ASCEND_HOME_PATH")).items()},
    )


def with_host_name(card: MachineCard) -> MachineCard:
    """The card with this host's name on it."""
    return card.model_copy(update={"host": platform.node() or None})


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
        if _text(f"{folder}/level") == str(level) and _text(f"{folder}/type") != "Instruction":
            size = (_text(f"{folder}/size") or "").removesuffix("K")
            return int(size) * 1024 if size.isdigit() else None
    return None


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def _memory_limit() -> int | None:
    """Bytes that the container may use, by cgroup 2 or 1; the latter's "no limit" is a number near 2**63."""
    limit = _size(_text("/sys/fs/cgroup/memory.max") or _text("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
    return limit if limit is not None and limit < 2**60 else None


def _cpu_limit() -> float | None:
    """Cores that the container grants, by cgroup 2 or 1."""
    quota, _, period = (_text("/sys/fs/cgroup/cpu.max") or "").partition(" ")
    if not quota:
        quota = _text("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") or ""
        period = _text("/sys/fs/cgroup/cpu/cpu.cfs_period_us") or ""
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None


def _container() -> str | None:
    """docker, podman or kubernetes, by the marks that they leave."""
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        return "kubernetes"
    marks = {"/.dockerenv": "docker", "/run/.containerenv": "podman"}
    return next((kind for mark, kind in marks.items() if Path(mark).exists()), None)


def _environment() -> dict[str, str]:
    """Variables that bear on speed; a value that may be a path, an address or a secret is only said to be set."""
    return variables(os.environ, VARIABLES)


def _git() -> tuple[str | None, bool | None]:
    """Commit and dirtiness of the checkout that this package stands in, if it does."""
    root = Path(__file__).resolve().parents[2]
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
