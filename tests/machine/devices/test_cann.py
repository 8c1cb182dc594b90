"""CANN's environment from a script like its set_env.sh, and its version."""

from __future__ import annotations

import os

import pytest

from lenet.errors import UsageError
from lenet.machine.devices import cann
from lenet.machine.installed import cann_version, libraries


def test_the_variables_of_a_set_env(tmp_path, monkeypatch):
    monkeypatch.delenv("ASCEND_HOME_PATH", raising=False)
    script = tmp_path / "set env.sh"
    script.write_text(
        f"export ASCEND_HOME_PATH={tmp_path}\nexport PYTHONPATH={tmp_path}/python:$PYTHONPATH\n"
        "export MANY='one\ntwo'\nlocal_only=1\necho noise\n"
    )
    found = cann.source(script)
    assert found["ASCEND_HOME_PATH"] == str(tmp_path)
    assert found["PYTHONPATH"].endswith(os.environ.get("PYTHONPATH", ""))
    assert found["MANY"] == "one\ntwo"
    assert "local_only" not in found
    assert "HOME" not in found, "what did not change is not taken"


def test_its_python_packages_are_those_of_pythonpath_that_are_in_its_folders():
    paths = os.pathsep.join(("/opt/cann/python/site-packages", "/home/me/site-packages", "", "/opt/cann-other/python"))
    assert cann.python_folders({"PYTHONPATH": paths, "ASCEND_HOME_PATH": "/opt/cann"}) == [
        "/opt/cann/python/site-packages"
    ]
    assert cann.python_folders({"PYTHONPATH": paths}) == []
    assert cann.python_folders({"ASCEND_HOME_PATH": "/opt/cann"}) == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [(None, "no such file"), ("true\n", "does not set ASCEND_HOME_PATH"), ("false\n", "could not source")],
)
def test_a_file_that_is_not_a_set_env(text, complaint, tmp_path, monkeypatch):
    monkeypatch.delenv("ASCEND_HOME_PATH", raising=False)
    script = tmp_path / "set_env.sh"
    if text is not None:
        script.write_text(text)
    with pytest.raises(UsageError, match=complaint):
        cann.source(script)


def test_a_script_that_hangs_is_killed(tmp_path, monkeypatch):
    script = tmp_path / "set_env.sh"
    script.write_text("sleep 60\n")
    monkeypatch.setattr(cann, "SOURCE_SECONDS", 0.3)
    with pytest.raises(UsageError, match=r"could not be sourced: bash did not answer within 0\.3 s"):
        cann.source(script)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("compiler/version.info", "Version=8.5.0\nversion_dir=8.5.0\n", "8.5.0"),
        ("version.cfg", "# version: 1.0\nruntime_running_version=[8.2.0.1.220:8.2.RC1]\n", "8.2.RC1"),
        ("ascend_toolkit_install.info", "package_name=Ascend-cann-toolkit\nversion=8.3.RC1\narch=aarch64\n", "8.3.RC1"),
        ("compiler/version.info", "nothing\n", None),
    ],
)
def test_the_version_in_its_files(name, text, expected, tmp_path):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    assert cann_version(tmp_path) == expected


def test_the_card_has_the_same_version(tmp_path):
    (tmp_path / "version.cfg").write_text("runtime_running_version=[8.2.0.1.220:8.2.RC1]\n")
    assert libraries(str(tmp_path))["cann"] == "8.2.RC1"


def test_a_missing_cann_has_no_version(tmp_path):
    assert cann_version(tmp_path / "gone") is None
