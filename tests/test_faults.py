"""Faults around a run, with real processes: disk, folder, clock, memory, device, locale, home."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lenet.cases.case import Case
from lenet.engine.builder import out_of_memory_kills
from lenet.engine.local import LocalEngine
from lenet.errors import StoreError
from lenet.machine.card import describe
from lenet.store.freshness import State, conditions, outstanding, states
from lenet.store.record import Status
from lenet.store.run import Store

HERE = Path(__file__).parent
DRIVE = [sys.executable, str(HERE / "drive.py")]


def load_checks():
    import importlib.util

    spec = importlib.util.spec_from_file_location("checks", HERE / "checks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


checks = load_checks()


def environment(**variables):
    return {**os.environ, "PYTHONPATH": str(HERE.parent), **variables}


FULL_DISK = """
set -u
mount -t tmpfs -o size=56k tmpfs "$1" || exit 77
shift
"$@" "$DISK/run" 24; echo $? > "$OUT/code"
cp -r "$DISK/run" "$OUT/full"
mount -o remount,size=8m "$DISK"
"$@" "$DISK/run" 24; echo $? > "$OUT/code-again"
cp -r "$DISK/run" "$OUT/whole"
"""


def test_a_full_disk_loses_nothing_and_the_run_can_be_resumed(tmp_path):
    """A tmpfs of 56 KiB in a mount namespace of its own; then it grows."""
    (tmp_path / "disk").mkdir()
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", FULL_DISK, "sh", tmp_path / "disk", *DRIVE],
        env=environment(OUT=str(tmp_path), DISK=str(tmp_path / "disk")),
        capture_output=True,
        text=True,
        timeout=120,
    )
    if not (tmp_path / "code").exists():
        pytest.skip(f"no mount in a namespace of its own here: {done.stderr.strip()[:200]}")
    assert (tmp_path / "code").read_text() == "2\n", done.stderr
    (sentence,) = done.stderr.splitlines()
    assert "No space left" in sentence
    before = checks.snapshot(tmp_path / "full")
    assert 0 < len(before) < 24
    assert (tmp_path / "code-again").read_text() == "0\n"
    checks.nothing_lost(before, tmp_path / "whole")
    checks.whole(tmp_path / "whole", Status.OK)


READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" || exit 77; shift; "$@"'


def test_a_run_on_a_read_only_file_system(tmp_path):
    folder = tmp_path / "run"
    subprocess.run([*DRIVE, str(folder), "1"], env=environment(), check=True)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    command = [*DRIVE, str(folder), "1"]
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", READ_ONLY, "sh", str(folder), *command],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode == 77:
        pytest.skip(f"no mount in a namespace of its own here: {done.stderr.strip()[:200]}")
    # Nothing is missing, so nothing is written: a complete run can be shown from a read-only file system.
    assert done.returncode == 0, done.stderr
    (folder / "records" / next(path.name for path in folder.glob("records/*"))).unlink()
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", READ_ONLY, "sh", str(folder), *command],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "Read-only file system" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert all(path.read_bytes() == content for path, content in before.items() if path.parent.name != "records")


CLOCK = """
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
    int code = (int)syscall(SYS_clock_gettime, clock, now);
    const char *mark = getenv("CLOCK_SET_BACK");
    if (clock == CLOCK_REALTIME && mark && access(mark, F_OK) == 0) now->tv_sec -= 3600;
    return code;
}
"""


def test_setting_the_clock_back_changes_no_duration(tmp_path):
    """A preloaded library sets the parent's wall clock back; the monotonic clock continues."""
    if (compiler := shutil.which("cc")) is None:
        pytest.skip("compiles a few lines of C, and there is no cc here")
    (tmp_path / "clock.c").write_text(CLOCK)
    library = tmp_path / "clock.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(tmp_path / "clock.c")], check=True)
    folder, mark = tmp_path / "run", tmp_path / "set-back"
    process = subprocess.Popen(
        [*DRIVE, str(folder), "4"],
        env=environment(LD_PRELOAD=str(library), CLOCK_SET_BACK=str(mark), FAKE_SECONDS="0.1"),
    )
    while process.poll() is None and not checks.snapshot(folder):
        time.sleep(0.005)
    mark.touch()
    assert process.wait(timeout=120) == 0
    records = checks.whole(folder, Status.OK)
    starts = [record.started_at for record in records]
    assert starts == sorted(starts), "the times of a run stay in order"
    now = "import time; print(time.time())"
    seen = subprocess.run(
        [sys.executable, "-c", now],
        env=environment(LD_PRELOAD=str(library), CLOCK_SET_BACK=str(mark)),
        check=True,
        capture_output=True,
        text=True,
    )
    assert float(seen.stdout) < time.time() - 3000, "the clock was not set back: the test shows nothing"
    for record in records:
        assert 0.5 < (record.finished_at - record.started_at).total_seconds() < 60


