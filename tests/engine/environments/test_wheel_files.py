"""Environments of wheel files, made by pip. The wheels imitate MindSpore; what pip and the cache do is real."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
from make_wheel import make_wheel

from lenet.cases import wheels
from lenet.cases.case import Case
from lenet.cases.frameworks import Framework
from lenet.cases.wheels import parse_release
from lenet.commands.clean import clean
from lenet.commands.run import RunRequest
from lenet.engine.environments import releases, venv
from lenet.engine.local import LocalEngine
from lenet.errors import UsageError
from lenet.store.run import Store


@pytest.fixture(scope="module")
def without_packages(tmp_path_factory):
    """An environment that has pip alone, which is copied: to make one takes longer than what is tested here."""
    folder = tmp_path_factory.mktemp("without") / "packages"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return folder


@pytest.fixture(autouse=True)
def _places(tmp_path, monkeypatch, without_packages):
    """A cache of its own, and an index of packages that a worker needs, which hold nothing."""
    run = venv.execute

    def execute(command, environment=None):
        if command[:3] == [sys.executable, "-m", "venv"]:
            return shutil.copytree(without_packages, command[-1], symlinks=True, dirs_exist_ok=True)
        return run(command, environment)

    monkeypatch.setattr(venv, "execute", execute)
    index = tmp_path / "index"
    for name in venv.WORKER_NEEDS:
        make_wheel(index, name, {"numpy": "1.26", "pydantic": "2.9"}.get(name, "9.0"))
    monkeypatch.setenv("LENET_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setattr(releases, "pythons_here", lambda: {sys.version_info[:2]: sys.executable})


def build(folder, words, **options):
    return make_wheel(folder, files={"mindspore.py": f"WORDS = {words!r}"}, **options)


def prepared(path):
    release = parse_release(str(path))
    releases.prepare([Case(framework_version=release)], lambda _: None)
    return release


def words_in(release):
    python = releases.interpreter(Framework.MINDSPORE, release, pytest.fail)
    code = "import mindspore; print(mindspore.WORDS)"
    return subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_two_wheels_of_one_version_have_an_environment_each(tmp_path):
    """Both are used as they are called, when the files are gone: a resumed run needs them no more."""
    made = [prepared(build(tmp_path / words, words)) for words in ("before", "after")]
    for words in ("before", "after"):
        shutil.rmtree(tmp_path / words)
    wheels._read.clear()
    assert [words_in(release) for release in made] == ["before", "after"]
    listed = {each.title: each.python for each in venv.environments()}
    assert listed == {f"mindspore {release}": sys.version.split()[0] for release in made}, "what doctor shows"


def test_the_environment_is_made_once_and_again_after_clean(tmp_path):
    path = build(tmp_path / "dist", "it")
    release = prepared(path)
    releases.prepare([Case(framework_version=release)], pytest.fail)
    assert [each.kind for each in clean(["wheels"], delete=True)] == ["wheels"]
    wheels._read.clear()
    with pytest.raises(UsageError, match=r"is a wheel file, and .* has no environment of it: name the file"):
        releases.prepare([Case(framework_version=release)], pytest.fail)
    assert prepared(path) == release
    assert words_in(release) == "it"


def test_a_file_that_changed_after_it_was_read_is_not_installed(tmp_path):
    path = build(tmp_path / "dist", "it")
    release = parse_release(str(path))
    path.write_bytes(build(tmp_path / "other", "something else").read_bytes())
    with pytest.raises(UsageError, match=rf"mindspore {release} cannot be installed.*HASHES"):
        releases.prepare([Case(framework_version=release)], lambda _: None)
    assert venv.environments() == []


@pytest.mark.parametrize("tag", ["cp39-cp39-linux_x86_64", "cp311-cp311-win_amd64", "py2-none-any"])
def test_a_wheel_of_another_python_or_platform_is_one_sentence(tmp_path, tag):
    release = parse_release(str(build(tmp_path, "it", tag=tag)))
    with pytest.raises(UsageError, match=r"is not built for this machine, which has Python 3\."):
        releases.prepare([Case(framework_version=release)], pytest.fail)


def test_the_python_that_the_wheel_is_built_for_is_chosen(tmp_path, monkeypatch):
    """Only the choice is tested: there may be no second Python here."""
    monkeypatch.setattr(releases, "pythons_here", lambda: {(3, 12): "twelve", (3, 10): "ten"})
    made = []
    monkeypatch.setattr(releases.venv, "make", lambda name, python, *_, **__: made.append((name, python)) or python)
    release = parse_release(str(build(tmp_path, "it", tag="cp310-none-any")))
    assert releases.interpreter(Framework.MINDSPORE, release, pytest.fail) == "ten"
    assert made == [(f"environment-mindspore-{release}-py310", "ten")]


def test_a_wheel_of_another_framework_is_one_sentence(tmp_path):
    release = parse_release(str(make_wheel(tmp_path, "torch")))
    with pytest.raises(UsageError, match="is a wheel of torch, not of mindspore"):
        releases.prepare([Case(framework_version=release)], pytest.fail)


def test_a_wheel_that_pip_refuses_is_one_sentence_and_leaves_nothing(tmp_path):
    path = make_wheel(tmp_path, headers="Requires-Dist: not-on-this-index\n")
    release = parse_release(str(path))
    with pytest.raises(UsageError, match=r"cannot be installed: Python 3.*not-on-this-index"):
        releases.prepare([Case(framework_version=release)], lambda _: None)
    assert [each for each in (tmp_path / "cache").iterdir() if each.is_dir()] == []


def test_nothing_of_the_wheel_runs_in_this_process_or_while_it_is_installed(tmp_path):
    marker = tmp_path / "ran"
    code = f"open({str(marker)!r}, 'w')"
    path = make_wheel(tmp_path / "dist", files={"mindspore.py": code, "setup.py": code})
    before = set(sys.modules)
    prepared(path)
    assert not marker.exists()
    assert "mindspore" not in set(sys.modules) - before


def test_a_cluster_has_no_wheel_file(tmp_path, digits, monkeypatch):
    monkeypatch.setattr("lenet.commands.run.available", lambda _: None)
    axes = {"versions": str(build(tmp_path, "it")), "device": "cpu", "dataset": "digits"}
    with pytest.raises(UsageError, match="the nodes of a cluster have no wheel file: omit --engine ray"):
        RunRequest(axes=axes, engine="ray", output=tmp_path / "run").begin(lambda _: digits, pytest.fail)
    assert not (tmp_path / "run").exists()


def test_a_run_is_resumed_without_the_file_and_its_records_are_fresh(tmp_path, digits, numpy_worker, monkeypatch):
    """What the environment has is not what is installed here: that made every record of a release stale."""
    path = build(tmp_path / "dist", "it")
    matrix = tmp_path / "m.toml"
    matrix.write_text('modes = ["graph"]\n[plan]\nwindow_steps = 5\nwindow_seconds = 0.0\nwindows = 3\n')
    axes = {"versions": str(path), "device": "cpu", "dataset": "digits"}
    run = RunRequest(axes=axes, matrix=matrix, output=tmp_path / "run").begin(lambda _: digits, lambda _: None)
    python = tmp_path / "python"  # the environment has no numpy: its worker is this one's
    python.write_text(f'#!/bin/sh\nexec {sys.executable} {numpy_worker[-1]} "$3"\n')
    python.chmod(0o755)
    run.measure(run.outstanding(), LocalEngine(interpreter=lambda *_: str(python)))
    (record,) = run.store.records()
    assert record.status.complete, record.reason
    assert record.case.framework_version == parse_release(str(path))
    run.store.release()
    shutil.rmtree(path.parent)
    wheels._read.clear()
    again = RunRequest(resume=tmp_path / "run").begin(lambda _: digits, pytest.fail)
    assert again.outstanding() == []
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["matrix"]["versions"] == [record.case.framework_version]
    assert str(tmp_path) not in json.dumps(manifest["matrix"]), "a run holds no path of its wheel"
    assert Store.open(tmp_path / "run").records()[0] == record
