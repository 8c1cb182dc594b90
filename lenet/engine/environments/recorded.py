"""The recorded environment, built again: a virtual environment in the cache whose versions are the record's.

What is installed is named here and by those packages' own requirements; the record gives versions and nothing else.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from lenet.cases.frameworks import ABILITIES, Framework
from lenet.engine.environments import venv
from lenet.errors import UsageError

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")


def pins(lock: Mapping[str, str]) -> dict[str, str]:
    """The lock's packages under their normal names, with their versions.

    Raises:
        UsageError: a name or a version is none.
    """
    found = {}
    for name, version in lock.items():
        if not NAME.fullmatch(name):
            raise UsageError(f"the recorded packages hold {name[:60]!r}, which is no package's name")
        try:
            found[str(canonicalize_name(name))] = str(Version(version))
        except InvalidVersion as error:
            raise UsageError(f"the recorded packages hold {name} {version[:60]!r}, which is no version") from error
    return found


def requirements(lock: Mapping[str, str], frameworks: Iterable[Framework]) -> tuple[list[str], list[str]]:
    """What to install and the constraints on all that it needs, as pip reads them.

    Raises:
        UsageError: the lock is damaged, or a package that a worker needs is not in it.
    """
    pinned = pins(lock)
    wanted = [*sorted({ABILITIES[framework].package for framework in frameworks}), *venv.WORKER_NEEDS]
    if absent := [name for name in wanted if name not in pinned]:
        raise UsageError(f"--exact needs the recorded version of {', '.join(absent)}: this run does not have it")
    return [f"{name}=={pinned[name]}" for name in wanted], [f"{name}=={pinned[name]}" for name in sorted(pinned)]


def interpreter(recorded: str) -> str:
    """An interpreter of the recorded Python's minor version (`CPython 3.11.7`).

    Raises:
        UsageError: there is none here.
    """
    match = re.fullmatch(r"CPython (3\.\d{1,2})(?:\.\d+)?[A-Za-z0-9+.]*", recorded)
    if match is None:
        raise UsageError(f"--exact needs CPython, and this run was made with {recorded[:60]}")
    if match[1] == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    found = shutil.which(f"python{match[1]}")
    if found is None:
        raise UsageError(f"--exact needs python{match[1]}, which is not here: install it")
    return found


def build(
    lock: Mapping[str, str],
    python: str,
    frameworks: Iterable[Framework],
    notify: Callable[[str], None] = lambda _: None,
) -> str:
    """The interpreter of the recorded environment, which is made in the cache unless it is there.

    Raises:
        UsageError: the lock is damaged, no such Python is here, or a recorded version cannot be had.
        CacheError: the cache cannot be written.
    """
    wanted, constraints = requirements(lock, frameworks)
    base = interpreter(python)
    digest = hashlib.sha256("\n".join([base, *wanted, "", *constraints]).encode()).hexdigest()[:16]
    try:
        return venv.make(f"environment-{digest}", base, wanted, constraints, notify)
    except venv.InstallError as error:
        raise UsageError(f"the recorded environment cannot be built: {error}") from error
