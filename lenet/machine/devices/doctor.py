"""The examination behind `lenet-bench doctor`: what each device target has here, what it lacks, and what mends it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lenet
from lenet.cases.case import DeviceTarget, Frozen
from lenet.cases.frameworks import Framework
from lenet.machine import devices
from lenet.machine.card import describe
from lenet.machine.devices import cann, cuda
from lenet.machine.installed import framework_version

QUERY_SECONDS = 10
ASK_SECONDS = 60

INSTALL_GPU = "pip install 'lenet-bench[gpu]'"
PAIRS = {
    DeviceTarget.CPU: ("Linux on x86-64 or aarch64, Python 3.10 to 3.12, numpy below 2",),
    DeviceTarget.GPU: (
        "CUDA 11.1 with driver 450.80.02 or newer, CUDA 11.6 with driver 510.39.01 or newer; cuDNN 7.6 to 8.5 "
        "(MindSpore's GPU installation guide)",
        "compute capability above 5.3; cards newer than 8.6 only by the driver's compiler, minutes at the first start",
        "CUDA 11.8 and cuDNN 8.9 from PyPI's wheels: every library resolves, untested on a GPU",
        "CUDA 12 and 13: refused by MindSpore",
    ),
    DeviceTarget.ASCEND: (
        "MindSpore 2.7.0 with CANN 7.7, 7.8, 8.2; 2.10.0 with CANN 8.2, 8.3, 8.5, 9.0, 9.1 (MindSpore's version check)",
        "published pairs: 2.7.1 with 8.3.RC1, 2.7.2 with 8.5.0 (MindSpore's release notes, ascend-deployer)",
    ),
}
"""Version pairs that are known to go together, with their sources."""

ACCEPTED_CANN = {"2.7": ("7.7", "7.8", "8.2", "8.3", "8.5"), "2.10": ("8.2", "8.3", "8.5", "9.0", "9.1")}
DRIVER_FOR = {"11.1": (450, 80, 2), "11.6": (510, 39, 1)}


class Finding(Frozen):
    """One thing that was looked at. `good` is None where it does not decide."""

    what: str
    good: bool | None
    says: str
    mend: str = ""
    """The command or act that mends it."""


class Examination(Frozen):
    """One device target on this machine."""

    device_target: DeviceTarget
    runs: bool
    """MindSpore computed on it in a process of its own."""
    findings: tuple[Finding, ...]
    pairs: tuple[str, ...]


class Diagnosis(Frozen):
    """The machine and its device targets."""

    machine: str
    python: str
    mindspore: str | None
    examinations: tuple[Examination, ...]


def examine(targets: Sequence[DeviceTarget], seconds: float = ASK_SECONDS) -> Diagnosis:
    """Look at every target; MindSpore is asked in a child process a target, given up after `seconds`."""
    with ThreadPoolExecutor(max_workers=len(targets) or 1) as pool:
        asked = {target: pool.submit(ask, target, seconds) for target in targets}
        looks = {DeviceTarget.CPU: _cpu, DeviceTarget.GPU: _gpu, DeviceTarget.ASCEND: _ascend}
        found = {target: looks[target]() for target in targets}
        answers = {target: future.result() for target, future in asked.items()}
    return Diagnosis(
        machine=describe().summary,
        python=describe().python,
        mindspore=framework_version(Framework.MINDSPORE),
        examinations=tuple(
            Examination(
                device_target=target,
                runs=answers[target].good is True,
                findings=(_mindspore(), *found[target], answers[target]),
                pairs=PAIRS[target],
            )
            for target in targets
        ),
    )


def answer(command: Sequence[str]) -> tuple[str | None, str]:
    """What an external command prints, or None and why there is nothing; never waits longer than QUERY_SECONDS."""
    if shutil.which(command[0]) is None:
        return None, f"{command[0]} is not on the PATH"
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=QUERY_SECONDS, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None, f"{command[0]} did not answer within {QUERY_SECONDS:g} s"
    except OSError as error:
        return None, f"{command[0]} cannot be run: {error.strerror or error}"
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split())[:200]
        return None, f"{command[0]} ended with exit code {done.returncode}: {said}"
    return done.stdout.strip(), ""


def ask(target: DeviceTarget, seconds: float) -> Finding:
    """MindSpore's own answer, from a child process."""
    what = "MindSpore's answer"
    environment = {**os.environ, "PYTHONPATH": _modules()}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "lenet.training.ask", target.value], capture_output=True, text=True,
            errors="replace", timeout=seconds, check=False, env=environment, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Finding(what=what, good=False, says=f"none within {seconds:g} s: the import or the device hangs")
    try:
        said = json.loads(done.stdout.strip().splitlines()[-1])
        error, cause = said["error"], said.get("said")
    except (IndexError, ValueError, KeyError, TypeError, AttributeError):
        return Finding(what=what, good=False, says=f"its process ended with exit code {done.returncode} and no answer")
    if error is None:
        return Finding(what=what, good=True, says=f"MindSpore {said['version']} computed on it")
    return Finding(what=what, good=False, says=str(cause or error))


