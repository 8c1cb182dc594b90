"""What MindSpore needs on this machine to use a device target, and what of it is missing.

Without importing MindSpore: from the environment, the files of its plugins, and programs with a time limit.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from lenet.cases.case import DeviceTarget
from lenet.machine.devices import cuda
from lenet.machine.devices.libraries import Resolution, resolve

PLUGINS = {DeviceTarget.GPU: "libmindspore_gpu.so.*", DeviceTarget.ASCEND: "libmindspore_ascend.so.*"}


def plugin(target: DeviceTarget) -> Path | None:
    """Return the installed MindSpore's plugin for `target`, the newest if it has several; None without one.

    MindSpore uses the plugin of CUDA's release, or of the next lower one with the same major version.
    """
    pattern = PLUGINS.get(target)
    spec = find_spec("mindspore")
    if pattern is None or spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "lib" / "plugin"
    found = sorted(folder.glob(pattern), key=lambda path: [int(p) for p in path.name.split(".so.")[1].split(".")])
    return found[-1] if found else None


def libraries(target: DeviceTarget) -> Resolution | None:
    """Return where a worker finds the libraries of the plugin for `target`; None without a plugin."""
    if (found := plugin(target)) is None:
        return None
    return resolve(found, cuda.named_by(found) if target is DeviceTarget.GPU and _uses_wheels() else None)


def _uses_wheels() -> bool:
    return cuda.toolkit_release(os.environ.get("CUDA_HOME"))[0] is None and not cuda.missing_wheels()


def prepare(target: DeviceTarget, cache: Path) -> None:
    """Make the libraries that `target` needs available in this process, before MindSpore is imported, in a worker.

    Raises:
        OSError: the cache cannot be written.
    """
    if target is DeviceTarget.GPU and (found := plugin(target)) is not None:
        cuda.prepare(found, cache, os.environ)


def missing(target: DeviceTarget) -> list[str]:
    """Return what `target` lacks here, a phrase each; empty if nothing is missing."""
    if target is DeviceTarget.CPU:
        return []
    found = []
    if target is DeviceTarget.GPU and not _uses_wheels():
        release, problem = cuda.toolkit_release(os.environ.get("CUDA_HOME"))
        if release is None:
            found.append(problem)
    if target is DeviceTarget.ASCEND and not os.environ.get("ASCEND_HOME_PATH"):
        found.append("ASCEND_HOME_PATH is not set (source CANN's set_env.sh)")
    resolution = libraries(target)
    if resolution is None:
        found.append(f"the installed MindSpore has no {target.value} plugin for this system")
    elif resolution.absent:
        found.append(f"the loader does not find {', '.join(resolution.absent)}")
    return [*found, "see `lenet-bench doctor`"] if found else []
