"""The recorded environment, built again: a virtual environment in the cache whose versions are the record's.

What is installed is named here and by those packages' own requirements; the record gives versions and nothing else.
Only wheels are taken, so that nothing of a package is executed by its installation.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

import lenet
from lenet.dataset.files import locked
from lenet.errors import UsageError
from lenet.frameworks import Framework

WORKER_NEEDS = ("numpy", "pydantic", "filelock", "platformdirs")
"""What a worker imports beside its framework."""

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
COMPLETE = "complete"
BUILD_SECONDS = 3600


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


def requirements(lock: Mapping[str, str], frameworks: Iterable[Framework]) -> tuple[str, str]:
    """What to install and the constraints on all that it needs, as pip reads them.

    Raises:
        UsageError: the lock is damaged, or a package that a worker needs is not in it.
    """
    pinned = pins(lock)
    wanted = [*sorted({framework.value for framework in frameworks}), *WORKER_NEEDS]
    if absent := [name for name in wanted if name not in pinned]:
        raise UsageError(f"--exact needs the recorded version of {', '.join(absent)}: this run does not have it")
    roots = "".join(f"{name}=={pinned[name]}\n" for name in wanted)
    return roots, "".join(f"{name}=={version}\n" for name, version in sorted(pinned.items()))


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


def build(lock: Mapping[str, str], python: str, frameworks: Iterable[Framework]) -> tuple[str, ...]:
    """The command of a worker in the recorded environment, which is built in the cache unless it is there.

    pip finds packages as the user's own configuration says.

    Raises:
        UsageError: the lock is damaged, no such Python is here, or a recorded version cannot be had.
        DatasetError: the cache cannot be written.
    """
    roots, constraints = requirements(lock, frameworks)
    base = interpreter(python)
    digest = hashlib.sha256(f"{base}\n{roots}\n{constraints}".encode()).hexdigest()[:16]
    with locked(f"environment-{digest}") as folder:
        own = folder / "bin" / "python"
        if not (folder / COMPLETE).exists():
            shutil.rmtree(folder)
            _execute([base, "-m", "venv", str(folder)])
            (folder / "requirements.txt").write_text(roots, encoding="utf-8")
            (folder / "constraints.txt").write_text(constraints, encoding="utf-8")
            arguments = ("--only-binary", ":all:", "--no-input", "--disable-pip-version-check", "--quiet")
            files = ("-r", str(folder / "requirements.txt"), "-c", str(folder / "constraints.txt"))
            _execute([str(own), "-m", "pip", "install", *arguments, *files])
            (folder / COMPLETE).touch()
        # The harness itself is this one: what is measured with is not what is measured.
        (site,) = (folder / "lib").glob("python*/site-packages")
        shutil.rmtree(site / "lenet", ignore_errors=True)
        shutil.copytree(
            Path(lenet.__file__).parent,
            site / "lenet",
            ignore=shutil.ignore_patterns("__pycache__"),
            dirs_exist_ok=True,
        )
    # -E: the engine's PYTHONPATH would show this environment's packages to that one's interpreter.
    return (str(own), "-E", "-m", "lenet.worker")


def _execute(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"the recorded environment cannot be built: {error}") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip().lower().startswith("error")]
        reason = " ".join(lines[:3]) or done.stderr[-300:] or f"exit code {done.returncode}"
        raise UsageError(f"the recorded environment cannot be built: {reason}")
