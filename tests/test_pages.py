"""The pages are held to the code: the tables that describe it, and every option, field and function that they name."""

from __future__ import annotations

import ast
import fnmatch
import importlib.util
import pkgutil
import re
import shlex
import sys
from pathlib import Path

import pytest
import typer.main

from lenet import cli
from lenet.analysis.check import Rung
from lenet.analysis.convergence import ConvergenceStatus
from lenet.analysis.published import PublishedVerdict
from lenet.analysis.stability import REASONS
from lenet.analysis.verdict import Mark
from lenet.cases.case import Plan, RuntimeProfile
from lenet.cases.claims import Publication
from lenet.cases.matrix import Matrix
from lenet.cases.presets import load_file
from lenet.cases.values import Mode
from lenet.report.table.columns import TABLE
from lenet.store.proof import TrainingStatus
from lenet.store.record import Status

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


PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md"))]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)

FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def text_of(name):
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def code_of(page):
    """The fenced blocks of a page by language, and its code in running text."""
    text = page.read_text(encoding="utf-8")
    return FENCED.findall(text), re.findall(r"`([^`\n]+)`", FENCED.sub("", text))


def first_column(text, head):
    """The cells below that head, until its first table ends."""
    lines, *_ = re.findall(rf"^\| {head} \|.*\n\| ---.*\n((?:\|.*\n)+)", text, flags=re.MULTILINE)
    return [line.split("|")[1].strip() for line in lines.splitlines()]


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
        example, *_ = re.findall(r"```toml\n(.*?)```", text_of("matrix-files.md"), flags=re.DOTALL)
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


OTHERS = frozenset({
    *("--install-completion", "--version", "--help"),  # of every command line
    *("--cpus", "--cpuset-cpus", "--init"),  # docker
    *("--rounds", "--worker", "--bare"),  # bench/, tests/soak.py
    *("--benchmark-only", "--cov"),  # pytest's plugins
})  # fmt: skip
"""Options in running text that are not lenet-bench's."""


@pytest.fixture(scope="module")
def words():
    """Every word of the code."""
    sources = [path for folder in ("lenet", "bench", "tests") for path in (ROOT / folder).rglob("*.py")]
    return set(re.findall(r"\w+", "\n".join(path.read_text(encoding="utf-8") for path in sources)))


class TestNames:
    """What a page names is there."""

    COMMANDS = typer.main.get_command(cli.app).commands

    @classmethod
    def options(cls, name):
        return {option for parameter in cls.COMMANDS[name].params for option in parameter.opts}

    @each_page
    def test_a_command_has_the_options_that_it_is_printed_with(self, page):
        blocks, spans = code_of(page)
        lines = [line for kind, text in blocks if kind in ("sh", "console") for line in text.splitlines()]
        printed = [re.sub(r"(^|\s)#.*$", "", line) for line in (*lines, *spans)]
        for line in printed:
            for words in re.findall(r"(?:^|[\s/])lenet-bench ([a-z]+\b[^&|>]*)", line):
                name, *others = shlex.split(words)
                assert name in self.COMMANDS, line
                used = {word.partition("=")[0] for word in others if re.match("--?[a-z]", word)}
                assert used <= self.options(name) | {"--help"}, line

    @each_page
    def test_an_option_in_running_text_is_one_of_a_command(self, page):
        _, spans = code_of(page)
        known = set.union(*map(self.options, self.COMMANDS)) | OTHERS
        assert {found for span in spans for found in re.findall(r"^--[a-z-]+", span)} <= known

    @each_page
    def test_a_field_or_function_is_in_the_code(self, page, words):
        _, spans = code_of(page)
        named = {word for span in spans if "/" not in span for word in re.findall(r"\b[a-z]+(?:_[a-z0-9]+)+\b", span)}
        sides = {word for word in named if word.endswith(("_a", "_b"))}  # columns of a comparison's CSV
        assert named - sides - {"mlperf_logging", "precision_mode"} <= words

    @each_page
    def test_a_dotted_name_can_be_imported(self, page):
        blocks, spans = code_of(page)
        named = {name for span in spans for name in re.findall(r"^lenet(?:\.\w+)+", span)} - {"lenet.py"}
        for kind, text in blocks:
            if kind == "python":
                for node in ast.walk(ast.parse(text)):
                    if isinstance(node, ast.ImportFrom):
                        named |= {f"{node.module}.{alias.name}" for alias in node.names}
        for name in named:
            pkgutil.resolve_name(name)


class TestLists:
    """A list on a page is that of the code."""

    @pytest.mark.parametrize(
        ("page", "head", "values"),
        [
            ("README.md", "mode", Mode),
            ("docs/comparing.md", "verdict", Mark),
            ("docs/convergence.md", "verdict", ConvergenceStatus),
            ("docs/determinism.md", "check", Rung),
            ("docs/recomputing.md", "training", TrainingStatus),
            ("docs/reproducing.md", "verdict", PublishedVerdict),
        ],
    )
    def test_values(self, page, head, values):
        cells = first_column((ROOT / page).read_text(encoding="utf-8"), head)
        names = [name.partition(" (")[0].strip("`") for cell in cells for name in cell.split(", ")]
        assert sorted(names) == sorted(each.value for each in values)

    def test_statuses(self):
        text = (ROOT / "README.md").read_text(encoding="utf-8")
        (item,) = re.findall(r"^- \*\*status\*\* is (.*?\n)(?=- )", text, flags=re.MULTILINE | re.DOTALL)
        assert set(re.findall(r"`([a-z ]+)`", item)) == {each.value for each in Status}

    def test_columns_of_a_table(self):
        cells = first_column(text_of("reading-a-table.md"), "column")
        assert {name for cell in cells for name in cell.split(", ")} == {column.title for column in TABLE}

    def test_reasons_of_an_unstable_figure(self):
        assert first_column(text_of("statistics.md"), "mark") == list(REASONS)

    def test_settings_of_a_profile(self):
        cells = first_column(text_of("tuning.md"), "setting")
        listed = {name for cell in cells for name in re.findall(r"`(\w+)", cell)}
        assert listed == RuntimeProfile.model_fields.keys() - {"name", "tuned_by"}

    def test_keys_of_a_publication(self):
        named = set(re.findall(r"`\[*(\w+)", " ".join(first_column(text_of("adding-a-claim.md"), "key"))))
        assert named == Publication.model_fields.keys() - {"name"}

    def test_charts_of_a_report(self):
        sources = [
            (ROOT / f"lenet/report/charts/{name}.py").read_text("utf-8") for name in ("learning", "speed", "spent")
        ]
        titles = re.findall(r'return Chart\(\n +"\w+",\n +"(.*)",', "".join(sources))
        cells = first_column(text_of("report.md"), "section")
        assert len(titles) >= 8
        assert {title.replace("’", "'") for title in titles} <= {name for cell in cells for name in cell.split(", ")}

    def test_commands(self):
        text = (ROOT / "README.md").read_text(encoding="utf-8")
        assert set(re.findall(r"\blenet-bench ([a-z]+)\b", text)) >= {each.__name__ for each in cli.COMMANDS}


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
