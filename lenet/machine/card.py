"""The machine card: hardware and software of this machine, without user name, host name or path."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import platform
import re
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
from pydantic import Field

from lenet.cases.case import DeviceTarget, Frozen
from lenet.files.plain import as_text
from lenet.machine.accelerators import gpus, names_npu, npus
from lenet.machine.container import container_kind, cpu_limit, memory_limit, text_of
from lenet.machine.cores import usable_cores
from lenet.machine.installed import libraries, packages
from lenet.machine.load import load_average
from lenet.machine.programs import ProgramError, output, variables_of_a_python
from lenet.machine.redact import variables, without_names

PREFIXES = (
    *("OMP", "GOMP", "KMP", "ONEDNN", "DNNL", "MKL", "OPENBLAS", "GOTO", "BLIS", "BLAS", "VECLIB", "LIBXSMM", "TBB"),
    *("NPY", "NUMEXPR", "NUMBA", "MALLOC", "MIMALLOC", "TCMALLOC", "JEMALLOC"),
    *("MS", "MINDSPORE", "GLOG", "ASCEND", "HCCL", "ACL", "ATB", "TORCH", "TORCHINDUCTOR", "TRITON", "ATEN", "PYTORCH"),
    *("NCCL", "CUDA", "CUDNN", "CUBLAS", "NVIDIA", "HIP", "ROCR", "MIOPEN"),
)
NAMES = (
    *("LD_PRELOAD", "LD_AUDIT", "LD_BIND_NOW", "LD_DEBUG", "LD_LIBRARY_PATH", "GLIBC_TUNABLES", "DEVICE_ID"),
    *("TASK_QUEUE_ENABLE", "INF_NAN_MODE_ENABLE"),
)
OF_PYTHON = (
    *("MALLOC", "DEVMODE", "OPTIMIZE", "TRACEMALLOC", "FAULTHANDLER", "PERFSUPPORT", "_GIL", "_JIT", "_CPU_COUNT"),
)
VARIABLES = re.compile(rf"^({'|'.join(PREFIXES)})_|^({'|'.join(NAMES)})$|^PYTHON({'|'.join(OF_PYTHON)})$")
"""Names of the variables that change speed: threads, memory, kernels, devices, the frameworks' own, the interpreter."""
INSTRUCTION_SETS = ("sse4_1", "avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "asimd", "sve")
QUERY_SECONDS = 10
CPU_SECONDS = 30

CPU_QUERY = """
import sys
sys.path[:] = sys.argv[1:]
import contextlib, functools, subprocess
with contextlib.suppress(ImportError, ValueError, OSError):
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
subprocess.run = functools.partial(subprocess.run, timeout=5)
import cpuinfo
print(cpuinfo.get_cpu_info_json())
"""
"""It runs several programs: one that hangs or prints without end is left out."""


class MachineCard(Frozen):
    """A machine's hardware and software. None where the system does not say. Caches are the first core's."""

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
    """The limit of the container or cgroup, if there is one."""
    cpu_limit: float | None
    """The processor time that the container or cgroup grants, in cores, if it limits it."""
    load_average: float | None
    """Over the minute before the card was made."""
    virtual: bool
    system: str
    python: str
    gpus: tuple[str, ...]
    npus: tuple[str, ...]
    packages: dict[str, str]
    """Version of every installed package; `reproduce --exact` installs from it."""
    environment: dict[str, str]
    git_commit: str | None
    git_dirty: bool | None
    l1d_cache_bytes: int | None = None
    frequency_max_mhz: float | None = None
    memory_available_bytes: int | None = None
    """When the card was made."""
    container: str | None = None
    """docker, podman or kubernetes; None outside of a container."""
    libraries: dict[str, str] = Field(default_factory=dict)
    """Versions that no package's metadata contains; see `lenet.machine.installed.libraries`."""
    host: str | None = None
    """The host's name, only if the user asks for it."""

    @property
    def id(self) -> str:
        """A short name of the hardware, stable between runs; drivers are not part of it."""
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
        gpus = Counter(self.gpus)
        npus = sum(map(names_npu, self.npus))
        parts = [
            f"{self.cpu}, {self.usable_cores} of {self.logical_cores} cores",
            sets,
            f"{self.memory_bytes >> 30} GiB",
            *(name if count == 1 else f"{count} x {name}" for name, count in gpus.items()),
            "" if not npus else "1 NPU" if npus == 1 else f"{npus} NPUs",
            self.system,
        ]
        return ", ".join(filter(None, parts))


@functools.cache
def describe() -> MachineCard:
    """Return this machine's card. It is made once per process, and what the system does not say is None in it."""
    cpu = _cpu_information()
    flags = set(cpu.get("flags", ()))
    frequency = fastest = None
    with contextlib.suppress(Exception):
        frequency, fastest = psutil.cpu_freq().current, psutil.cpu_freq().max or None
    commit, dirty = _git()
    return MachineCard(
        cpu=str(cpu.get("brand_raw") or platform.machine() or "unknown"),
        architecture=platform.machine(),
        physical_cores=psutil.cpu_count(logical=False),
        logical_cores=psutil.cpu_count() or 1,
        usable_cores=len(usable_cores()),
        instruction_sets=tuple(name for name in INSTRUCTION_SETS if name in flags),
        l2_cache_bytes=_cache(2),
        l3_cache_bytes=_cache(3),
        frequency_mhz=frequency,
        governor=text_of(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")) or None,
        memory_bytes=psutil.virtual_memory().total,
        memory_limit_bytes=memory_limit(),
        cpu_limit=cpu_limit(),
        load_average=load_average(),
        virtual="hypervisor" in flags,
        system=f"{platform.system()} {'-'.join(map(without_names, platform.release().split('-')))}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        gpus=gpus(),
        npus=npus(),
        packages=packages(),
        environment=variables(os.environ, VARIABLES),
        git_commit=commit,
        git_dirty=dirty,
        l1d_cache_bytes=_cache(1),
        frequency_max_mhz=fastest,
        memory_available_bytes=psutil.virtual_memory().available,
        container=container_kind(),
        libraries={name: without_names(text) for name, text in libraries(os.environ.get("ASCEND_HOME_PATH")).items()},
    )


def with_host_name(card: MachineCard) -> MachineCard:
    """Return a copy of the card with this host's name."""
    return card.model_copy(update={"host": as_text(platform.node()) or None})


def present_devices() -> tuple[DeviceTarget, ...]:
    """Return the device targets that this machine seems to have, by their drivers' programs and device files."""
    found = [DeviceTarget.CPU]
    if shutil.which("nvidia-smi") or Path("/dev/nvidiactl").exists():
        found.append(DeviceTarget.GPU)
    if shutil.which("npu-smi") or Path("/dev/davinci_manager").exists():
        found.append(DeviceTarget.ASCEND)
    return tuple(found)


def _cpu_information() -> dict[str, Any]:
    """What py-cpuinfo finds, in a process of its own: it runs `lscpu` and others without a time limit."""
    command = (sys.executable, "-I", "-c", CPU_QUERY, *filter(None, sys.path))
    try:  # in the locale C: it reads English
        return dict(json.loads(output(*command, seconds=CPU_SECONDS, environment=variables_of_a_python())))
    except (ProgramError, ValueError, TypeError):  # it parses what programs print
        return {}


def _cache(level: int) -> int | None:
    """Bytes of the first core's data cache of that level. Linux writes them as `32768K`."""
    for folder in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        if text_of(folder / "level") == str(level) and text_of(folder / "type") != "Instruction":
            size = text_of(folder / "size").removesuffix("K")
            return int(size) * 1024 if size.isdigit() else None
    return None


def _git() -> tuple[str | None, bool | None]:
    """Commit of the checkout that this package is part of, and whether files in it are changed; None outside of one."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None, None
    git = ("git", "-C", str(root))
    # In a hook GIT_DIR names another repository; and a look at this one must not write its index.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    clean["GIT_OPTIONAL_LOCKS"] = "0"
    try:
        commit = output(*git, "rev-parse", "HEAD", seconds=QUERY_SECONDS, environment=clean)
        status = ("status", "--porcelain", "--untracked-files=no")
        changes = output(*git, *status, seconds=QUERY_SECONDS, environment=clean)
    except ProgramError:
        return None, None
    return commit, bool(changes)
