"""Environments: what a worker needs, which interpreter is chosen, what a person hears when none can be made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

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
    installed = version("mindspore")
    said = []
    assert releases.prepare(Framework.MINDSPORE, [installed], said.append) == {installed: sys.executable}
    assert not said


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LENET_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _environment(cache, requirements):
    folder = cache / f"environment-mindspore-1.2.3-py{sys.version_info[0]}{sys.version_info[1]}"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    (folder / "ready.json").write_text(json.dumps({"requirements": requirements}))
    return folder / "bin" / "python"


def test_one_that_is_there_is_used_again(cache):
    python = _environment(cache, ["mindspore==1.2.3", *map("".join, venv.WORKER_NEEDS.items())])
    assert releases.prepare(Framework.MINDSPORE, ["1.2.3"], pytest.fail) == {"1.2.3": str(python)}


def test_one_that_cannot_be_made_is_one_sentence_and_leaves_nothing(cache, monkeypatch):
    _environment(cache, ["of an older lenet-bench"])
    monkeypatch.setattr(releases, "_pythons", lambda: {sys.version_info[:2]: "/nowhere/python"})
    said = []
    with pytest.raises(UsageError, match=r"mindspore 1\.2\.3 cannot be installed.*nowhere"):
        releases.prepare(Framework.MINDSPORE, ["1.2.3"], said.append)
    assert len(said) == 1
    assert not [each for each in cache.iterdir() if each.is_dir()]


def test_too_little_room_is_said_before_anything_is_made(cache, monkeypatch):
    monkeypatch.setattr(venv, "ROOM_BYTES", 2**60)
    with pytest.raises(UsageError, match="GiB"):
        releases.prepare(Framework.MINDSPORE, ["1.2.3"], pytest.fail)


def test_a_worker_of_another_interpreter_is_lent_this_package(tmp_path, digits, new_store):
    python = tmp_path / "python"  # another path, as another environment's interpreter has
    python.symlink_to(sys.executable)
    probe = tmp_path / "probe.py"
    probe.write_text(
        "import os, sys\nsys.stderr.write(' '.join([os.environ['PYTHONPATH'], *os.listdir()]))\nsys.exit(3)"
    )
    case = Case(dataset="digits", framework_version="1.2.3")
    store = new_store([case], digits)
    (record,) = LocalEngine(commands={"1.2.3": (str(python), str(probe))}).run([case], {"digits": digits}, store)
    first, *listed = record.stderr_tail.split()
    assert "lenet" in listed
    assert "site-packages" not in first


def test_a_release_without_an_environment_is_unavailable(digits, new_store):
    case = Case(dataset="digits", framework_version="1.2.3")
    (record,) = LocalEngine().run([case], {"digits": digits}, new_store([case], digits))
    assert record.status is Status.UNAVAILABLE
    assert "1.2.3" in record.reason
