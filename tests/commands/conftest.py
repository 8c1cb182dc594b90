"""Copies of an honest run."""

from __future__ import annotations

import shutil

import pytest

from lenet.store.run import Store


@pytest.fixture
def run(honest_run, tmp_path):
    """The honest run, to be tampered with."""
    return shutil.copytree(honest_run, tmp_path / "copy")


@pytest.fixture(scope="module")
def names(honest_run):
    """The case ids: a measurement of speed, and one of whole epochs."""
    cases = Store.open(honest_run).manifest.cases
    return cases[0].id, cases[2].id