@pytest.fixture
def one(tmp_path, digits, new_store):
    """Run cases with a worker of this source; the records and the store."""

    def go(body, count=1):
        script = tmp_path / "worker.py"
        script.write_text(body)
        cases = [Case(dataset="digits", repetition=index) for index in range(count)]
        store = new_store(cases, digits)
        engine = LocalEngine(command=(sys.executable, str(script)))
        return engine.run(cases, {"digits": digits}, store), store, engine

    return go


def test_out_of_memory_under_a_limit_of_the_address_space(one):
    """The path of the real worker from a MemoryError to its event."""
    (record,), _, _ = one(
        "import resource, sys\n"
        "from lenet.worker import __main__ as worker\n"
        "def work(*_, **__):\n"
        "    resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))\n"
        "    bytearray(2**31)\n"
        "worker.work = work\n"
        "sys.exit(worker.main())\n"
    )
    assert record.status is Status.OUT_OF_MEMORY, record
    assert "MemoryError" in record.reason


def test_killed_by_the_system_for_memory(one, tmp_path):
    """A control group with 64 MiB, if one can be made."""
    groups = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    homes = [Path(f"/sys/fs/cgroup/memory{path}") for _, kinds, path in groups if kinds == "memory"]
    homes += [Path(f"/sys/fs/cgroup{path}") for _, kinds, path in groups if not kinds]
    for home in homes:
        group = home / f"lenet-bench-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        limit = next((group / n for n in ("memory.limit_in_bytes", "memory.max") if (group / n).exists()), None)
        if limit is not None and out_of_memory_kills() is not None:
            break
        group.rmdir()
    else:
        pytest.skip("no control group for memory can be made here")
    try:
        limit.write_text(str(2**26))
        (record,), _, _ = one(
            f"import os\nopen({str(group / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))\nbytearray(2**29)\n"
            "print('it had room')\n"
        )
    finally:
        group.rmdir()
    assert record.status is Status.OUT_OF_MEMORY, record
    assert "ran out" in record.reason


def test_a_device_that_disappears_between_cases_and_comes_back(one, tmp_path, digits):
    """The device is a file that the worker opens, like that of a driver; it is removed at the end of the first case."""
    device = tmp_path / "device0"
    device.touch()
    good = (HERE / "fake_worker.py").read_text()
    body = (
        good.replace(
            'if __name__ == "__main__":',
            "def gone():\n"
            "    words = {'event': 'failed', 'status': 'unavailable', 'reason': 'no device0'}\n"
            "    os.write(int(sys.argv[1]), json.dumps(words).encode() + b'\\n')\n"
            "    sys.exit(1)\n"
            f"device = {str(device)!r}\n"
            "if not os.path.exists(device):\n"
            "    gone()\n"
            'if __name__ == "__main__":',
        )
        + f"    os.path.exists({str(tmp_path / 'stays')!r}) or os.unlink(device)\n"
    )
    records, store, engine = one(body, 3)
    assert [record.status for record in records] == [Status.OK, Status.UNAVAILABLE, Status.UNAVAILABLE]
    assert records[1].reason == "no device0"
    device.touch()
    (tmp_path / "stays").touch()
    failed = [record.case for record in store.records() if record.status is Status.UNAVAILABLE]
    engine.run(failed, {"digits": digits}, store)
    assert [record.status for record in store.records()] == [Status.OK] * 3
    aside = sorted(path.name for path in (store.path / "superseded").iterdir())
    assert aside == sorted(f"{case.id}.1.json" for case in failed), "the earlier record is kept"


def command(*arguments, cwd, **variables):
    return subprocess.run(
        [sys.executable, "-m", "lenet.cli", *arguments], cwd=cwd, env=environment(**variables),
        capture_output=True, timeout=60,
    )  # fmt: skip


@pytest.fixture
def fresh(new_store, digits, plain_record):
    """A complete run whose records are fresh, so that resuming has nothing to measure."""
    cases = [Case(dataset="digits", repetition=index) for index in range(3)]
    store = new_store(cases, digits)
    now = conditions(describe().id, {"digits": digits.card})
    for case in cases:
        same = {"workload_sha256": now.workload_sha256, "machine_id": now.machine_id, "dataset": digits.card}
        store.write_record(plain_record(case).model_copy(update=same))
    store.release()
    return store


