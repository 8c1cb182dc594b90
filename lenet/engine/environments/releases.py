"""Other releases of a framework, and wheel files, each in an environment of its own."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Callable, Iterable
from functools import cache

from lenet.cases.case import Case
from lenet.cases.frameworks import ABILITIES, Framework
from lenet.cases.wheels import Wheel, is_wheel, wheel_of
from lenet.engine.environments import venv
from lenet.errors import UsageError
from lenet.files.cache import cache_folder
from lenet.machine.installed import package_version
from lenet.machine.programs import ProgramError, output

PYTHONS = ((3, 11), (3, 10), (3, 12))
"""The Pythons that this package supports, the one with wheels of the most releases first."""


def prepare(cases: Iterable[Case], notify: Callable[[str], None]) -> None:
    """Make the environments of all releases that the cases ask for.

    Raises:
        UsageError: a release has no wheel for the Pythons that are here, or cannot be installed.
        CacheError: the cache cannot be written.
    """
    for framework, version in dict.fromkeys((case.framework, case.framework_version) for case in cases):
        if version is not None:
            interpreter(framework, version, notify)


def interpreter(framework: Framework, version: str, notify: Callable[[str], None]) -> str:
    """The interpreter for a release: this one where the release is installed, else that of its environment.

    An environment that does not exist is made, after a notice. That of a wheel file is made from the file with exactly
    its digest, and of nothing else in the file but what pip installs.

    Raises:
        UsageError: the release has no wheel for the Pythons that are here, or cannot be installed; a wheel file was not
            named to this process, or is one of another framework.
        CacheError: the cache cannot be written.
    """
    name = ABILITIES[framework].package
    if package_version(name) == version:
        return sys.executable
    pythons = pythons_here()
    requirements = [f"{name}=={version}", *(f"{need}{versions}" for need, versions in venv.WORKER_NEEDS.items())]
    names = {tag: f"environment-{name}-{version}-py{tag[0]}{tag[1]}" for tag in pythons}
    for own in names.values():
        if (python := venv.ready(own, requirements)) is not None:
            return python
    location = None
    if is_wheel(version):
        wheel = _wheel(name, version)
        pythons = {tag: base for tag, base in pythons.items() if _fits(wheel, tag)}
        if not pythons:
            here = " and ".join(f"{tag[0]}.{tag[1]}" for tag in pythons_here())
            raise UsageError(
                f"{wheel.path.name} is not built for this machine, which has Python {here} on "
                f"{sysconfig.get_platform()}: name a wheel that is"
            )
        location = f"{wheel.path.as_uri()}#sha256={wheel.sha256}"
    errors = []
    for tag, base in pythons.items():
        try:
            return venv.make(names[tag], base, requirements, notify=notify, location=location)
        except venv.InstallError as error:
            errors.append(f"Python {tag[0]}.{tag[1]}: {error}")
    raise UsageError(f"{name} {version} cannot be installed: {'; '.join(errors)}")


def _wheel(package: str, release: str) -> Wheel:
    """The wheel file of a release that is called after one, which must have been named to this process."""
    wheel = wheel_of(release)
    if wheel is None:
        raise UsageError(
            f"{package} {release} is a wheel file, and {cache_folder()} has no environment of it: name the file "
            "with --versions"
        )
    if wheel.package != package:
        raise UsageError(f"{wheel.path.name} is a wheel of {wheel.package}, not of {package}: name one --framework")
    return wheel


def _fits(wheel: Wheel, python: tuple[int, int]) -> bool:
    """Whether CPython of that version can use the wheel on this machine."""
    from packaging import tags

    usable = {*tags.cpython_tags(python), *tags.compatible_tags(python, f"cp{python[0]}{python[1]}")}
    return not wheel.tags.isdisjoint(map(str, usable))


@cache
def pythons_here() -> dict[tuple[int, int], str]:
    """The interpreters here that can run a worker, by version: the running one first."""
    running = (sys.version_info[0], sys.version_info[1])
    found = {running: sys.executable}
    for tag in PYTHONS:
        path = shutil.which(f"python{tag[0]}.{tag[1]}")
        # A version manager has a shim for every Python that it knows, chosen or not.
        if tag not in found and path is not None and _works(path, tag):
            found[tag] = path
    return found


def _works(path: str, tag: tuple[int, int]) -> bool:
    code = "import sys, venv; print(*sys.version_info[:2])"
    try:
        clean = venv.without_python_and_pip(os.environ)
        return output(path, "-c", code, seconds=30, environment=clean).split() == [str(part) for part in tag]
    except ProgramError:
        return False
