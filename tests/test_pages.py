"""The pages of docs/ that describe the code in tables are held to the code."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from lenet.cases.case import Plan
from lenet.cases.matrix import Matrix
from lenet.cases.presets import load_file

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
