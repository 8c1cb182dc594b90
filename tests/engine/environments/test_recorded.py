"""The recorded environment: versions from the record, names from here, wheels only."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from make_wheel import make_wheel

from lenet.cases.frameworks import Framework
from lenet.engine.environments import recorded, venv
from lenet.errors import UsageError

LOCK = {
    "mindspore": "2.10.0",
    "numpy": "1.26.4",
    "pydantic": "2.7",
    "psutil": "5.9",
    "platformdirs": "4",
    "pyelftools": "0.31",
    "Evil_x": "1",
}
PYTHON = f"CPython {sys.version.split()[0]}"


def test_only_what_a_worker_needs_is_required_and_everything_else_is_constrained():
    roots, constraints = recorded.requirements(LOCK, [Framework.MINDSPORE])
    assert roots == [
        "mindspore==2.10.0", "numpy==1.26.4", "pydantic==2.7", "psutil==5.9", "platformdirs==4",
        "pyelftools==0.31",
    ]  # fmt: skip
    assert "evil-x==1" in constraints


@pytest.mark.parametrize(
    "planted",
    [
        {"numpy\n--index-url https://evil": "1"},
        {"numpy": "1.26.4 --hash=x"},
        {"numpy": "1.26 @ https://evil/x.whl"},
        {"-r": "1"},
        {"x": "1\nevil==2"},
        {"../x": "1"},
    ],
)
def test_a_record_cannot_write_options_for_pip(planted):
    with pytest.raises(UsageError, match="is not a"):
        recorded.requirements({**LOCK, **planted}, [Framework.MINDSPORE])


def test_pytorch_is_required_under_its_package_name():
    roots, _ = recorded.requirements({**LOCK, "torch": "2.13.0"}, [Framework.PYTORCH])
    assert roots[0] == "torch==2.13.0"


def test_a_lock_without_the_framework():
    with pytest.raises(UsageError, match="recorded version of mindspore"):
        recorded.requirements({"numpy": "1"}, [Framework.MINDSPORE])


def test_interpreters():
    assert recorded.interpreter(PYTHON) == sys.executable
    with pytest.raises(UsageError, match=r"python3\.1: install it"):
        recorded.interpreter("CPython 3.1.0")
    with pytest.raises(UsageError, match="needs CPython"):
        recorded.interpreter("PyPy 7")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """A folder of small wheels, one a package that a worker needs."""
    folder = tmp_path_factory.mktemp("wheels")
    for name in ("mindspore", *venv.WORKER_NEEDS):
        make_wheel(folder, name, "7.1")
    return folder


def test_an_environment_is_built_once_and_sees_its_own_packages(wheels, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    lock = dict.fromkeys(("mindspore", *venv.WORKER_NEEDS), "7.1")
    python = recorded.build(lock, PYTHON, [Framework.MINDSPORE])
    code = "import numpy; print(numpy.VERSION)"
    shown = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True, env={}).stdout
    assert shown == "numpy 7.1\n"
    marker = Path(python).parents[1] / "marker"
    marker.touch()
    assert recorded.build(lock, PYTHON, [Framework.MINDSPORE]) == python
    assert marker.exists(), "built once"


def test_the_error_of_pip_is_passed_on():
    code = "import sys; sys.exit('ERROR: No matching distribution found for numpy==7.2')"
    with pytest.raises(venv.InstallError, match="ERROR: No matching distribution"):
        venv.execute([sys.executable, "-c", code])


DEBIAN = """The virtual environment was not created successfully because ensurepip is not
available.  On Debian/Ubuntu systems, you need to install the python3-venv
package using the following command.

    apt install python3.11-venv

Failing command: /x/bin/python3
"""


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            f"import sys; print({DEBIAN!r}); sys.exit(1)",
            "because ensurepip is not available.*apt install python3.11-venv",
        ),
        ("x = {}['no']", "^KeyError: 'no'$"),
        ("import sys; sys.exit(3)", "ended with exit code 3"),
    ],
)
def test_the_error_of_a_program_in_any_form(code, message):
    with pytest.raises(venv.InstallError, match=message):
        venv.execute([sys.executable, "-c", code])