class TestResume:
    def test_a_dry_run_shows_the_state_of_each_case_and_writes_nothing(self, fresh, tmp_path):
        cases = fresh.manifest.cases
        fresh.record_path(cases[1]).unlink()
        stale = fresh.record(cases[2]).model_copy(update={"machine_id": "elsewhere"})
        fresh.record_path(cases[2]).write_text(stale.model_dump_json())
        before = {path: path.read_bytes() for path in fresh.path.rglob("*") if path.is_file()}
        done = command("run", "--resume", fresh.path, "--dry-run", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        said = done.stdout.decode()
        assert "3 cases: 1 done, 1 stale, 0 failed, 1 missing" in said
        assert "machine elsewhere, now" in said
        assert "would measure 2 of them" in said
        assert before == {path: path.read_bytes() for path in fresh.path.rglob("*") if path.is_file()}

    def test_fresh_records_are_not_measured_again(self, fresh, tmp_path):
        done = command("run", "--resume", fresh.path, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert b"0 cases, 3 done before" in done.stderr
        assert not (fresh.path / "superseded").exists()

    @pytest.mark.parametrize("option", ["--dry-run", "--retry-failed", "--force"])
    def test_options_that_need_a_run(self, tmp_path, option):
        done = command("run", option, cwd=tmp_path)
        assert done.returncode == 2
        assert b"--resume" in done.stderr

    def test_the_manifest_names_another_machine_and_the_old_one_is_kept(self, fresh, digits):
        store = Store.open(fresh.path)
        other = describe().model_copy(update={"cpu": "another"})
        store.renew(describe(), {"digits": digits.card})
        assert not (store.path / "superseded").exists(), "nothing changed"
        store.renew(other, {"digits": digits.card})
        assert Store.open(fresh.path).manifest.machine == other
        assert (store.path / "superseded" / "manifest.1.json").exists()
        now = conditions(other.id, {"digits": digits.card})
        found = states(store.manifest.cases, store.records(), now)
        assert {each.state for each in found} == {State.STALE}
        assert len(outstanding(found)) == 3

    def test_a_superseded_record_is_copied_once(self, fresh, plain_record):
        case = fresh.manifest.cases[0]
        first = fresh.record_path(case).read_text()
        for reason in ("second", "third"):
            fresh.write_record(plain_record(case, reason=reason))
        aside = sorted((fresh.path / "superseded").iterdir())
        assert [path.name for path in aside] == [f"{case.id}.1.json", f"{case.id}.2.json"]
        assert aside[0].read_text() == first
        assert fresh.record(case).reason == "third"


class TestPlace:
    @pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
    def test_a_terminal_with_a_small_character_set(self, fresh, tmp_path, encoding):
        for arguments in (["run", "--resume", fresh.path], ["table", fresh.path, "--format", "terminal"]):
            done = command(*arguments, cwd=tmp_path, PYTHONIOENCODING=encoding, LC_ALL="C")
            assert done.returncode == 0, done.stderr
            assert b"Traceback" not in done.stderr
            assert b"images/s" in done.stdout

    def test_paths_that_are_not_utf8(self, fresh, tmp_path):
        odd = os.fsencode(tmp_path) + b"/caf\xe9 \xff"
        shutil.copytree(os.fsencode(fresh.path), odd)
        done = command("run", "--resume", odd, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        done = command("table", odd, "--format", "json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert {row["run"] for row in json.loads(done.stdout)} == {"caf\ufffd \ufffd"}

    def test_data_in_a_folder_whose_name_is_not_utf8(self, digits, tmp_path):
        """MindSpore accepts no such path: the data is copied into the cache."""
        odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/d\xff"))
        shutil.copytree(digits.folder, odd)
        from lenet.dataset import resolve
        from lenet.worker.work import Assignment

        found = resolve("auto", odd)
        assert found.card.sha256 == digits.card.sha256
        assert Assignment(case=Case(), dataset_folder=found.folder, dataset=found.card).model_dump_json()

    def test_a_home_folder_that_does_not_exist(self, tmp_path):
        done = command(
            *("run", "--dataset", "digits"), cwd=tmp_path, HOME="/proc/none", XDG_CACHE_HOME="", LENET_BENCH_CACHE=""
        )
        assert done.returncode == 2, done.stderr
        (line,) = done.stderr.decode().splitlines()
        assert "/proc/none" in line
        assert "LENET_BENCH_CACHE" in line

    @pytest.mark.skipif(os.geteuid() != 0, reason="becomes a user without a name: only root may")
    def test_a_user_without_a_name_or_a_home_folder(self, tmp_path):
        tmp_path.chmod(0o777)
        code = (
            "import os\nfrom lenet.errors import CacheError\nfrom lenet.files.cache import cache_folder\n"
            "for name in ('HOME', 'XDG_CACHE_HOME', 'LENET_BENCH_CACHE'):\n    os.environ.pop(name, None)\n"
            "os.setuid(54321)\ntry:\n    print(cache_folder())\nexcept CacheError as error:\n    print(error)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60
        )
        assert done.stdout == "this user has no home folder: set LENET_BENCH_CACHE to a folder\n", done
        assert list(tmp_path.iterdir()) == [], "no folder called ~"


def test_a_store_with_links_to_other_folders_is_refused(fresh, tmp_path):
    shutil.move(fresh.path / "records", tmp_path / "elsewhere")
    (fresh.path / "records").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="is a link"):
        Store.open(fresh.path)


def test_a_record_that_is_a_link_or_a_pipe_is_refused(fresh, tmp_path):
    case = fresh.manifest.cases[0]
    path = fresh.record_path(case)
    path.rename(tmp_path / "record.json")
    path.symlink_to(tmp_path / "record.json")
    with pytest.raises(StoreError, match="cannot read"):
        fresh.records()
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(StoreError, match="plain file"):
        fresh.records()
