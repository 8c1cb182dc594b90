"""Copies of an honest run."""

from __future__ import annotations

import shutil

import pytest
from forging import no_tables

from lenet.engine.local import LocalEngine
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


@pytest.fixture
def measured_again(run, names, digits, numpy_worker):
    """The copy after its first case was measured again, as `--resume --force` does; without tables."""
    store = Store.open(run)
    store.hold()
    cases = [case for case in store.manifest.cases if case.id == names[0]]
    LocalEngine(command=numpy_worker).run(cases, {"digits": digits}, store)
    store.release()
    no_tables(run)
    return run
