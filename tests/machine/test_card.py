"""The machine card: its content, what must never be in it, and the name and summary of machines of several kinds."""

from __future__ import annotations

import getpass
import platform
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from lenet.machine.card import MachineCard, describe, with_host_name

MACHINES = Path(__file__).parents[1] / "machines"


@pytest.fixture
def fresh(monkeypatch, new_card):
    """Makes a new card with these variables set."""

    def make(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return new_card()

    return make


def test_it_has_the_values_of_the_system():
    card = describe()
    assert card.logical_cores == psutil.cpu_count()
    assert 1 <= card.usable_cores <= card.logical_cores
    assert card.memory_bytes == psutil.virtual_memory().total
    assert card.architecture == platform.machine()
    assert card.python.endswith(platform.python_version())
    assert card.packages["numpy"].startswith("1.")
    assert "mindspore" in card.packages


def test_it_contains_no_names_and_no_paths(fresh):
    text = fresh(MS_SECRET="/home/somebody/kernels", ASCEND_HOME_PATH="C:\\x").model_dump_json()
    private = [str(Path.home()), str(Path.cwd()), sys.prefix, "somebody", "C:"]
    if len(platform.node()) > 3:
        private.append(platform.node())
    if len(getpass.getuser()) > 4:
        private.append(getpass.getuser())
    assert not [word for word in private if word in text]


def test_planted_names_are_left_out(fresh, monkeypatch):
    monkeypatch.setattr(platform, "node", lambda: "quxhost7.example.org")
    monkeypatch.setattr(platform, "release", lambda: "6.1.0-quxhost7-zorblatt")
    card = fresh(
        LOGNAME="zorblatt",
        HOME="/home/zorblatt",
        MS_BUILT_BY="zorblatt",
        OMP_AFFINITY_OF="quxhost7",
        GLOG_log_dir="/home/zorblatt/log",
        ASCEND_HOME_PATH="/home/zorblatt/cann",
        NCCL_HOSTS="quxhost7.example.org",
    )
    text = card.model_dump_json()
    assert not [word for word in ("zorblatt", "quxhost7", "/home", "example.org") if word in text]
    assert "MS_BUILT_BY" in card.environment
    assert with_host_name(card).host == "quxhost7.example.org"
    assert card.host is None


def test_only_variables_that_affect_speed_are_in_it(fresh):
    card = fresh(OMP_NUM_THREADS="1", PASSWORD="hidden", MS_DEV_X="/a/b")
    assert card.environment["OMP_NUM_THREADS"] == "1"
    assert card.environment["MS_DEV_X"] == "(set)"
    assert "PASSWORD" not in card.environment
    assert "hidden" not in card.model_dump_json()


@pytest.mark.parametrize(
    "name",
    [
        *("GOMP_SPINCOUNT", "KMP_BLOCKTIME", "MKL_CBWR", "DNNL_VERBOSE", "OPENBLAS_CORETYPE", "MALLOC_ARENA_MAX"),
        *("GLIBC_TUNABLES", "LD_PRELOAD", "MIMALLOC_PURGE_DELAY", "MS_DEV_LAUNCH_BLOCKING", "CUDA_LAUNCH_BLOCKING"),
        *("NVIDIA_TF32_OVERRIDE", "TORCH_NUM_THREADS", "PYTORCH_CUDA_ALLOC_CONF", "PYTHONMALLOC", "DEVICE_ID"),
        *("OMP_NUM_THREADS", "GLOG_v", "PYTHONOPTIMIZE", "PYTHON_GIL", "LD_LIBRARY_PATH", "NPY_DISABLE_CPU_FEATURES"),
        *("TRITON_CACHE_DIR", "TASK_QUEUE_ENABLE", "VECLIB_MAXIMUM_THREADS"),
    ],
)
def test_what_users_set_for_speed_is_in_it(fresh, name):
    assert fresh(**{name: "1"}).environment[name] == "1"
    assert fresh(**{name: "/home/me/lib.so"}).environment[name] == "(set)"


def test_the_commit_is_this_checkouts_whatever_git_is_told(fresh, tmp_path):
    """In a hook GIT_DIR and GIT_INDEX_FILE name the repository that is committed to."""
    own = fresh()
    others = {"GIT_DIR": str(tmp_path), "GIT_INDEX_FILE": str(tmp_path / "index"), "GIT_WORK_TREE": str(tmp_path)}
    there = fresh(**others, GIT_CEILING_DIRECTORIES="/")
    assert (there.git_commit, there.git_dirty) == (own.git_commit, own.git_dirty)


def test_its_name_is_the_same_in_another_process():
    code = "from lenet.machine.card import describe; print(describe().id)"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert other == describe().id


def test_its_name_is_safe_as_a_folders(machine_card):
    assert re.fullmatch("[a-z0-9][a-z0-9-]{0,60}", machine_card.id)
    assert f"-{machine_card.usable_cores}c-" in machine_card.id


def test_its_name_is_that_of_the_hardware(machine_card):
    card = machine_card
    assert card.model_copy(update={"load_average": 9.0, "python": "CPython 3.12", "packages": {}}).id == card.id
    assert card.model_copy(update={"cpu": "another"}).id != card.id
    assert card.model_copy(update={"gpus": ("one",)}).id != card.id
    assert card.model_copy(update={"cpu_limit": 0.375}).id != card.id


def test_its_summary_is_one_line_that_names_the_hardware(machine_card):
    card = machine_card
    assert card.summary.startswith(f"{card.cpu}, {card.usable_cores} of {card.logical_cores} cores, ")
    assert card.summary.endswith(card.system)
    assert len(card.summary) < 200
    assert "\n" not in card.summary
    if card.host:
        assert card.host not in card.summary


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("amd-epyc-a100-128c", ", 8 x NVIDIA A100-SXM4-80GB, 535.104.05, 81920 MiB, "),
        ("kunpeng-ascend-192c", ", asimd, 1510 GiB, 8 NPUs, "),
        ("intel-xeon-amx-2c", ", AVX-512, "),
        ("amd-epyc-avx2-2c", ", avx2, fma, "),
    ],
)
def test_a_summary_counts_equal_devices(name, words):
    assert words in MachineCard.model_validate_json((MACHINES / f"{name}.json").read_bytes()).summary


