"""One environment in the user's cache: made completely or not at all, then reused.

Only wheels are installed, so that installing executes nothing of a package. The user's configuration of pip says where
packages come from, and nothing else: `user = true`, a target or constraints of theirs would install elsewhere, or
other things. Variables of Python, as PYTHONPATH, are for another interpreter.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lenet.errors import CacheError, UsageError
from lenet.files.cache import cache_folder, locked, user_folder
from lenet.machine.devices.doctor import Environment
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

SOURCES = frozenset(
    {"index-url", "extra-index-url", "no-index", "find-links", "trusted-host", "cert", "client-cert", "proxy"}
    | {"timeout", "default-timeout", "retries", "cache-dir", "no-cache-dir", "keyring-provider"}
)
"""The settings of pip that say where packages come from."""

MAKE_SECONDS = 3600
QUERY_SECONDS = 20

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


def environments() -> list[Environment]:
    """The complete environments in the cache, by their folders; none without a cache."""
    found: list[Environment] = []
    try:
        folders = sorted(user_folder("cache", "LENET_BENCH_CACHE").glob("environment-*"))
    except (CacheError, OSError):
        return found
    for folder in folders:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, IndexError):
            first = str(json.loads((folder / READY).read_text(encoding="utf-8"))["requirements"][0])
            found.append(Environment(title=first.replace("==", " "), folder=str(folder), python=_python(folder)))
    return found


def _python(folder: Path) -> str | None:
    try:
        shown = output(str(folder / "bin" / "python"), "--version", seconds=QUERY_SECONDS)
    except ProgramError:
        return None
    return shown.strip().removeprefix("Python ")[:40]


def make(
    name: str,
    python: str,
    requirements: Sequence[str],
    constraints: Sequence[str] = (),
    notify: Callable[[str], None] = lambda _: None,
    location: str | None = None,
) -> str:
    """The interpreter of the environment of that name, which `python` makes unless it exists, after a notice.

    The first requirement comes from `location`, an address with a digest that pip checks, instead of an index.

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
            clean = without_python_and_pip(os.environ)
            execute([python, "-m", "venv", "--clear", str(folder)], clean)
            clean |= sources(str(interpreter_in(name)))
            # On the disk that has the space, and gone with the environment if pip is killed.
            temporary = folder / "temporary"
            temporary.mkdir()
            clean["TMPDIR"] = str(temporary)
            listed, limits = folder / "requirements.txt", folder / "constraints.txt"
            first = [f"{requirements[0].partition('==')[0]} @ {location}"] if location else requirements[:1]
            listed.write_text("".join(f"{each}\n" for each in (*first, *requirements[1:])), encoding="utf-8")
            limits.write_text("".join(f"{each}\n" for each in constraints), encoding="utf-8")
            options = ("--only-binary", ":all:", "--no-input", "--disable-pip-version-check", "--quiet")
            files = ("-r", str(listed), "-c", str(limits))
            execute([str(interpreter_in(name)), "-m", "pip", "install", *options, *files], clean)
            shutil.rmtree(temporary)
            (folder / READY).write_text(json.dumps({"requirements": list(requirements)}), encoding="utf-8")
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return str(interpreter_in(name))


def without_python_and_pip(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables without those that configure Python or pip, and with messages in English."""
    kept = {name: value for name, value in environment.items() if not name.startswith(("PYTHON", "PIP_"))}
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "LC_ALL": "C.UTF-8"}


def sources(python: str) -> dict[str, str]:
    """The `SOURCES` of the user's configuration, which that interpreter's pip knows how to find, as pip's variables.

    Raises:
        InstallError: pip cannot read it.
    """
    read = {"PIP_CONFIG_FILE", *map(_variable, SOURCES)}
    shown = {name: os.environ[name] for name in read & os.environ.keys()}
    # These three are options of `pip config` too: it would show one file only.
    shown |= {"PIP_USER": "0", "PIP_GLOBAL": "0", "PIP_SITE": "0"}
    environment = without_python_and_pip(os.environ)
    del environment["PIP_CONFIG_FILE"]
    printed = execute([python, "-m", "pip", "--disable-pip-version-check", "config", "list"], {**environment, **shown})
    found: dict[str, dict[str, str]] = {}
    for line in printed.splitlines():
        section, _, setting = line.partition(".")
        name, _, value = setting.partition("=")
        if name in SOURCES:
            with contextlib.suppress(ValueError, SyntaxError):
                found.setdefault(section, {})[name] = str(ast.literal_eval(value))
    settings = {**found.get("global", {}), **found.get("install", {}), **found.get(":env:", {})}
    return {_variable(name): value for name, value in settings.items()}


def _variable(setting: str) -> str:
    return f"PIP_{setting.upper().replace('-', '_')}"


def execute(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """Run a command with these variables; returns what it prints.

    Raises:
        InstallError: it failed; the message is its last error, or all that it says, in one line.
    """
    try:
        return output(*command, seconds=MAKE_SECONDS, environment=environment)
    except ProgramError as error:
        printed = (error.stderr or error.stdout).strip() or str(error)
        lines = [" ".join(line.split()) for line in printed.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")]
        if not errors and not any(line.startswith("Traceback") for line in lines):  # a paragraph, as of Debian's venv
            errors = [" ".join(lines)]
        raise InstallError((errors or lines)[-1][:300]) from error
