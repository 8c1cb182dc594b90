"""The platform that Python runs on: whether the installed MindSpore is built for it, and whether it can measure.

The wheel of MindSpore 2.10.0 on the package index is tagged for any platform (`py3-none-any`) and holds libraries for
Linux x86-64: pip installs it everywhere, and it loads there only.
"""

from __future__ import annotations

import platform
import struct
from importlib.util import find_spec
from pathlib import Path

from lenet.cases.frameworks import Framework
from lenet.errors import UsageError
from lenet.machine.installed import framework_version

SOURCE = "https://www.mindspore.cn/install"
"""Where MindSpore has a wheel for each of its platforms."""

SYSTEMS = {"Darwin": "macOS"}
ARCHITECTURES = {"x86_64": "x86-64", "amd64": "x86-64", "arm64": "aarch64"}
ELF_MACHINES = {62: "x86-64", 183: "aarch64"}
MACH_MACHINES = {0x01000007: "x86-64", 0x0100000C: "aarch64"}
"""Codes in the header of a library: elf(5); Apple's mach/machine.h."""


def here() -> str:
    """This platform, as `Linux x86-64`."""
    system, machine = platform.system(), platform.machine().lower()
    return f"{SYSTEMS.get(system, system)} {ARCHITECTURES.get(machine, machine)}"


def has_gpu_plugin() -> bool:
    """Whether MindSpore has a GPU plugin for this platform, and NVIDIA wheels of the libraries that it needs."""
    return here() == "Linux x86-64"


def built_for(library: Path) -> str:
    """The platform that a library is built for, as `here` names it; empty if its header does not say.

    Raises:
        OSError: it cannot be read.
    """
    with library.open("rb") as file:
        header = file.read(20)
    if header[:4] == b"\x7fELF" and len(header) == 20:
        machine = ELF_MACHINES.get(struct.unpack_from("<H", header, 18)[0])
        return f"Linux {machine}" if machine else ""
    if header[:4] == b"\xcf\xfa\xed\xfe" and len(header) >= 8:
        machine = MACH_MACHINES.get(struct.unpack_from("<I", header, 4)[0])
        return f"macOS {machine}" if machine else ""
    return "Windows x86-64" if header[:2] == b"MZ" else ""


def wrong_wheel() -> str:
    """Why the installed MindSpore cannot be loaded on this platform, in a sentence; empty if it can or is absent."""
    spec = find_spec("mindspore")
    for folder in (spec.submodule_search_locations if spec is not None else None) or ():
        for library in sorted(Path(folder).glob("_c_expression*")):
            try:
                other = built_for(library)
            except OSError:
                continue
            if other and other != here():
                return (
                    f"the installed MindSpore {framework_version(Framework.MINDSPORE) or ''} is built for {other} and "
                    f"this is {here()}: install the wheel for it from {SOURCE}"
                )
    return ""


def measurable() -> None:
    """Check that workers can be measured here: they are stopped, continued and ended by signals.

    Raises:
        UsageError: not on this platform.
    """
    if platform.system() == "Windows":
        raise UsageError(
            "nothing can be measured on Windows itself: use Linux in WSL 2; commands that measure nothing, such as "
            "table and report, work here"
        )
