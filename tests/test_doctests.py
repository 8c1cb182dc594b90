"""The examples in docstrings and on pages are true. Only modules that import nothing heavy have any."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
from enum import Enum
from pathlib import Path
from types import SimpleNamespace

import pytest

import lenet
from lenet.cases.axis import Axis
from lenet.cases.frameworks import ABILITIES, Abilities, Framework
from lenet.cases.values import Mode
from lenet.report.charts.channels import Palette
from lenet.report.charts.chart import Chart, Data

ROOT = Path(__file__).resolve().parents[1]


def _with_examples():
    for module in pkgutil.walk_packages(lenet.__path__, "lenet."):
        spec = importlib.util.find_spec(module.name)
        if spec and spec.origin and spec.loader and ">>> " in (spec.loader.get_source(module.name) or ""):
            yield module.name


@pytest.mark.parametrize("name", list(_with_examples()))
def test_examples(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed


def test_there_are_examples():
    assert len(list(_with_examples())) >= 8


def printed(page):
    """The Python that a page prints, block by block."""
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(encoding="utf-8"), flags=re.M | re.S)


def test_the_reference_trainer_trains_as_printed():
    (block,) = printed("docs/pytorch.md")
    command = [sys.executable, "-c", block.replace('"mnist"', '"digits"')]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    assert 2 < float(done.stdout.split()[0]) < 2.4, "the loss of a network that guesses"


def test_the_printed_entry_of_a_framework_is_that_of_the_code():
    entry, _ = printed("docs/adding-a-framework.md")
    names = {"Enum": Enum, "Abilities": Abilities, "Mode": Mode}
    exec(entry, names)
    (found,) = names["ABILITIES"].values()
    assert found == ABILITIES[Framework.PYTORCH]


def test_the_printed_entry_of_an_axis_is_one():
    _, entry = printed("docs/adding-an-axis.md")
    names = {"Axis": Axis, "NumericPrecision": Mode}
    exec(entry, names)
    assert isinstance(names["AXES"][-1], Axis)


def test_the_printed_chart_is_one():
    (block,) = printed("CONTRIBUTING.md")
    names = {"Palette": Palette, "Data": Data, "Chart": Chart}
    exec(block, names)
    assert names["memory"](SimpleNamespace(colour={}), {}).needs == "peak_memory_bytes"
