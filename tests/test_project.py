"""What the project's own files promise: tox.ini passes what users set, and CI lists skips of tests that exist."""

from __future__ import annotations

import configparser
import fnmatch
import importlib.util
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import grimp
import pytest

from lenet.machine.card import NAMES, PREFIXES

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
SET_BY_USERS = (
    *("OMP_NUM_THREADS", "OMP_PROC_BIND", "MKL_NUM_THREADS", "KMP_AFFINITY", "GOMP_CPU_AFFINITY"),
    *("OPENBLAS_NUM_THREADS", "NUMEXPR_MAX_THREADS", "ONEDNN_VERBOSE", "DNNL_MAX_CPU_ISA", "MS_DEV_LAUNCH_BLOCKING"),
    *("LD_PRELOAD", "LD_LIBRARY_PATH", "MALLOC_ARENA_MAX", "MALLOC_CONF", "GLIBC_TUNABLES"),
    *("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "LENET_BENCH_CACHE", "LENET_BENCH_PROFILES"),
    *("CUDA_VISIBLE_DEVICES", "ASCEND_RT_VISIBLE_DEVICES", "RANK_TABLE_FILE", "NCCL_DEBUG", "HCCL_DETERMINISTIC"),
    *("RAY_ADDRESS", "GLOG_v", "LC_ALL", "TZ", "COLUMNS", "ALL_PROXY", "SSL_CERT_DIR", "PIP_INDEX_URL", "CI"),
)
"""Variables that a user sets for speed, for a place, for a device or for a network."""
OF_SPEED = (*(f"{prefix}_ANY" for prefix in PREFIXES), *NAMES)


@pytest.fixture(scope="module")
def tox():
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "tox.ini", encoding="utf-8")
    return parser


def passed(tox, section):
    """The patterns that the section passes, those of [testenv] included where it refers to them."""
    lines = [line.strip() for line in tox[section]["pass_env"].splitlines() if line.strip()[:1] not in ("", "#")]
    others = [name for line in lines if (found := re.fullmatch(r"{\[(.+)\]pass_env}", line)) for name in found.groups()]
    return [*lines, *(line for other in others for line in passed(tox, other))]


@pytest.mark.parametrize("variable", [*SET_BY_USERS, *OF_SPEED])
def test_every_environment_of_tox_passes_what_users_set(tox, variable):
    sections = [section for section in tox.sections() if "pass_env" in tox[section]]
    assert "testenv" in sections
    for section in sections:
        assert any(fnmatch.fnmatchcase(variable, pattern) for pattern in passed(tox, section)), section


def test_tox_waits_for_workers_to_end_after_ctrl_c(tox):
    assert float(tox["testenv"]["interrupt_timeout"]) >= 10


def test_a_second_run_of_a_release_takes_a_new_folder_that_git_ignores(tox):
    (section,) = [each for each in tox.sections() if "-ms{" in each]
    assert "--output" not in tox[section]["commands"]
    assert "LENET_BENCH_RESULTS = {env:LENET_BENCH_VERSIONS:results/run-versions}/{env_name}" in tox[section]["set_env"]
    assert "/results/run-*/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_contributing_shows_which_package_imports_which():
    graph = grimp.build_graph("lenet")
    packages = graph.find_children("lenet")
    imports = {
        package.removeprefix("lenet."): {
            other.removeprefix("lenet.")
            for other in packages - {package}
            if graph.direct_import_exists(importer=package, imported=other, as_packages=True)
        }
        for package in packages
    }
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    shown = {name: set(others.split()) for name, others in re.findall(r"^(\w+) ->(.*)$", text, flags=re.MULTILINE)}
    assert shown == imports


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_files_that_exist(page):
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`((?:lenet|tests|bench|docs)/[\w/.-]*\w/?)`", text)
    assert [name for name in named if not (ROOT / name).exists() and "NAME" not in name] == []


def expected_skips():
    return tomllib.loads((ROOT / "tests/expected-skips.toml").read_text(encoding="utf-8"))["skip"]


@pytest.mark.parametrize("entry", expected_skips(), ids=lambda entry: entry["reason"])
def test_an_expected_skip_is_one_that_a_test_can_give(entry):
    assert entry["why"]
    path, _, name = entry["test"].partition("::")
    files = [ROOT / path] if (ROOT / path).is_file() else list((ROOT / path).rglob("*.py"))
    sources = [file.read_text(encoding="utf-8") for file in files if file.name != Path(__file__).name]
    assert any(entry["reason"] in source and name in source for source in sources)


@pytest.mark.parametrize("entry", expected_skips(), ids=lambda entry: entry["reason"])
def test_what_may_be_missing_is_named_where_it_is_installed(entry, tox):
    word = entry.get("without")
    if word is not None:
        script = (ROOT / ".ci/run").read_text(encoding="utf-8")
        assert re.search(rf"\b{word}\b", script) or word in tox["testenv:test"]["set_env"]


class TestUnexpectedSkips:
    """tests/conftest.py: under CI a skip fails unless the list expects it."""

    TORCH = "tests/training/test_contract.py::TestTorch::test_losses", "Skipped: PyTorch is not installed"

    @pytest.fixture(autouse=True)
    def _fresh(self, monkeypatch):
        monkeypatch.setenv("CI", "true")
        monkeypatch.setenv("LENET_BENCH_TESTS_WITHOUT", "chromium torch")

    @pytest.fixture
    def outcome(self):
        spec = importlib.util.spec_from_file_location("conftest_of_tests", Path(__file__).with_name("conftest.py"))
        conftest = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(conftest)

        def of(nodeid, reason, **others):
            report = SimpleNamespace(
                nodeid=nodeid, skipped=True, outcome="skipped", longrepr=("a.py", 1, reason), **others
            )
            conftest._fail_unexpected_skip(report)
            return report.outcome, report.longrepr

        return of

    def test_one_that_is_not_listed_fails_and_says_why(self, outcome):
        result, said = outcome("tests/test_new.py::test_it", "Skipped: not today")
        assert result == "failed"
        assert said.startswith("tests/test_new.py::test_it: a skip that tests/expected-skips.toml does not expect")
        assert said.endswith("not today")

    def test_one_that_is_listed_stays_a_skip(self, outcome):
        assert outcome(*self.TORCH)[0] == "skipped"

    def test_it_fails_where_ci_installed_what_the_test_misses(self, outcome, monkeypatch):
        monkeypatch.setenv("LENET_BENCH_TESTS_WITHOUT", "chromium")
        assert outcome(*self.TORCH)[0] == "failed"

    def test_an_expected_failure_is_no_skip(self, outcome):
        assert outcome("tests/test_new.py::test_it", "known", wasxfail="known")[0] == "skipped"

    def test_on_a_developers_machine_every_skip_stands(self, outcome, monkeypatch):
        monkeypatch.delenv("CI")
        assert outcome("tests/test_new.py::test_it", "Skipped: not today")[0] == "skipped"
