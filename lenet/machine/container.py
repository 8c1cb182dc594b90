"""The limits that cgroups set on this process, and the kind of container it runs in.

A limit of any ancestor applies, so the hierarchy is read from this process's cgroup up to the mount point, for versions
1 and 2. Sources: cgroups(7); proc(5) for mountinfo; the kernel's cgroup-v2.rst, cgroup-v1/memory.rst and
scheduler/sched-bwc.rst.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

SYSTEM = Path("/")
UNLIMITED_BYTES = 2**60
"""Version 1 writes "no limit" as a number of about 2**63."""


def memory_limit(system: Path = SYSTEM) -> int | None:
    """Return the bytes of memory that this process may use; None without a limit.

    `system` is the root folder under which /proc and the cgroups are read.
    """
    return min((limit for limit, _ in _memory(system)), default=None)


def memory_available(system: Path = SYSTEM) -> int | None:
    """Return the bytes that are left under the limits; None without a limit. Pages of files count as free."""
    return min((max(0, limit - used) for limit, used in _memory(system)), default=None)


def _memory(system: Path) -> Iterator[tuple[int, int]]:
    """Each limit, with the bytes used of it."""
    names = (("memory.max", "memory.current", ""), ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"))
    for folder in _cgroups("memory", system):
        for limit_name, usage_name, prefix in names:
            limit, usage = text_of(folder / limit_name), text_of(folder / usage_name)
            if limit.isdecimal() and int(limit) < UNLIMITED_BYTES:
                files = re.search(rf"^{prefix}inactive_file (\d+)$", text_of(folder / "memory.stat"), re.MULTILINE)
                used = int(usage) if usage.isdecimal() else 0
                yield int(limit), max(0, used - (int(files[1]) if files else 0))


def cpu_limit(system: Path = SYSTEM) -> float | None:
    """Return the processor time that this process may use, in cores; None without a limit.

    Only quotas are read: a limit to certain cores is part of the process's affinity.
    """
    limits = []
    for folder in _cgroups("cpu", system):
        for quota, period in (
            text_of(folder / "cpu.max").split()[:2] or ("", ""),
            (text_of(folder / "cpu.cfs_quota_us"), text_of(folder / "cpu.cfs_period_us")),
        ):
            if quota.isdecimal() and period.isdecimal() and int(period):
                limits.append(int(quota) / int(period))
    return min(limits, default=None)


def container_kind() -> str | None:
    """Return docker, podman or kubernetes, by the marks that they leave; None without one."""
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        return "kubernetes"
    marks = {"/.dockerenv": "docker", "/run/.containerenv": "podman"}
    return next((kind for mark, kind in marks.items() if Path(mark).exists()), None)


def _cgroups(controller: str, system: Path) -> Iterator[Path]:
    """The folders of this process's cgroup and of its visible ancestors, for every hierarchy with the controller."""
    for paths, root, mount_point in _mounts(controller, system):
        for path in paths:
            # Without a cgroup namespace a container's mount shows a part of the hierarchy, and the path is the host's.
            inside = PurePosixPath(path).relative_to(root) if PurePosixPath(path).is_relative_to(root) else None
            folder = PurePosixPath(mount_point, inside if inside is not None and ".." not in inside.parts else "")
            for each in (folder, *folder.parents):
                if each.is_relative_to(mount_point):
                    yield system / each.relative_to("/")


def _mounts(controller: str, system: Path) -> Iterator[tuple[list[str], str, str]]:
    """Paths of this process in a hierarchy, the part of the hierarchy that is mounted, and where."""
    # 4:cpu,cpuacct:/system.slice/a.service in version 1, 0::/user.slice in version 2
    lines = [line.split(":", 2) for line in text_of(system / "proc/self/cgroup").splitlines()]
    entries = [(fields[1].split(","), fields[2]) for fields in lines if len(fields) == 3]
    for line in text_of(system / "proc/self/mountinfo").splitlines():
        # 36 35 0:31 /docker/ab /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct
        mounted, _, kind = line.partition(" - ")
        fields, described = mounted.split(), kind.split()
        if len(fields) < 5 or len(described) < 3:
            continue
        root, mount_point = (re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), text) for text in fields[3:5])
        if described[0] == "cgroup2":
            yield [path for names, path in entries if names == [""]], root, mount_point
        elif described[0] == "cgroup" and controller in described[2].split(","):
            yield [path for names, path in entries if controller in names], root, mount_point


def text_of(path: Path) -> str:
    """Return the text of one of the system's files, stripped; empty if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
