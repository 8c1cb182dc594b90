"""Environments for other releases of a framework: made once with venv and pip in the user's cache, then used again.

The parent stays where it is; only workers run in such an environment, with this very package lent to them. What they
need besides the framework is `WORKER_NEEDS`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path

from lenet.dataset.files import cache_folder, locked
from lenet.errors import UsageError
from lenet.frameworks import Framework

WORKER_NEEDS = ("numpy>=1.25,<2", "pydantic>=2.7", "psutil>=5.9", "filelock>=3.13", "platformdirs>=4")
"""What the worker imports besides the framework."""

PYTHONS = ((3, 11), (3, 10), (3, 12))
"""The Pythons that this package runs on, the one with wheels of the most releases first."""

ROOM_BYTES = 4 * 2**30
"""What making an environment takes at most."""

READY = "ready.json"
"""Written last: an environment without it is not whole and is made again."""


def prepare(framework: Framework, versions: Iterable[str], say: Callable[[str], None]) -> dict[str, str]:
    """The interpreter for each release; an environment that is missing is made, and `say` is told.

    Raises:
        UsageError: a release has no wheel for the Pythons that are here, or cannot be installed.
        DatasetError: the cache cannot be written.
    """
    return {version: _interpreter(framework.value, version, say) for version in dict.fromkeys(versions)}


def _interpreter(name: str, version: str, say: Callable[[str], None]) -> str:
    try:
        if installed_version(name) == version:
            return sys.executable
    except PackageNotFoundError:
        pass  # it is needed in workers only
    pythons = _pythons()
    for tag in pythons:
        if (python := _ready(_folder_name(name, version, tag))) is not None:
            return python
    complaints = []
    for tag, python in pythons.items():
        complaint = _make(_folder_name(name, version, tag), python, f"{name}=={version}", say)
        if complaint is None:
            return str(_python_of(cache_folder() / _folder_name(name, version, tag)))
        complaints.append(f"Python {tag[0]}.{tag[1]}: {complaint}")
    raise UsageError(f"{name} {version} cannot be installed: {'; '.join(complaints)}")


def _folder_name(name: str, version: str, tag: tuple[int, int]) -> str:
    return f"environment-{name}-{version}-py{tag[0]}{tag[1]}"


def _python_of(folder: Path) -> Path:
    return folder / "bin" / "python"


def _ready(name: str) -> str | None:
    """The interpreter of a whole environment in the cache, or None. A changed list of needs makes it anew."""
    folder = cache_folder() / name
    try:
        told = json.loads((folder / READY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    whole = isinstance(told, dict) and told.get("needs") == list(WORKER_NEEDS) and _python_of(folder).exists()
    return str(_python_of(folder)) if whole else None


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
        done = subprocess.run([path, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0 and done.stdout.split() == [str(part) for part in tag]


def _make(name: str, python: str, requirement: str, say: Callable[[str], None]) -> str | None:
    """Make an environment; None when it is whole, else what pip or venv complained of."""
    with locked(name) as folder:
        if _ready(name) is not None:  # another process made it while this one waited
            return None
        if (free := shutil.disk_usage(folder).free) < ROOM_BYTES:
            raise UsageError(
                f"{requirement} needs up to {ROOM_BYTES >> 30} GiB and {cache_folder()} has {free >> 30}: free some, "
                "or set LENET_BENCH_CACHE to a folder with more"
            )
        say(f"making an environment for {requirement} (once; some minutes, about 3 GB): {folder}")
        whole = False
        try:
            complaint = _execute([python, "-m", "venv", "--clear", str(folder)]) or _execute(
                [
                    *(str(_python_of(folder)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
                    *("--no-input", "--only-binary", ":all:", requirement, *WORKER_NEEDS),
                ]
            )
            if complaint is None:
                told = {"requirement": requirement, "needs": list(WORKER_NEEDS)}
                (folder / READY).write_text(json.dumps(told), encoding="utf-8")
                whole = True
            return complaint
        finally:
            if not whole:
                shutil.rmtree(folder, ignore_errors=True)


def _execute(command: list[str]) -> str | None:
    """Run it; None when it succeeded, else its last error as one line."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        return str(error)
    if done.returncode == 0:
        return None
    lines = [" ".join(line.split()) for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or [f"exit code {done.returncode}"])[-1][:300]


def commands(interpreters: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The commands that start a worker, by release."""
    return {version: (python, "-m", "lenet.worker") for version, python in interpreters.items()}
