"""One environment in the user's cache: made completely or not at all, then reused.

Only wheels are installed, so that installing executes nothing of a package. pip finds packages as the user's own
configuration says.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lenet.errors import UsageError
from lenet.files.cache import cache_folder, locked
from lenet.machine.programs import ProgramError, output

WORKER_NEEDS: Mapping[str, str] = {
    "numpy": ">=1.25,<2",
    "pydantic": ">=2.7",
    "psutil": ">=5.9",
    "platformdirs": ">=4",
    "pyelftools": ">=0.31",
}
"""What a worker imports besides its framework, with the versions that work."""

FREE_BYTES = 4 * 2**30
"""Disk space that making an environment takes at most."""

MAKE_SECONDS = 3600

READY = "ready.json"
"""Written last: an environment without it is incomplete and is made again."""


class InstallError(Exception):
    """venv or pip failed; the message is their error in one line."""


def interpreter_in(name: str) -> Path:
    """Where the interpreter of the environment of that name is, if it exists."""
    return cache_folder() / name / "bin" / "python"


def ready(name: str, requirements: Sequence[str]) -> str | None:
    """The interpreter of a complete environment in the cache that was made with these requirements, or None."""
    try:
        made = json.loads((cache_folder() / name / READY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    python = interpreter_in(name)
    same = isinstance(made, dict) and made.get("requirements") == list(requirements)
    return str(python) if same and python.exists() else None


def make(
    name: str,
    python: str,
    requirements: Sequence[str],
    constraints: Sequence[str] = (),
    notify: Callable[[str], None] = lambda _: None,
) -> str:
    """The interpreter of the environment of that name, which `python` makes unless it exists, after a notice.

    Raises:
        InstallError: venv or pip failed; nothing is left behind.
        UsageError: there is too little disk space.
        CacheError: the cache cannot be written.
    """
    with locked(name) as folder:
        if (found := ready(name, requirements)) is not None:  # another process may have made it meanwhile
            return found
        if (free := shutil.disk_usage(folder).free) < FREE_BYTES:
            raise UsageError(
                f"{requirements[0]} needs up to {FREE_BYTES >> 30} GiB and {cache_folder()} has {free >> 30}: free "
                "some, or set LENET_BENCH_CACHE to a folder with more"
            )
        notify(f"making an environment for {requirements[0]} (once; some minutes, about 3 GB): {folder}")
        try:
            execute([python, "-m", "venv", "--clear", str(folder)])
            listed, limits = folder / "requirements.txt", folder / "constraints.txt"
            listed.write_text("".join(f"{each}\n" for each in requirements), encoding="utf-8")
            limits.write_text("".join(f"{each}\n" for each in constraints), encoding="utf-8")
            options = ("--only-binary", ":all:", "--no-input", "--disable-pip-version-check", "--quiet")
            files = ("-r", str(listed), "-c", str(limits))
            execute([str(interpreter_in(name)), "-m", "pip", "install", *options, *files])
            (folder / READY).write_text(json.dumps({"requirements": list(requirements)}), encoding="utf-8")
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return str(interpreter_in(name))


def execute(command: Sequence[str]) -> None:
    """Run a command.

    Raises:
        InstallError: it failed; the message is its last error in one line.
    """
    try:
        output(*command, seconds=MAKE_SECONDS)
    except ProgramError as error:
        printed = (error.stderr or error.stdout).splitlines()
        lines = [" ".join(line.split()) for line in printed if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")]
        raise InstallError((errors or lines or [str(error)])[-1][:300]) from error
