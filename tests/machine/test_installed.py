"""The version of a framework, read from the package that pip installs it as, and the shared libraries here."""

from __future__ import annotations

import sys

import pytest

from lenet.cases.case import Case, Mode
from lenet.cases.frameworks import Framework
from lenet.engine.environments import releases
from lenet.machine.installed import framework_version, has_library
from lenet.store.freshness import conditions
from lenet.store.profiles import Scope

PACKAGES = {Framework.MINDSPORE: "mindspore", Framework.PYTORCH: "torch"}
"""Each framework's name on the package index, deliberately written again."""

every_framework = pytest.mark.parametrize("framework", Framework)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a package of that name and version before all installed ones."""

    def go(package, version):
        folder = tmp_path / f"{package}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        monkeypatch.syspath_prepend(tmp_path)

    return go


@every_framework
def test_it_is_the_installed_packages(install, framework):
    install(PACKAGES[framework], "98.7.6")
    assert framework_version(framework) == "98.7.6"


@every_framework
def test_every_consumer_sees_the_same(install, framework):
    install(PACKAGES[framework], "98.7.6")
    case = Case(framework=framework, mode=Mode.PYNATIVE)
    assert Scope.of(case, "a-machine").framework_version == "98.7.6"
    assert conditions("a-machine", {}).versions[framework.value] == "98.7.6"
    assert releases.interpreter(framework, "98.7.6", pytest.fail) == sys.executable


@every_framework
def test_a_framework_that_is_not_installed_has_none(monkeypatch, framework):
    monkeypatch.setattr("sys.path", [])
    assert framework_version(framework) is None


def test_a_shared_library_is_one_that_the_dynamic_linker_loads():
    assert has_library("libm.so.6")
    assert not has_library("libnowhere.so.9")


def test_what_the_dynamic_linker_could_not_be_asked_is_asked_again(monkeypatch):
    name = "libdl.so.2"
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/nowhere/python")
        assert not has_library(name)
    assert has_library(name)
