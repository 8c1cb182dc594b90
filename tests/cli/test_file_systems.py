"""Commands on file systems that lack something, imitated by `tests/file_systems/sitecustomize.py`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lenet.store.run import Store

TESTS = Path(__file__).resolve().parents[1]
KINDS = ("nfs", "cifs", "lustre", "no-lockd", "fuse")
ONE_CASE = ("--mode", "graph", "--batch-size", "32", "--dataset", "digits", "--device", "cpu", "--quiet")


@pytest.fixture(params=KINDS)
def call(request, tmp_path):
    (tmp_path / "temporary").mkdir()
    variables = {
        "FILE_SYSTEM": request.param,
        "PYTHONPATH": os.pathsep.join([str(TESTS / "file_systems"), str(TESTS.parent)]),
        "LENET_BENCH_CACHE": str(tmp_path / "cache"),
        "LENET_BENCH_LOCKS": str(tmp_path),
        "LENET_BENCH_PROFILES": str(tmp_path / "profiles"),
        "TMPDIR": str(tmp_path / "temporary"),
    }

    def go(*words):
        return subprocess.run(
            [sys.executable, str(TESTS / "cli" / "fast.py"), *map(str, words)],
            cwd=tmp_path, env={**os.environ, **variables}, capture_output=True, text=True, timeout=200,
        )  # fmt: skip

    return go


def test_a_run_is_begun_resumed_shown_and_merged(call, tmp_path):
    for words in (
        ("run", *ONE_CASE, "-o", "run"),
        ("run", "--resume", "run", "--force", "--quiet"),
        ("table", "run", "-o", "table.md"),
        ("report", "run", "-o", "report.md"),
        ("merge", "run", "-o", "all"),
        ("tune", "--dataset", "digits", "--budget", "1", "--quiet", "-o", "tuned"),
    ):
        done = call(*words)
        assert (done.returncode, done.stderr) == (0, ""), words
    assert len(Store.open(tmp_path / "run").records()) == 1
    assert list((tmp_path / "run" / "superseded").iterdir())
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize("call", ["nfs"], indirect=True)
def test_nfs_has_locks(call, tmp_path):
    store = Store.open(tmp_path / "run") if call("run", *ONE_CASE, "-o", "run").returncode == 0 else None
    store.hold()
    done = call("run", "--resume", "run", "--force", "--quiet")
    store.release()
    assert done.returncode == 2
    assert "is being written by" in done.stderr
