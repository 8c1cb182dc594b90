"""Environments: what a worker needs, which interpreter is chosen, what a person hears when none can be made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from make_wheel import make_wheel

import lenet
from lenet.cases.case import Case
from lenet.cases.frameworks import Framework
from lenet.engine.environments import releases, venv
from lenet.engine.local import LocalEngine
from lenet.errors import UsageError
from lenet.store.record import Status

IMPORTED_AS = {"pyelftools": "elftools"}
OF_PYDANTIC = {"pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"}


@pytest.mark.mindspore
def test_a_worker_imports_no_more_than_it_is_given(tmp_path):
    """Beside what the framework itself imports; the trainer's room is one of those that a worker enters."""
    code = (
        "import sys\n"
        "def installed():\n"
        "    return {name.partition('.')[0] for name, module in sys.modules.items()\n"
        "            if 'site-packages' in (getattr(module, '__file__', None) or '')}\n"
        "import mindspore, mindspore.dataset\n"
        "before = installed()\n"
        "import lenet.worker.__main__, lenet.training.mindspore, lenet.dataset\n"
        "import lenet.worker.ranks.launch, lenet.machine.devices.cuda\n"
        "print(*(installed() - before))\n"
    )
    package = Path(lenet.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(package)},
    )  # fmt: skip
    given = {IMPORTED_AS.get(name, name) for name in venv.WORKER_NEEDS}
    found = {name for name in done.stdout.split() if not name.startswith(("_", "lenet"))}
    assert "elftools" in found, "the libraries of a plugin are read in the worker"
    assert found <= given | OF_PYDANTIC


def test_the_installed_release_needs_no_environment():
    assert releases.interpreter(Framework.MINDSPORE, version("mindspore"), pytest.fail) == sys.executable


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LENET_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(releases, "pythons_here", lambda: {sys.version_info[:2]: "/nowhere/python"})
    return tmp_path / "cache"


def _environment(cache, requirements, package="mindspore"):
    folder = cache / f"environment-{package}-1.2.3-py{sys.version_info[0]}{sys.version_info[1]}"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    (folder / "ready.json").write_text(json.dumps({"requirements": requirements}))
    return folder / "bin" / "python"


def _needs(package):
    return [f"{package}==1.2.3", *map("".join, venv.WORKER_NEEDS.items())]


def test_an_existing_environment_is_reused(cache):
    python = _environment(cache, _needs("mindspore"))
    assert releases.interpreter(Framework.MINDSPORE, "1.2.3", pytest.fail) == str(python)


def test_an_environment_that_cannot_be_made_is_one_sentence_and_leaves_nothing(cache):
    _environment(cache, ["of an older lenet-bench"])
    notices = []
    with pytest.raises(UsageError, match=r"mindspore 1\.2\.3 cannot be installed.*nowhere"):
        releases.prepare([Case(framework_version="1.2.3")], notices.append)
    assert len(notices) == 1
    assert not [each for each in cache.iterdir() if each.is_dir()]


def test_a_full_disk_is_reported_before_anything_is_made(cache, monkeypatch):
    monkeypatch.setattr(venv, "FREE_BYTES", 2**60)
    with pytest.raises(UsageError, match="GiB"):
        releases.prepare([Case(framework_version="1.2.3")], pytest.fail)


def test_cases_without_a_release_need_no_environment(cache):
    releases.prepare([Case(), Case(repetition=1)], pytest.fail)
    assert not cache.exists()


WORKER = """#!{python}
import os, sys
sys.stderr.write(" ".join([sys.argv[0], os.environ["PYTHONPATH"], *os.listdir()]))
sys.exit(3)
"""


def test_each_release_of_each_framework_has_its_own_interpreter_with_this_package(
    cache, digits, new_store, monkeypatch
):
    """MindSpore and PyTorch have releases of the same number."""
    cases = [
        Case(dataset="digits", framework=framework, mode="pynative", framework_version="1.2.3")
        for framework in Framework
    ]
    pythons = []
    for package in ("mindspore", "torch"):
        pythons.append(_environment(cache, _needs(package), package))
        pythons[-1].unlink()
        pythons[-1].write_text(WORKER.format(python=sys.executable))
        pythons[-1].chmod(0o755)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path[1:]))
    engine = LocalEngine()
    records = engine.run(cases, {"digits": digits}, new_store(cases, digits))
    for record, python in zip(records, pythons, strict=True):
        program, first, *listed = record.stderr_tail.split()
        assert program == str(python)
        assert "site-packages" not in first
        assert os.pathsep not in first, "packages of another interpreter"
        assert "lenet" in listed


def test_a_release_that_cannot_be_installed_is_unavailable_with_the_reason(cache, digits, new_store):
    case = Case(dataset="digits", framework_version="1.2.3")
    engine = LocalEngine(notify=lambda text: None)
    (record,) = engine.run([case], {"digits": digits}, new_store([case], digits))
    assert record.status is Status.UNAVAILABLE
    assert "cannot be installed" in record.reason


@pytest.fixture
def wheel(tmp_path):
    """A folder with the wheel of `tiny` 1.0."""
    folder = tmp_path / "wheels"
    make_wheel(folder, "tiny", "1.0", files={"tiny.py": "WHERE = __file__"})
    return folder


HOSTILE = {
    **{"PIP_USER": "1", "PIP_TARGET": "elsewhere", "PIP_PREFIX": "elsewhere", "PIP_ROOT": "elsewhere"},
    **{"PIP_REQUIRE_VIRTUALENV": "1", "PIP_CONSTRAINT": "nowhere.txt", "PIP_REQUIREMENT": "nowhere.txt"},
    **{"PIP_NO_BINARY": ":all:", "PIP_DRY_RUN": "1", "PIP_PYTHON": "/nowhere/python", "PIP_QUIET": "3"},
    **{"PYTHONSTARTUP": "/nowhere.py", "PYTHONHOME": "/nowhere", "PYTHONWARNINGS": "error", "LC_ALL": "tr_TR"},
}
"""Settings for other programs than this one."""


@pytest.mark.parametrize("by", ["variables", "file"])
def test_the_users_configuration_says_where_packages_come_from_and_nothing_else(
    by, cache, wheel, tmp_path, monkeypatch
):
    """PYTHONPATH has a package of that name, which pip would take for installed."""
    other = tmp_path / "other"
    (other / "tiny-1.0.dist-info").mkdir(parents=True)
    (other / "tiny-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(other), os.environ.get("PYTHONPATH")])))
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    if by == "variables":
        monkeypatch.setenv("PIP_FIND_LINKS", str(wheel))
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        for name, value in HOSTILE.items():
            monkeypatch.setenv(name, value)
    else:
        options = "user = true\ntarget = elsewhere\nrequire-virtualenv = true\nconstraint = nowhere.txt\n"
        (tmp_path / "pip.conf").write_text(f"[global]\n{options}no-index = true\n[install]\nfind-links = {wheel}\n")
        monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    python = venv.make("environment-tiny", sys.executable, ["tiny==1.0"])
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [python, "-c", "import tiny; print(tiny.WHERE)"], env=clean, capture_output=True, text=True, check=True
    )
    assert Path(done.stdout.strip()).is_relative_to(cache / "environment-tiny")
    assert not (tmp_path / "elsewhere").exists()
