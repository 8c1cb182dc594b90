"""An axis that is added to the table is everywhere without another edit: the contract tests hold for it.

The package is copied, one entry is added to the copy's table, and the contract tests run there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENTRY = """    Axis(
        "momentum", 65, "hyperparameters.momentum", parse_value=float, examples=("0.5", "0.75"), field="momenta",
        option="--momentum", help="Momenta such as 0.5,0.75.", phrase="momentum {}",
    ),
"""
LAST = '    Axis("machine", '


@pytest.fixture(scope="module")
def with_another_axis(tmp_path_factory):
    """The folder of a copy whose table has another axis."""
    folder = tmp_path_factory.mktemp("added")
    skip = shutil.ignore_patterns("__pycache__")
    for name in ("lenet", "bench", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=skip)
    shutil.copy(ROOT / "pyproject.toml", folder)
    table = folder / "lenet" / "cases" / "axes.py"
    text = table.read_text(encoding="utf-8")
    assert text.count(LAST) == 1
    table.write_text(text.replace(LAST, ENTRY + LAST), encoding="utf-8")
    return folder


def test_the_contract_tests_hold_for_it(with_another_axis):
    command = [sys.executable, "-m", "pytest", "tests/contract/test_axes.py", "-k", "momentum", "-q", "-rf"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", "-p", "no:randomly", "--basetemp", str(with_another_axis / "tmp")],
        cwd=with_another_axis, env={**os.environ, "PYTHONPATH": str(with_another_axis), "CI": ""},
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= 30
