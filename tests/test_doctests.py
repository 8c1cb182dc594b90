"""The examples in the docstrings are true. Only modules that import nothing heavy have any."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import lenet


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
