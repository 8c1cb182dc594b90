"""The checks of `lenet-bench doctor`: what each device target needs, what of it this machine has, and how to fix it."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

import lenet
from lenet.cases.case import DeviceTarget, Frozen
from lenet.cases.frameworks import ABILITIES, Framework
from lenet.files.plain import as_text
from lenet.machine import devices
from lenet.machine.accelerators import names_gpu, names_npu
from lenet.machine.card import describe
from lenet.machine.devices import cann, cuda
from lenet.machine.installed import cann_version, framework_version, install_command
from lenet.machine.platforms import SOURCE, has_gpu_plugin, here, wrong_wheel
from lenet.machine.programs import ProgramError, kill_all, output, variables_of_a_python

QUERY_SECONDS = 10
PROBE_SECONDS = 60

PROBE = """
import sys
sys.path[:] = [path for path in sys.path if path]
import runpy
runpy.run_module("lenet.training.probe", run_name="__main__", alter_sys=True)
"""
"""Without the working folder among the modules: it may have a file with the name of one."""

SYSTEM_LIBRARIES = {"libgomp.so.1": "install libgomp: apt-get install libgomp1 on Debian and Ubuntu"}
"""Libraries that MindSpore takes from the system, with what installs them."""
VERSION_PAIRS = {
    DeviceTarget.CPU: ("Linux on x86-64 or aarch64, Python 3.10 to 3.12, numpy below 2",),
    DeviceTarget.GPU: (
        "CUDA 11.1 with driver 450.80.02 or newer, CUDA 11.6 with driver 510.39.01 or newer; cuDNN 7.6 to 8.5 "
        "(MindSpore's GPU installation guide)",
        "compute capability above 5.3; above 8.6 the driver compiles the kernels, minutes at the first start",
        "CUDA 11.8 and cuDNN 8.9 from PyPI's wheels: every library resolves, untested on a GPU",
        "CUDA 12 and 13: refused by MindSpore",
    ),
    DeviceTarget.ASCEND: (
        "MindSpore 2.7.0 with CANN 7.7, 7.8, 8.2; 2.10.0 with CANN 8.2, 8.3, 8.5, 9.0, 9.1 (MindSpore's version check)",
        "published pairs: 2.7.1 with 8.3.RC1, 2.7.2 with 8.5.0 (MindSpore's release notes, ascend-deployer)",
    ),
}
"""Versions that are known to work together, with their sources."""

ACCEPTED_CANN = {"2.7": ("7.7", "7.8", "8.2", "8.3", "8.5"), "2.10": ("8.2", "8.3", "8.5", "9.0", "9.1")}
DRIVER_FOR_CUDA_11_6 = (510, 39, 1)


Text = Annotated[str, AfterValidator(as_text)]
"""A text that may quote a path."""


class Check(Frozen):
    """One check of a device target. `passed` is None if the result decides nothing."""

    name: str
    passed: bool | None
    message: Text
    fix: Text = ""
    """What makes the check pass."""
    command: Text = ""
    """The command that does it, if there is one."""


class DeviceReport(Frozen):
    """The checks of one device target on this machine."""

    device_target: DeviceTarget
    works: bool
    """MindSpore computed on it in a process of its own."""
    checks: tuple[Check, ...]
    version_pairs: tuple[str, ...]
    peers: tuple[str, ...] = ()
    """Other frameworks that computed on it."""


class Environment(Frozen):
    """An environment in the cache, in which workers of another release run."""

    title: str
    """What it was made for, as `mindspore 2.7.0` or `mindspore 2.11.0@1a2b3c4d5e6f` for a wheel file."""
    folder: Text
    python: str | None
    """The version of its Python; None if that does not start, because the one that it was made with is gone."""


class DoctorReport(Frozen):
    """This machine, its device targets and its environments of other releases."""

    machine: str
    python: str
    mindspore: str | None
    devices: tuple[DeviceReport, ...]
    environments: tuple[Environment, ...] = ()


def diagnose(
    targets: Sequence[DeviceTarget], seconds: float = PROBE_SECONDS, environments: Sequence[Environment] = ()
) -> DoctorReport:
    """Check every target. Each framework computes on it in a child process, which is killed after `seconds`.

    PyTorch is a peer: it computes if it is installed, and what it lacks is no fault of the machine.
    """
    checks = {DeviceTarget.CPU: _cpu, DeviceTarget.GPU: _gpu, DeviceTarget.ASCEND: _ascend}
    pairs = [(target, framework) for target in targets for framework in _probed(target)]
    with ThreadPoolExecutor(max_workers=len(pairs) or 1) as pool:
        try:
            probes = {pair: pool.submit(probe, *pair, seconds) for pair in pairs}
            static = {target: (_mindspore(), *checks[target]()) for target in targets}
            probed = {pair: future.result() for pair, future in probes.items()}
        except BaseException:
            kill_all()
            raise
    return DoctorReport(
        machine=describe().summary,
        python=describe().python,
        mindspore=framework_version(Framework.MINDSPORE),
        devices=tuple(
            DeviceReport(
                device_target=target,
                works=probed[target, Framework.MINDSPORE].passed is True,
                checks=(*static[target], *(probed[target, each] for each in _probed(target))),
                version_pairs=VERSION_PAIRS[target],
                peers=tuple(
                    ABILITIES[each].title
                    for each in _probed(target)
                    if each is not Framework.MINDSPORE and probed[target, each].passed
                ),
            )
            for target in targets
        ),
        environments=tuple(environments),
    )


def _probed(target: DeviceTarget) -> list[Framework]:
    """MindSpore, and of the others those that are installed and know the target."""
    return [
        each
        for each, abilities in ABILITIES.items()
        if each is Framework.MINDSPORE
        or (framework_version(each) is not None and target.value in (abilities.device_targets or {target.value}))
    ]


def _check(name: str, passed: bool | None, message: str, fix: str = "", command: str = "") -> Check:
    return Check(name=name, passed=passed, message=message, fix=fix, command=command)


def probe(target: DeviceTarget, framework: Framework, seconds: float) -> Check:
    """Let a framework compute on `target` in a child process, which may crash, hang or print anything."""
    title = ABILITIES[framework].title
    name = f"{title} computes"
    command = (sys.executable, "-c", PROBE, target.value, framework.value)
    paths = (str(Path(lenet.__file__).parents[1]), os.environ.get("PYTHONPATH"))
    environment = {**variables_of_a_python(), "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    try:
        answer = json.loads(output(*command, seconds=seconds, environment=environment).splitlines()[-1])
        version, error, cause = answer["version"], answer["error"], answer.get("cause")
    except ProgramError as problem:
        return _check(name, False, f"its process gave no answer: {problem}")
    except (IndexError, ValueError, KeyError, TypeError, AttributeError):
        return _check(name, False, "its process ended without an answer")
    if error is None:
        return _check(name, True, f"{title} {version} computed on it")
    message = str(cause or error)
    fix = next((fix for library, fix in SYSTEM_LIBRARIES.items() if f"{library}: cannot open" in message), "")
    return _check(name, False, message, fix)


def _mindspore() -> Check:
    version = framework_version(Framework.MINDSPORE)
    if version is None:
        return _check("MindSpore", False, "not installed", *_install("mindspore>=2.7"))
    if problem := wrong_wheel():
        return _check("MindSpore", False, problem, f"get the wheel for this system from {SOURCE}")
    return _check("MindSpore", True, version)


def _cpu() -> list[Check]:
    import numpy

    if int(numpy.__version__.partition(".")[0]) >= 2:
        message = f"{numpy.__version__}: MindSpore's data pipeline fails on numpy 2 in places"
        return [_check("numpy", False, message, *_install("numpy<2"))]
    return [_check("numpy", True, numpy.__version__)]


def _gpu() -> list[Check]:
    if not has_gpu_plugin():
        return [_check("platform", False, f"MindSpore has a GPU plugin for Linux x86-64 only; this is {here()}")]
    return [_gpu_driver(), _cuda(), *_libraries(DeviceTarget.GPU)]


def _gpu_driver() -> Check:
    problem = "nvidia-smi lists no GPU"
    lines: list[str] = []
    try:
        query = "--query-gpu=name,driver_version,compute_cap"
        lines = output("nvidia-smi", query, "--format=csv,noheader", seconds=QUERY_SECONDS).splitlines()
    except ProgramError as error:
        problem = str(error)
    if lines and not names_gpu(lines[0]):
        problem = lines[0]
        lines = []
    if not lines:
        fix = "install NVIDIA's driver (510.39.01 or newer); in a container, start it with the GPUs"
        return _check("driver", False, problem, fix)
    fields = lines[0].split(",")
    release = tuple(int(part) for part in re.findall(r"[0-9]{1,9}", fields[1])) if len(fields) > 1 else ()
    if release and release < DRIVER_FOR_CUDA_11_6:
        message = f"{lines[0]}: older than 510.39.01, which CUDA 11.6 needs"
        return _check("driver", False, message, "upgrade NVIDIA's driver")
    return _check("driver", True, "; ".join(lines[:8]))


def _cuda() -> Check:
    release, problem = cuda.toolkit_release(os.environ.get("CUDA_HOME"))
    if release is not None:
        return _check("CUDA", True, f"{release}, from CUDA_HOME")
    missing = cuda.missing_wheels()
    if not missing:
        version = cuda.installed_wheels()["nvidia-cuda-runtime-cu11"]
        return _check("CUDA", True, f"{version} from PyPI's wheels ({problem}); untested on a GPU")
    message = f"{problem}, and {len(missing)} of the {len(cuda.WHEELS)} wheels of CUDA 11 are not installed"
    return _check("CUDA", False, message, *_install_gpu())


def _libraries(target: DeviceTarget) -> list[Check]:
    plugin, resolution = devices.plugin(target), devices.libraries(target)
    if plugin is None or resolution is None:
        fix = f"install MindSpore's wheel for this system from {SOURCE}; one for a GPU is for Linux on x86-64"
        return [_check("plugin", False, "this MindSpore has none for it", fix)]
    found = _check("plugin", True, plugin.name)
    if not resolution.absent:
        return [found, _check("libraries", True, f"all {len(resolution.found)} that the plugin needs are found")]
    fixes, command = [], ""
    if cuda.DRIVER in resolution.absent and target is DeviceTarget.GPU:
        fixes.append(f"{cuda.DRIVER} comes with NVIDIA's driver")
    if set(resolution.absent) - {cuda.DRIVER}:
        fix, command = _install_gpu() if target is DeviceTarget.GPU else _source_cann()
        fixes.append(fix)
    return [found, _check("libraries", False, f"missing: {', '.join(resolution.absent)}", "; ".join(fixes), command)]


def _install(requirement: str) -> tuple[str, str]:
    """How to install it, and the command that does."""
    return "install it", install_command(requirement)


def _install_gpu() -> tuple[str, str]:
    return "install the extra `gpu`, in the clone", install_command(".[gpu]")


def _source_cann() -> tuple[str, str]:
    script = next((place for place in cann.USUAL_PLACES if Path(place).is_file()), None)
    return "source CANN's set_env.sh", f"source {script}" if script else ""


def _ascend() -> list[Check]:
    try:
        lines = output("npu-smi", "info", "-l", seconds=QUERY_SECONDS).splitlines()
        message = "; ".join(" ".join(line.split()) for line in lines[:8])
    except ProgramError as error:
        lines, message = [], str(error)
    listed = any(names_npu(line.strip()) for line in lines)
    fix = "" if listed else "install Ascend's driver and firmware"
    driver = _check("driver", listed, message or "npu-smi lists no NPU", fix)
    return [driver, _cann(), *_libraries(DeviceTarget.ASCEND)]


def _cann() -> Check:
    home = os.environ.get("ASCEND_HOME_PATH")
    if not home:
        return _check("CANN", False, "ASCEND_HOME_PATH is not set", *_source_cann())
    version = cann_version(Path(home))
    if version is None:
        return _check("CANN", None, "ASCEND_HOME_PATH is set; no version is found in its files")
    mindspore = framework_version(Framework.MINDSPORE) or ""
    accepted = ACCEPTED_CANN.get(".".join(mindspore.split(".")[:2]))
    if accepted is None:
        return _check("CANN", None, f"{version}; lenet-bench does not know which versions go with this MindSpore")
    if ".".join(version.split(".")[:2]) not in accepted:
        message = f"{version}; this MindSpore accepts {', '.join(accepted)} and only warns of others"
        return _check("CANN", None, message)
    return _check("CANN", True, version)