def test_the_name_of_recorded_hardware_does_not_change():
    """The name of a card without GPU, as in version 0.1.0; and drivers, which do not change it."""
    known = describe().model_copy(
        update={
            **{"cpu": "AMD EPYC 7B13", "architecture": "x86_64", "physical_cores": 2, "logical_cores": 4},
            **{"usable_cores": 2, "instruction_sets": ("avx", "avx2", "fma"), "memory_bytes": 8 << 30},
            **{"cpu_limit": None, "gpus": (), "npus": ()},
        }
    )
    assert known.id == "amd-epyc-7b13-2c-cae3728b"
    old, new = (known.model_copy(update={"gpus": (f"A100, {driver}, 40960 MiB",)}) for driver in ("550.1", "560.2"))
    assert old.id == new.id != known.id


def test_every_installed_package_is_in_it():
    from importlib.metadata import version

    card = describe()
    for name in ("pytest", "pydantic", "typing-extensions", "scikit-learn"):
        assert card.packages[name] == version(name)
    assert list(card.packages) == sorted(card.packages)


def test_the_versions_of_libraries_in_packages_are_in_it():
    found = describe().libraries
    assert found["numpy blas"].startswith("openblas")
    assert found["mindspore onednn"].split(".")[0].isdigit()
    assert len(found["mindspore build"].split()[0]) >= 6
    assert "/usr" not in found["numpy blas"]


def test_it_can_be_written_and_read(machine_card):
    assert MachineCard.model_validate_json(machine_card.model_dump_json()) == machine_card
