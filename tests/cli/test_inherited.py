"""What the environment sets for other programs or for speed: it changes no result, and what changes speed is named."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lenet.engine.process import TimeLimits, worker
from lenet.store.run import Store

TESTS = Path(__file__).resolve().parents[1]
HOSTILE = {
    "python": {"PYTHONWARNINGS": "error", "PYTHONOPTIMIZE": "2", "PYTHONMALLOC": "debug", "PYTHONDEVMODE": "1"},
    "ascii": {"PYTHONIOENCODING": "ascii:strict", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"},
    "others": {
        **{"GIT_DIR": "/nowhere", "GIT_WORK_TREE": "/nowhere", "GIT_CONFIG_COUNT": "x", "GIT_EXEC_PATH": "/nowhere"},
        **{"PIP_USER": "1", "PIP_REQUIRE_VIRTUALENV": "1", "PIP_CONFIG_FILE": "/nowhere"},
        **{"LC_ALL": "xx_XX.nonsense", "LANG": "xx", "LANGUAGE": "xx", "TZ": "Pacific/Kiritimati"},
        **{
            "OMP_X\udcff": "1",
            "OMP_X": "\udcff",
            "TERM": "dumb",
            "COLUMNS": "3",
            "LINES": "0",
            "NO_COLOR": "1",
            "FORCE_COLOR": "x",
        },
    },
}
INTERACTIVE = {"PYTHONINSPECT": "1", "PYTHONSTARTUP": "/nowhere.py", "PYTHONBREAKPOINT": "nothing.here"}
"""Python itself obeys them in the command; they must not reach a worker."""
RUN = ("run", "--mode", "graph", "--batch-size", "32", "--dataset", "digits", "--device", "cpu", "-o", "run")


@pytest.fixture
def call(tmp_path, quick_checkout):
    """Run the command with a worker that trains in NumPy, for a short time."""

    def go(*words, code=0, **variables):
        paths = {"PYTHONPATH": os.pathsep.join((str(TESTS / "cheap"), str(quick_checkout)))}
        done = subprocess.run(
            [sys.executable, "-m", "lenet.cli", *map(str, words)], cwd=tmp_path, capture_output=True, timeout=200,
            env={**os.environ, **paths, **variables}, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert b"Traceback" not in done.stderr
        return done

    return go


READING = (
    ("table", "--format", "csv"),
    ("verify", "--steps", "0", "--format", "json"),
    ("report", "--format", "markdown"),
)


@pytest.mark.parametrize("words", READING, ids=[words[0] for words in READING])
def test_results_are_read_the_same(call, honest_run, words):
    usual = call(words[0], honest_run, *words[1:]).stdout
    for name, variables in HOSTILE.items():
        printed = call(words[0], honest_run, *words[1:], **variables).stdout
        # ASCII has no dash, which is escaped there.
        assert printed == usual or (name == "ascii" and "markdown" in words), name


@pytest.mark.parametrize("name", HOSTILE)
def test_a_run_is_measured(call, tmp_path, name):
    call(*RUN, "--quiet", **HOSTILE[name])
    (record,) = Store.open(tmp_path / "run").records()
    assert record.exit_code == 0


def test_a_worker_prints_any_character_without_its_parents_warnings(tmp_path, monkeypatch):
    for variables in (*HOSTILE.values(), INTERACTIVE):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
    code = "import sys, warnings; sys.stdin.read(); warnings.warn('the \\u7684'); print('Gr\\xf6\\xdfe')"
    command = (sys.executable, "-c", code)
    with worker(command, b"{}", tmp_path / "log", TimeLimits(None, 60)) as process:
        assert list(process.lines()) == []
    printed = (tmp_path / "log").read_text(encoding="utf-8")
    assert "the 的" in printed
    assert "Größe" in printed
    assert process.code == 0


class TestVariablesThatChangeSpeed:
    def test_they_are_recorded_named_and_a_resumed_run_with_others_warns(self, call, tmp_path):
        first = call(*RUN, OMP_NUM_THREADS="1", MKL_CBWR="AVX2")
        said = b" ".join(first.stderr.split())
        assert b"MKL_CBWR=AVX2" in said
        assert b"OMP_NUM_THREADS=1" in said
        assert Store.open(tmp_path / "run").manifest.machine.environment["OMP_NUM_THREADS"] == "1"
        again = call("run", "--resume", "run", "--force", "--quiet", OMP_NUM_THREADS="2", MKL_CBWR="AVX2")
        assert b"the run was begun with other variables: OMP_NUM_THREADS (1, now 2)" in again.stderr
        assert Store.open(tmp_path / "run").manifest.machine.environment["OMP_NUM_THREADS"] == "2"
        kept = json.loads((tmp_path / "run" / "superseded" / "manifest.1.json").read_text(encoding="utf-8"))
        assert kept["machine"]["environment"]["OMP_NUM_THREADS"] == "1"
        call("verify", "run", "--steps", "0")

    def test_one_that_does_not_reach_the_worker_is_named(self, call):
        said = call(*RUN, "--quiet", ONEDNN_MAX_CPU_ISA="AVX2").stderr
        assert b"workers do not inherit ONEDNN_MAX_CPU_ISA: use --profile" in said

    @pytest.mark.parametrize("words", [("compare", "a", "b"), ("table", "a", "b"), ("report", "a", "b")])
    def test_runs_that_are_shown_together_and_differ_in_them(self, call, honest_run, tmp_path, words):
        for name, variables in (("a", {"OMP_NUM_THREADS": "1"}), ("b", {"MALLOC_ARENA_MAX": "2"})):
            shutil.copytree(honest_run, tmp_path / name)
            path = tmp_path / name / "manifest.json"
            manifest = json.loads(path.read_text(encoding="utf-8"))
            manifest["machine"]["environment"] = variables
            path.write_text(json.dumps(manifest), encoding="utf-8")
        said = call(*words).stderr.decode()
        assert "measured with different variables" in said
        assert "OMP_NUM_THREADS (1 in a; unset in b)" in said
        assert "MALLOC_ARENA_MAX (unset in a; 2 in b)" in said
        assert call(words[0], "a", "a").stderr == b""
