"""The machine's card: what it says, and what it must never say."""

from __future__ import annotations

import getpass
import platform
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from lenet.machine import MachineCard, describe


@pytest.fixture
def fresh(monkeypatch):
    """A card made now, not the one kept from before."""

    def make(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        describe.cache_clear()
        card = describe()
        describe.cache_clear()
        return card

    return make


def test_it_says_what_the_system_says():
    card = describe()
    assert card.logical_cores == psutil.cpu_count()
    assert 1 <= card.usable_cores <= card.logical_cores
    assert card.memory_bytes == psutil.virtual_memory().total
    assert card.architecture == platform.machine()
    assert card.python.endswith(platform.python_version())
    assert card.packages["numpy"].startswith("1.")
    assert "mindspore" in card.packages


def test_it_names_nobody_and_no_place(fresh):
    text = fresh(MS_SECRET="/home/somebody/kernels", ASCEND_HOME_PATH="C:\\x").model_dump_json()
    private = [str(Path.home()), str(Path.cwd()), sys.prefix, "somebody", "C:"]
    if len(platform.node()) > 3:
        private.append(platform.node())
    if len(getpass.getuser()) > 4:
        private.append(getpass.getuser())
    assert not [word for word in private if word in text]


def test_variables_that_bear_on_speed_are_in_it_and_others_not(fresh):
    card = fresh(OMP_NUM_THREADS="1", PASSWORD="hidden", MS_DEV_X="/a/b")
    assert card.environment["OMP_NUM_THREADS"] == "1"
    assert card.environment["MS_DEV_X"] == "(set)"
    assert "PASSWORD" not in card.environment
    assert "hidden" not in card.model_dump_json()


def test_its_name_is_the_same_in_another_process():
    code = "from lenet.machine import describe; print(describe().id)"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert other == describe().id
    assert other == "".join(each for each in other if each.isalnum() or each == "-"), "safe as a folder's name"


def test_its_name_is_that_of_the_hardware():
    card = describe()
    assert card.model_copy(update={"load_average": 9.0, "python": "CPython 3.12", "packages": {}}).id == card.id
    assert card.model_copy(update={"cpu": "another"}).id != card.id
    assert card.model_copy(update={"gpus": ("one",)}).id != card.id
    assert card.model_copy(update={"cpu_limit": 0.5}).id != card.id


def test_it_survives_being_written():
    assert MachineCard.model_validate_json(describe().model_dump_json()) == describe()
