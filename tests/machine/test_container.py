"""Limits of cgroups, versions 1 and 2, at every level of the hierarchy, under recorded and made file systems."""

from __future__ import annotations

import pytest

from lenet.engine import local
from lenet.machine.container import cpu_limit, memory_available, memory_limit

GIB = 2**30
V2_MOUNT = "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
V1_MOUNTS = (
    "31 24 0:27 {root} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "32 24 0:28 {root} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "33 24 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
)
NO_LIMIT = "9223372036854771712"
V1_CPU, V1_MEMORY = "sys/fs/cgroup/cpu,cpuacct", "sys/fs/cgroup/memory"


@pytest.fixture
def system(tmp_path):
    """Makes a file system of `cgroup` and `mountinfo` (as in /proc/self) and files; returns its root."""

    def make(cgroup, mountinfo, files):
        everything = {"proc/self/cgroup": cgroup, "proc/self/mountinfo": mountinfo, **files}
        for name, text in everything.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return make


def v2(path, *limits):
    """Files of version 2: `limits` are (folder, cpu.max, memory.max)."""
    files = {}
    for folder, cpu, memory in limits:
        files |= {f"sys/fs/cgroup/{folder}cpu.max": cpu, f"sys/fs/cgroup/{folder}memory.max": memory}
    return f"0::{path}\n", V2_MOUNT, files


def v1(path, root, *limits):
    """Files of version 1: `limits` are (folder, quota, memory)."""
    files = {}
    for folder, quota, memory in limits:
        files |= {
            f"{V1_CPU}/{folder}cpu.cfs_quota_us": quota,
            f"{V1_CPU}/{folder}cpu.cfs_period_us": "100000\n",
            f"{V1_MEMORY}/{folder}memory.limit_in_bytes": memory,
        }
    return f"9:cpu,cpuacct:{path}\n4:memory:{path}\n0::{path}\n", V1_MOUNTS.format(root=root), files


@pytest.mark.parametrize(
    ("files", "cores", "memory"),
    [
        (v2("/", ("", "150000 100000\n", f"{GIB}\n")), 1.5, GIB),
        (v2("/", ("", "max 100000\n", "max\n")), None, None),
        (v2("/a/b", ("a/b/", "200000 100000\n", f"{4 * GIB}\n")), 2, 4 * GIB),
        (v2("/a/b", ("a/", "50000 100000\n", f"{GIB}\n"), ("a/b/", "max 100000\n", "max\n")), 0.5, GIB),
        (v2("/a/b", ("a/", "400000 100000\n", "max\n"), ("a/b/", "100000 100000\n", f"{GIB}\n")), 1, GIB),
        (v2("/../../other", ("", "100000 100000\n", f"{GIB}\n")), 1, GIB),
        (v1("/", "/", ("", "-1\n", NO_LIMIT)), None, None),
        (v1("/docker/ab", "/docker/ab", ("", "150000\n", str(GIB))), 1.5, GIB),
        (v1("/docker/ab/inner", "/docker/ab", ("", "-1", NO_LIMIT), ("inner/", "50000", str(GIB))), 0.5, GIB),
        (v1("/slice/job", "/", ("slice/", "200000", str(2 * GIB)), ("slice/job/", "-1", NO_LIMIT)), 2, 2 * GIB),
        (v1("/", "/docker/ab", ("", "100000", str(GIB))), 1, GIB),
        (("", "", {}), None, None),
        (("no colon\n9\n", "30 24\n - cgroup2\n" + V2_MOUNT, {"sys/fs/cgroup/cpu.max": "\xff 0"}), None, None),
        (v2("/", ("", "100000 0\n", "-5\n")), None, None),
        (v2("/", ("", "", "")), None, None),
    ],
    ids=[
        *("v2-own-namespace", "v2-none", "v2-nested", "v2-of-the-parent", "v2-the-smallest", "v2-outside-of-namespace"),
        *("v1-none", "v1-docker", "v1-nested-in-docker", "v1-of-the-parent", "v1-namespace", "no-cgroup", "nonsense"),
        *("zero-period", "empty"),
    ],
)
def test_the_smallest_limit_from_the_cgroup_upwards(system, files, cores, memory):
    root = system(*files)
    assert cpu_limit(root) == cores
    assert memory_limit(root) == memory


@pytest.mark.parametrize("version", [1, 2])
def test_what_is_left_is_the_least_of_all_levels_without_the_pages_of_files(system, version):
    if version == 2:
        cgroup, mounts, files = v2("/a/b", ("a/", "max 100000", str(4 * GIB)), ("a/b/", "max 100000", str(8 * GIB)))
        base, current, prefix = "sys/fs/cgroup/a", "memory.current", ""
    else:
        cgroup, mounts, files = v1("/a/b", "/", ("a/", "-1", str(4 * GIB)), ("a/b/", "-1", str(8 * GIB)))
        base, current, prefix = f"{V1_MEMORY}/a", "memory.usage_in_bytes", "total_"
    files |= {
        f"{base}/{current}": str(3 * GIB),
        f"{base}/memory.stat": f"anon 1\n{prefix}inactive_file {GIB}\n",
        f"{base}/b/{current}": str(GIB),
    }
    root = system(cgroup, mounts, files)
    assert memory_available(root) == 2 * GIB
    (root / base / current).write_text(str(9 * GIB))
    assert memory_available(root) == 0


def test_without_a_limit_nothing_is_said_of_what_is_left(system):
    assert memory_available(system(*v2("/", ("", "max 100000", "max")))) is None


def test_no_more_workers_are_alive_than_the_containers_memory_holds(monkeypatch):
    class Alive:
        resident_bytes = GIB

    engine = local.LocalEngine()
    monkeypatch.setattr(engine, "_largest", GIB)
    monkeypatch.setattr(local, "memory_available", lambda: 4 * GIB)
    assert engine._room_for_another([Alive()])
    monkeypatch.setattr(local, "memory_available", lambda: GIB)
    assert not engine._room_for_another([Alive()])
    assert engine._room_for_another([])


def test_a_folder_with_a_space(system):
    mount = V2_MOUNT.replace("/sys/fs/cgroup ", "/sys/fs/my\\040cgroup ")
    root = system("0::/a b\n", mount, {"sys/fs/my cgroup/a b/cpu.max": "100000 200000"})
    assert cpu_limit(root) == 0.5


def test_a_nested_quota_is_another_machine(monkeypatch, new_card):
    """`reproduce` compares machines by their ids."""
    ids = set()
    for limit in (None, 0.5, 2.0):
        monkeypatch.setattr("lenet.machine.card.cpu_limit", lambda limit=limit: limit)
        card = new_card()
        assert card.cpu_limit == limit
        ids.add(card.id)
    assert len(ids) == 3


def test_this_machine():
    limit, cores = memory_limit(), cpu_limit()
    assert limit is None or limit > 2**20
    assert cores is None or cores > 0
