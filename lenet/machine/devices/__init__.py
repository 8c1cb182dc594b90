"""What a device target needs on this machine before MindSpore can use it, and what of that is missing.

Everything here is found without importing MindSpore: from the environment, from the plugins' own files, and from
commands that answer within seconds or are given up.
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
    """The installed MindSpore's plugin for `target`, the newest where it has several; None where it has none.

    MindSpore takes the plugin of CUDA's release or the next lower one of the same major release.
    """
    pattern = PLUGINS.get(target)
    spec = find_spec("mindspore")
    if pattern is None or spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "lib" / "plugin"
    found = sorted(folder.glob(pattern), key=lambda path: [int(p) for p in path.name.split(".so.")[1].split(".")])
    return found[-1] if found else None


def libraries(target: DeviceTarget) -> Resolution | None:
    """Where the plugin's libraries would come from in a worker; None where MindSpore has no plugin for `target`."""
    if (found := plugin(target)) is None:
        return None
    return resolve(found, cuda.named_by(found) if target is DeviceTarget.GPU and _wheels_serve() else None)


def _wheels_serve() -> bool:
    return cuda.toolkit_release(os.environ.get("CUDA_HOME"))[0] is None and not cuda.absent_wheels()


def prepare(target: DeviceTarget, cache: Path) -> None:
    """Make what `target` needs findable in this process, before MindSpore is imported. Call it in a worker only.

    Raises:
        OSError: the cache cannot be written.
    """
    if target is DeviceTarget.GPU and (found := plugin(target)) is not None:
        cuda.prepare(found, cache, os.environ)


def missing(target: DeviceTarget) -> list[str]:
    """What `target` lacks here, a phrase each; empty when nothing was found missing."""
    if target is DeviceTarget.CPU:
        return []
    found = []
    if target is DeviceTarget.GPU and not _wheels_serve():
        release, trouble = cuda.toolkit_release(os.environ.get("CUDA_HOME"))
        if release is None:
            found.append(trouble)
    if target is DeviceTarget.ASCEND and not os.environ.get("ASCEND_HOME_PATH"):
        found.append("ASCEND_HOME_PATH is not set (source CANN's set_env.sh)")
    resolution = libraries(target)
    if resolution is None:
        found.append(f"the installed MindSpore has no {target.value} plugin for this system")
    elif resolution.absent:
        found.append(f"the loader does not find {', '.join(resolution.absent)}")
    return [*found, "see `lenet-bench doctor`"] if found else []
