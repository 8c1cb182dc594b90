"""Other releases of a framework, each in an environment of its own."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable

from lenet.cases.frameworks import ABILITIES, Framework
from lenet.engine.environments import venv
from lenet.errors import UsageError
from lenet.machine.installed import package_version
from lenet.machine.programs import ProgramError, output

PYTHONS = ((3, 11), (3, 10), (3, 12))
"""The Pythons that this package runs on, the one with wheels of the most releases first."""


def prepare(framework: Framework, versions: Iterable[str], say: Callable[[str], None]) -> dict[str, str]:
    """The interpreter for each release; an environment that is missing is made, and `say` is told.

    Raises:
        UsageError: a release has no wheel for the Pythons that are here, or cannot be installed.
        CacheError: the cache cannot be written.
    """
    return {version: _interpreter(ABILITIES[framework].package, version, say) for version in dict.fromkeys(versions)}


def _interpreter(name: str, version: str, say: Callable[[str], None]) -> str:
    if package_version(name) == version:
        return sys.executable
    pythons = _pythons()
    requirements = [f"{name}=={version}", *(f"{need}{versions}" for need, versions in venv.WORKER_NEEDS.items())]
    names = {tag: f"environment-{name}-{version}-py{tag[0]}{tag[1]}" for tag in pythons}
    for own in names.values():
        if (python := venv.ready(own, requirements)) is not None:
            return python
    complaints = []
    for tag, base in pythons.items():
        try:
            return venv.make(names[tag], base, requirements, say=say)
        except venv.CannotMakeError as error:
            complaints.append(f"Python {tag[0]}.{tag[1]}: {error}")
    raise UsageError(f"{name} {version} cannot be installed: {'; '.join(complaints)}")


def _pythons() -> dict[tuple[int, int], str]:
    """The interpreters here that can run a worker, by version: the running one first."""
    running = (sys.version_info[0], sys.version_info[1])
    found = {running: sys.executable}
    for tag in PYTHONS:
        path = shutil.which(f"python{tag[0]}.{tag[1]}")
        # A version manager's stand-in is there for Pythons too that are not chosen.
        if tag not in found and path is not None and _answers(path, tag):
            found[tag] = path
    return found


def _answers(path: str, tag: tuple[int, int]) -> bool:
    code = "import sys, venv; print(*sys.version_info[:2])"
    try:
        return output(path, "-c", code, seconds=30).split() == [str(part) for part in tag]
    except ProgramError:
        return False
