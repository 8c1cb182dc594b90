"""The recipes of docs/ci.md: every shell step runs as printed, with GitHub's and GitLab's rules for steps.

Imitated: `git clone`, `python3 -m venv` and `pip install`, which would download MindSpore; `gh` and `curl`, which note
what they get; the candidate, a small wheel called mindspore whose worker trains in NumPy and, by a file of the wheel,
slower or faster than the release's. What makes the environment of the candidate, runs and compares is real. The matrix
and its plan are short, and `--repeat 6` is `--repeat 3`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from make_wheel import make_wheel, worker_packages

from lenet.cases.wheels import parse_release

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/ci.md").read_text(encoding="utf-8"), re.DOTALL)
GITHUB, GITLAB, BENCHMARK = map(yaml.safe_load, BLOCKS)
PRESET = """
modes = ["graph"]
batch_sizes = [32]
[plan]
warmup_steps = 5
window_steps = 3
window_seconds = 0.1
windows = 3
resident_windows = 0
evaluation_images = 32
"""
RELEASE = version("mindspore")
"""Installed here, so that it needs no environment."""
STEP_SECONDS = 0.02
"""Of the release: slept, so that a busy machine changes it little."""

STUBS = {
    "python3": """
        test "$*" = "-m venv .venv"
        mkdir -p .venv/bin
        printf '#!/bin/sh\\necho "$@" >> "$NOTES/installed"\\n' > .venv/bin/python
        for name in lenet-bench:lenet.cli pytest:pytest pytest-benchmark:pytest_benchmark; do
            printf '#!/bin/sh\\nexec %s -m %s "$@"\\n' "$PYTHON" "${name#*:}" > ".venv/bin/${name%:*}"
        done
        chmod +x .venv/bin/*""",
    "git": """
        test "$*" = "clone --depth 1 an-address lenet-bench"
        ln -sfn "$CHECKOUT" lenet-bench""",
    "gh": """
        echo "$@" > "$NOTES/comment"
        cat speed.md >> "$NOTES/comment\"""",
    "curl": """
        echo "$@" > "$NOTES/comment"
        cat speed.md >> "$NOTES/comment\"""",
}


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return worker_packages(tmp_path_factory.mktemp("index"))


@pytest.fixture
def runner(tmp_path, index):
    """A job's folder with `dist/`, and a function that runs the script of a step there; returns what it did."""
    checkout, notes, commands, job = (tmp_path / name for name in ("checkout", "notes", "commands", "job"))
    for name in ("lenet", "bench"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", checkout)
    (checkout / "lenet/cases/presets/quick.toml").write_text(PRESET)
    for folder in (notes, commands, job):
        folder.mkdir()
    for name, script in STUBS.items():
        (commands / name).write_text(f"#!/bin/sh -e\n{script}\n")
        (commands / name).chmod(0o755)
    outer = ("PYTEST_", "TOX_", "PIP_", "COV", "GITHUB_")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(outer)},
        "PATH": os.pathsep.join((str(commands), os.environ["PATH"])),
        "PYTHONPATH": os.pathsep.join((str(ROOT / "tests/cheap"), str(checkout))),
        "NUMPY_WORKER_STEP_SECONDS": str(STEP_SECONDS),
        "LENET_BENCH_CACHE": str(tmp_path / "cache"),
        **{"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index), "PYTHON": sys.executable, "COLUMNS": "100"},
        **{"NOTES": str(notes), "CHECKOUT": str(checkout), "RELEASE": RELEASE},
    }

    def run(script, **variables):
        script = script.replace("--repeat 6", "--repeat 3")
        return subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],
            cwd=job, env={**environment, **variables}, capture_output=True, text=True, timeout=240,
        )  # fmt: skip

    run.folder, run.notes = job, notes
    return run


def candidate(folder, step_seconds):
    """A wheel whose environment makes the NumPy worker's steps that long; returns what it is called."""
    pace = f"os.environ['NUMPY_WORKER_STEP_SECONDS'] = '{step_seconds}'"
    # The environment's Python has its own path: the file of the wheel leads to the NumPy worker too.
    slowness = f"import os, sys; {pace}; sys.path.insert(0, {str(ROOT / 'tests/cheap')!r}); import sitecustomize\n"
    wheel = make_wheel(folder / "dist", version="2.99.0.dev20261125", files={"mindspore.py": "", "pace.pth": slowness})
    return parse_release(str(wheel))


def in_order(runner, steps, variables):
    """What each shell step of GitHub did: a step runs after a failed one only if its `if` says so."""
    done, failed = {}, False
    files = {name: runner.folder / name for name in ("GITHUB_ENV", "GITHUB_PATH", "GITHUB_STEP_SUMMARY")}
    for step in steps:
        if "run" not in step or (failed and "always()" not in step.get("if", "") and "cancelled" not in step["if"]):
            continue
        given = dict(variables)
        for line in files["GITHUB_ENV"].read_text().splitlines() if files["GITHUB_ENV"].exists() else ():
            given.update([line.split("=", 1)])
        paths = files["GITHUB_PATH"].read_text().split() if files["GITHUB_PATH"].exists() else []
        prefix = f'export PATH="{":".join(paths)}:$PATH"\n' if paths else ""
        done[step["name"]] = runner(prefix + step["run"], **given, **{name: str(path) for name, path in files.items()})
        failed = failed or done[step["name"]].returncode != 0
    return done


@pytest.fixture
def github(runner):
    """Run the steps of the job, those of `replaced` instead of the steps with their names."""

    def go(replaced=()):
        (runner.folder / "lenet-bench").symlink_to(runner.folder.parent / "checkout")
        instead = {step["name"]: step for step in replaced}
        steps = [instead.get(step.get("name"), step) for step in GITHUB["jobs"]["speed"]["steps"]]
        return in_order(runner, steps, {"PULL_REQUEST": "17", "GITHUB_REPOSITORY": "owner/name"})

    return go


def failed(done):
    return {name: each.returncode for name, each in done.items() if each.returncode}


def test_github_comments_the_table_and_fails_for_a_slow_candidate(runner, github):
    name = candidate(runner.folder, 3 * STEP_SECONDS)
    done = github()
    assert list(done) == ["Install", "Measure", "Show", "Comment", "Gate", "Remove"]
    assert failed(done) == {"Gate": 1}, [each.stderr for each in done.values()]
    assert "1 of 1 cases failed or are slower by 5%" in done["Gate"].stderr
    said = (runner.notes / "comment").read_text()
    assert said.startswith("pr comment 17 --repo owner/name --body-file speed.md\n")
    (line,) = [line for line in said.splitlines() if name in line]
    assert line.startswith("|")
    assert "slower" in line
    assert name in (runner.folder / "GITHUB_STEP_SUMMARY").read_text()
    installed = (runner.notes / "installed").read_text()
    assert installed == f"-m pip install mindspore=={RELEASE} ./lenet-bench\n"
    records = [json.loads(path.read_text()) for path in (runner.folder / "speed/records").iterdir()]
    assert {each["case"]["framework_version"] for each in records} == {RELEASE, name}
    assert len({each["group"] for each in records}) == len(records) / 2 == 3, "a release and a candidate in each group"
    assert not list((runner.folder.parent / "cache").glob("*@*")), "the environment of the wheel is removed"


def test_gitlab_comments_the_table_and_passes_for_a_fast_candidate(runner):
    name = candidate(runner.folder, STEP_SECONDS / 3)
    job = GITLAB["speed"]
    own = {"LENET_BENCH": "an-address", "COMMENT_TOKEN": "token", "CI_API_V4_URL": "https://host/api/v4"}
    own |= {"CI_PROJECT_ID": "5", "CI_MERGE_REQUEST_IID": "17"}
    done = runner("\n".join([*job["before_script"], *job["script"]]), **own)
    assert done.returncode == 0, done.stderr
    after = runner("\n".join(job["after_script"]), **own)
    assert after.returncode == 0, after.stderr
    address, *said = (runner.notes / "comment").read_text().splitlines()
    assert address.endswith("https://host/api/v4/projects/5/merge_requests/17/notes")
    (line,) = [line for line in said if name in line]
    assert "faster" in line
    assert name in after.stdout
    assert set(job["artifacts"]["paths"]) <= {path.name for path in runner.folder.iterdir()}


def test_pytest_benchmark_compares_the_two_and_the_gate_reads_its_run(runner, github):
    name = candidate(runner.folder, 3 * STEP_SECONDS)
    done = github(BENCHMARK)
    assert failed(done) == {"Gate": 1}, [each.stderr for each in done.values()]
    table = done["Show"].stdout
    assert "seconds per training step: CPU, graph, batch 32, digits" in table
    rows = [line for line in table.splitlines() if "test_training_step[" in line]
    named = [name in row for row in rows]
    assert named in ([True] * 3 + [False] * 3, [False] * 3 + [True] * 3), table
    assert name in (runner.notes / "comment").read_text()
    assert "slower by 5%" in done["Gate"].stderr


def test_the_page_asks_for_what_its_recipes_use():
    steps = GITHUB["jobs"]["speed"]["steps"]
    names = [step["name"] for step in steps if "name" in step]
    assert {step["name"] for step in BENCHMARK} <= set(names), "they replace steps of the same name"
    assert GITHUB["jobs"]["speed"]["env"]["RELEASE"] == GITLAB["speed"]["variables"]["RELEASE"]
    assert GITHUB["permissions"]["pull-requests"] == "write"
