"""Commands on file systems that lack something, imitated by `tests/file_systems/sitecustomize.py`."""

from __future__ import annotations

import json
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
    """Run command lines in one process; returns exit code, output and error of each."""
    (tmp_path / "temporary").mkdir()
    variables = {
        "FILE_SYSTEM": request.param,
        "PYTHONPATH": os.pathsep.join([str(TESTS / "file_systems"), str(TESTS.parent)]),
        "LENET_BENCH_CACHE": str(tmp_path / "cache"),
        "LENET_BENCH_LOCKS": str(tmp_path),
        "LENET_BENCH_PROFILES": str(tmp_path / "profiles"),
        "TMPDIR": str(tmp_path / "temporary"),
    }

    def go(*lines):
        done = subprocess.run(
            [sys.executable, str(TESTS / "cli" / "several.py")], input=json.dumps(lines),
            cwd=tmp_path, env={**os.environ, **variables}, capture_output=True, text=True, timeout=200,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return go


def test_a_run_is_begun_resumed_shown_and_merged(call, tmp_path):
    lines = (
        ("run", *ONE_CASE, "-o", "run"),
        ("run", "--resume", "run", "--force", "--quiet"),
        ("table", "run", "-o", "table.md"),
        ("report", "run", "-o", "report.md"),
        ("merge", "run", "-o", "all"),
        ("tune", "--dataset", "digits", "--budget", "1", "--quiet", "-o", "tuned"),
    )
    for words, (code, _, err) in zip(lines, call(*lines), strict=True):
        assert (code, err) == (0, ""), words
    assert len(Store.open(tmp_path / "run").records()) == 1
    assert list((tmp_path / "run" / "superseded").iterdir())
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize("call", ["nfs"], indirect=True)
def test_nfs_has_locks(call, tmp_path):
    ((code, _, err),) = call(("run", *ONE_CASE, "-o", "run"))
    assert code == 0, err
    store = Store.open(tmp_path / "run")
    store.hold()
    ((code, _, err),) = call(("run", "--resume", "run", "--force", "--quiet"))
    store.release()
    assert code == 2
    assert "is being written by" in err
