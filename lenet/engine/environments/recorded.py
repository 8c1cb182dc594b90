"""A recorded environment, built again: a virtual environment in the cache with the versions of the record.

A record gives versions only: what is installed is named here and by the requirements of those packages.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from lenet.cases.frameworks import ABILITIES, Framework
from lenet.engine.environments import releases, venv
from lenet.errors import UsageError

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")


def pins(lock: Mapping[str, str]) -> dict[str, str]:
    """The recorded packages by their normalised names, with their versions.

    Raises:
        UsageError: a name or a version is malformed.
    """
    found = {}
    for name, version in lock.items():
        if not NAME.fullmatch(name):
            raise UsageError(f"the record lists {name[:60]!r}, which is not a package name")
        try:
            found[str(canonicalize_name(name))] = str(Version(version))
        except InvalidVersion as error:
            raise UsageError(f"the record lists {name} {version[:60]!r}, which is not a version") from error
    return found


def requirements(lock: Mapping[str, str], frameworks: Iterable[Framework]) -> tuple[list[str], list[str]]:
    """What to install, and constraints on everything that it requires, as pip reads them.

    Raises:
        UsageError: a recorded package is malformed, or one that a worker needs is missing.
    """
    pinned = pins(lock)
    wanted = [*sorted({ABILITIES[framework].package for framework in frameworks}), *venv.WORKER_NEEDS]
    if absent := [name for name in wanted if name not in pinned]:
        raise UsageError(f"--exact needs the recorded version of {', '.join(absent)}, which this run does not have")
    return [f"{name}=={pinned[name]}" for name in wanted], [f"{name}=={pinned[name]}" for name in sorted(pinned)]


def interpreter(recorded: str) -> str:
    """An interpreter of the recorded Python's minor version (`CPython 3.11.7`).

    Raises:
        UsageError: it is not installed.
    """
    match = re.fullmatch(r"CPython 3\.(\d{1,2})(?:\.\d+)?[A-Za-z0-9+.]*", recorded)
    if match is None:
        raise UsageError(f"--exact needs CPython, and this run was made with {recorded[:60]}")
    if (found := releases.pythons_here().get((3, int(match[1])))) is None:
        raise UsageError(f"--exact needs python3.{match[1]}: install it")
    return found


def build(
    lock: Mapping[str, str],
    python: str,
    frameworks: Iterable[Framework],
    notify: Callable[[str], None] = lambda _: None,
) -> str:
    """The interpreter of the recorded environment, which is made in the cache unless it exists.

    Raises:
        UsageError: a recorded package is malformed, the Python is not installed, or a version cannot be installed.
        CacheError: the cache cannot be written.
    """
    wanted, constraints = requirements(lock, frameworks)
    base = interpreter(python)
    digest = hashlib.sha256("\n".join([base, *wanted, "", *constraints]).encode()).hexdigest()[:16]
    try:
        return venv.make(f"environment-{digest}", base, wanted, constraints, notify)
    except venv.InstallError as error:
        raise UsageError(f"the recorded environment cannot be built: {error}") from error
