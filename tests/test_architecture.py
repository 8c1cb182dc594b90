"""Import order of the packages, no import circle, unique class names, no framework in a parent process.

The `PENDING_` sets list known violations. An entry that no longer holds fails the test: remove it then.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import grimp
import pytest

import lenet

ROOT = Path(lenet.__file__).parent

ORDER = (
    "errors",
    "files",
    "cases",
    "machine",
    "store",
    "dataset",
    "workload",
    "training",
    "worker",
    "analysis",
    "report",
    "engine",
    "commands",
    "api",
    "cli",
)
"""Bottom to top: each imports only from those above it in this list."""

FRAMEWORKS = ("mindspore", "torch")
NOT_IMPORTED = (
    "lenet.training.mindspore",
    "lenet.training.torch",
    "lenet.training.targets",
    "lenet.training.script.template",
    "lenet.engine.cluster",
    "lenet.engine.ray",
)
"""Modules that import a framework as they are imported, and those that need Ray."""

PENDING_UPWARDS: set[str] = set()
PENDING_MODULE_CIRCLES: set[str] = set()
PENDING_PACKAGE_CIRCLES: set[str] = set()
PENDING_CLASSES: set[str] = set()


@pytest.fixture(scope="module")
def graph():
    """Every import in the package, those in functions and for the type checker too."""
    return grimp.build_graph("lenet", include_external_packages=True, cache_dir=None)


@pytest.fixture(scope="module")
def modules(graph):
    return sorted(module for module in graph.modules if module.split(".")[0] == "lenet")


def part(module):
    """The package, or the module beside the packages, that a module belongs to; None for `lenet` itself."""
    return ".".join(module.split(".")[1:2]) or None


def test_every_package_has_its_place(modules):
    assert {part(module) for module in modules} - {None} == set(ORDER)


def test_no_import_goes_against_the_order(graph, modules):
    rank = {name: place for place, name in enumerate(ORDER)}
    upwards = {
        f"{module} -> {imported}"
        for module in modules
        for imported in graph.find_modules_directly_imported_by(module)
        if part(module) in rank and part(imported) in rank and rank[part(imported)] > rank[part(module)]
    }
    assert upwards == PENDING_UPWARDS


def test_no_modules_import_each_other(graph, modules):
    circles = {
        module
        for module in modules
        if any(
            graph.chain_exists(importer=imported, imported=module)
            for imported in graph.find_modules_directly_imported_by(module) & set(modules)
        )
    }
    assert circles == PENDING_MODULE_CIRCLES


def test_no_packages_import_each_other(graph, modules):
    circles = {
        package
        for package in modules
        if len(graph.find_children(package)) > 1 and graph.nominate_cycle_breakers(package)
    }
    assert circles == PENDING_PACKAGE_CIRCLES


def test_class_names_are_unique():
    places = defaultdict(list)
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert len(places) > 100
    several = {name: found for name, found in places.items() if len(found) > 1}
    assert set(several) == PENDING_CLASSES, several


def test_other_programs_are_run_in_one_place(graph):
    """With its limits on time and output; workers and their ranks have rules of their own."""
    assert graph.find_modules_that_directly_import("subprocess") == {
        "lenet.machine.programs",
        "lenet.engine.process",
        "lenet.worker.ranks.launch",
    }


def test_frameworks_are_imported_where_training_is(graph):
    for framework in FRAMEWORKS:
        importers = graph.find_modules_that_directly_import(framework)
        assert importers
        assert {part(module) for module in importers} <= {"training", "worker"}, importers


def test_no_parent_module_imports_a_framework(modules):
    """Whatever a parent process imports of the package, neither framework is loaded with it."""
    others = [module for module in modules if module not in NOT_IMPORTED and not module.endswith("__main__")]
    code = f"""
import importlib, sys
for module in {others}:
    importlib.import_module(module)
    found = set({FRAMEWORKS}) & sys.modules.keys()
    assert not found, (module, found)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
