"""How the user starts this command: the words that a hint begins with."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from pathlib import Path

from lenet.errors import NAME
from lenet.machine.programs import quoted

RUNNERS = frozenset(
    {"TOX_ENV_NAME", "UV_RUN_RECURSION_DEPTH", "NOX_CURRENT_SESSION", "HATCH_ENV_ACTIVE", "PIPENV_ACTIVE"}
)
"""Variables of programs that run a command in an environment which the user's shell does not have."""


def program() -> str:
    """The words that start this command again in the user's shell.

    That is `lenet-bench` if the shell finds it. It does not where the command runs in an environment that is not
    activated, or that another program activates for it alone: then it is the path of the script.
    """
    started = Path(sys.argv[0])
    if started.name == "__main__.py":
        return f"{_shown(Path(sys.executable))} -m lenet.cli"
    if started.stem != NAME or os.sep not in sys.argv[0]:
        return NAME
    found = shutil.which(NAME)
    if found is not None and RUNNERS.isdisjoint(os.environ) and Path(found).resolve() == started.resolve():
        return NAME
    return _shown(started)


def command_line(*words: str) -> str:
    """The line that starts this command with these words, as the user's shell takes it."""
    return " ".join([program(), *map(quoted, words)])


def argument(path: str) -> str:
    """A path as an argument, which must not look like an option."""
    return f"./{path}" if path.startswith("-") else path


def _shown(path: Path) -> str:
    """A path as the shell takes it, from the working folder if it is below that."""
    with contextlib.suppress(OSError):  # the working folder is gone
        path, here = path.absolute(), Path.cwd()
        if here in path.parents[1:]:
            path = path.relative_to(here)
    return quoted(str(path))