def _modules() -> str:
    own = str(Path(lenet.__file__).parents[1])
    return os.pathsep.join([own, *filter(None, [os.environ.get("PYTHONPATH")])])


def _mindspore() -> Finding:
    version = framework_version(Framework.MINDSPORE)
    if version is None:
        return Finding(what="MindSpore", good=False, says="not installed", mend="pip install 'mindspore>=2.7'")
    return Finding(what="MindSpore", good=True, says=version)


def _cpu() -> list[Finding]:
    import numpy

    if int(numpy.__version__.partition(".")[0]) >= 2:
        says = f"{numpy.__version__}: MindSpore's data pipeline half-breaks on numpy 2"
        return [Finding(what="numpy", good=False, says=says, mend="pip install 'numpy<2'")]
    return [Finding(what="numpy", good=True, says=numpy.__version__)]


def _gpu() -> list[Finding]:
    return [_gpu_driver(), _cuda(), *_libraries(DeviceTarget.GPU)]


def _gpu_driver() -> Finding:
    text, trouble = answer(["nvidia-smi", "--query-gpu=name,driver_version,compute_cap", "--format=csv,noheader"])
    if not text:
        mend = "install NVIDIA's driver (510.39.01 or newer); in a container, start it with the GPUs"
        return Finding(what="driver", good=False, says=trouble or "nvidia-smi names no GPU", mend=mend)
    first = text.splitlines()[0]
    parts = [part.strip() for part in first.split(",")]
    release = tuple(int(part) for part in re.findall(r"\d+", parts[1])) if len(parts) > 1 else ()
    if release and release < DRIVER_FOR["11.6"]:
        return Finding(
            what="driver", good=False, says=f"{first}: older than 510.39.01, which CUDA 11.6 needs",
            mend="upgrade NVIDIA's driver",
        )  # fmt: skip
    return Finding(what="driver", good=True, says="; ".join(text.splitlines()[:8]))


def _cuda() -> Finding:
    release, trouble = cuda.toolkit_release(os.environ.get("CUDA_HOME"))
    if release is not None:
        return Finding(what="CUDA", good=True, says=f"{release}, from CUDA_HOME")
    absent = cuda.absent_wheels()
    if not absent:
        version = cuda.installed_wheels()["nvidia-cuda-runtime-cu11"]
        return Finding(what="CUDA", good=True, says=f"{version} from PyPI's wheels ({trouble}); untested on a GPU")
    says = f"{trouble}, and {len(absent)} of the {len(cuda.WHEELS)} wheels of CUDA 11 are not installed"
    return Finding(what="CUDA", good=False, says=says, mend=INSTALL_GPU)


def _libraries(target: DeviceTarget) -> list[Finding]:
    plugin, resolution = devices.plugin(target), devices.libraries(target)
    if plugin is None or resolution is None:
        says = "this MindSpore has none for it"
        mend = "pip install 'mindspore>=2.7' on Linux, x86-64 for a GPU"
        return [Finding(what="plugin", good=False, says=says, mend=mend)]
    found = Finding(what="plugin", good=True, says=plugin.name)
    if not resolution.absent:
        says = f"all {len(resolution.found)} that the plugin needs are found"
        return [found, Finding(what="libraries", good=True, says=says)]
    mends = []
    if cuda.DRIVER in resolution.absent and target is DeviceTarget.GPU:
        mends.append(f"{cuda.DRIVER} comes with NVIDIA's driver")
    if set(resolution.absent) - {cuda.DRIVER}:
        mends.append(INSTALL_GPU if target is DeviceTarget.GPU else _source_cann())
    says = f"missing: {', '.join(resolution.absent)}"
    return [found, Finding(what="libraries", good=False, says=says, mend="; ".join(mends))]


def _source_cann() -> str:
    return f"source {cann.usual_script() or '<CANN>/set_env.sh'}"


def _ascend() -> list[Finding]:
    text, trouble = answer(["npu-smi", "info", "-l"])
    driver = Finding(
        what="driver", good=bool(text),
        says="; ".join(" ".join(line.split()) for line in text.splitlines()[:8]) if text else trouble,
        mend="" if text else "install Ascend's driver and firmware",
    )  # fmt: skip
    return [driver, _cann(), *_libraries(DeviceTarget.ASCEND)]


def _cann() -> Finding:
    if not os.environ.get("ASCEND_HOME_PATH"):
        return Finding(what="CANN", good=False, says="ASCEND_HOME_PATH is not set", mend=_source_cann())
    version = cann.version(os.environ)
    if version is None:
        return Finding(what="CANN", good=None, says="ASCEND_HOME_PATH is set; its files tell no version")
    accepted = ACCEPTED_CANN.get(".".join((framework_version(Framework.MINDSPORE) or "").split(".")[:2]))
    if accepted is None:
        return Finding(what="CANN", good=None, says=f"{version}; no pair with this MindSpore is known to lenet-bench")
    if ".".join(version.split(".")[:2]) not in accepted:
        says = f"{version}; this MindSpore accepts {', '.join(accepted)} and only warns of others"
        return Finding(what="CANN", good=None, says=says)
    return Finding(what="CANN", good=True, says=version)
