"""How the user starts this command: the words that a hint begins with."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

NAME = "lenet-bench"


def program() -> str:
    """The words that start this command again in the user's shell.

    That is `lenet-bench` if the shell finds it. It does not where the command runs in an environment that is not
    activated, or that tox activates for itself: then it is the path of the script.
    """
    started = Path(sys.argv[0])
    if started.name == "__main__.py":
        return f"{_shown(Path(sys.executable))} -m lenet.cli"
    if started.stem != NAME or started.parent == Path():
        return NAME
    found = shutil.which(NAME)
    if found is not None and "TOX_ENV_NAME" not in os.environ and Path(found).resolve() == started.resolve():
        return NAME
    return _shown(started)


def runnable(message: str) -> str:
    """A message whose commands begin with `program`."""
    return message.replace(f"`{NAME} ", f"`{program()} ")


def _shown(path: Path) -> str:
    """A path as the shell takes it, from the working folder if it is below that."""
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if here in path.parents[1:] else path))
