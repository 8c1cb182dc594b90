"""The pages of docs/ that describe the code in tables are held to the code."""

from __future__ import annotations

import fnmatch
import importlib.util
import re
import sys
from pathlib import Path

import pytest

from lenet import cli
from lenet.cases.case import Plan
from lenet.cases.matrix import Matrix
from lenet.cases.presets import load_file

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text_of(name):
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def generated():
    pages = {page.name: re.findall(r"<!-- generated: (\w+) -->", text_of(page.name)) for page in ROOT.glob("docs/*.md")}
    return {name: parts for name, parts in pages.items() if parts}


@pytest.mark.parametrize("name", generated())
def test_generated_parts_are_those_of_the_code(generate, name):
    assert text_of(name) == generate.filled(text_of(name)), "run `python docs/generate.py`"


def test_every_part_is_on_a_page(generate):
    assert sorted(part for parts in generated().values() for part in parts) == sorted(generate.PARTS)


class TestMatrixFiles:
    def test_the_example_has_every_key_and_is_read(self, tmp_path):
        (example,) = re.findall(r"```toml\n(.*?)```", text_of("matrix-files.md"), flags=re.DOTALL)
        path = tmp_path / "example.toml"
        path.write_text(example, encoding="utf-8")
        assert len(load_file(path).cases()) == 2 * 2 * 2 * 3
        assert set(re.findall(r"^(\w+) =", example, re.MULTILINE)) | {"plan", "epochs"} == {
            *Matrix.model_fields,
            *Plan.model_fields,
        }


def test_environment_variables_are_those_that_the_code_reads():
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "lenet").rglob("*.py")]
    read = {name for text in sources for name in re.findall(r"\bLENET_BENCH_[A-Z_]+\b", text)}
    listed = set(re.findall(r"`(LENET_BENCH_[A-Z_]+)`", text_of("environment-variables.md")))
    assert listed == read | {"LENET_BENCH_VERSIONS"}
    assert "LENET_BENCH_VERSIONS" in (ROOT / "tox.ini").read_text(encoding="utf-8")


def test_exit_code_1_is_described_for_each_command_that_has_it():
    with_it = {
        command.__name__
        for command in cli.COMMANDS
        if "FAILED" in (ROOT / f"lenet/cli/{command.__name__}.py").read_text(encoding="utf-8")
    }
    listed = set(re.findall(r"^\| `([a-z]+)` \|", text_of("exit-codes.md"), flags=re.MULTILINE))
    assert listed == with_it


def test_every_page_is_on_the_first_page_and_the_changelog_has_the_version():
    named = set(re.findall(r"\(([\w-]+\.md)(?:#[\w-]+)?\)", text_of("index.md")))
    assert named == {page.name for page in ROOT.glob("docs/*.md")} - {"index.md"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert newest[1] == project["version"]


def test_every_file_of_the_package_is_packed():
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    patterns = setup["package-data"]["lenet"]
    files = [path.relative_to(ROOT / "lenet") for path in (ROOT / "lenet").rglob("*") if path.is_file()]
    data = [path.as_posix() for path in files if path.suffix not in (".py", ".pyc") and path.name != "README.md"]
    assert len(data) > 10
    assert [name for name in data if not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)] == []
    assert setup["py-modules"] == ["lenet_bench"]
