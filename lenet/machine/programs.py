"""Run another program for its output: with a time limit, without input, and whatever bytes it prints."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from lenet.errors import reason


class ProgramError(Exception):
    """A program gave no answer; the message says why in one line."""

    def __init__(self, message: str, stdout: str = "", stderr: str = "") -> None:
        super().__init__(message)
        self.stdout = stdout
        self.stderr = stderr


def output(*command: str, seconds: float, environment: Mapping[str, str] | None = None) -> str:
    """Return what `command` prints to standard output, without surrounding white space.

    Bytes that are not UTF-8 become replacement characters. The program gets no input, and this process's environment
    unless `environment` is given.

    Raises:
        ProgramError: it is not there, takes longer than `seconds`, or ends with an exit code other than 0.
    """
    path = (os.environ if environment is None else environment).get("PATH")
    name = Path(command[0]).name
    if shutil.which(command[0], path=path) is None:
        raise ProgramError(f"{command[0]} does not exist" if os.sep in command[0] else f"{name} is not on the PATH")
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=seconds, check=False,
            stdin=subprocess.DEVNULL, env=environment,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise ProgramError(f"{name} did not answer within {seconds:g} s") from error
    except OSError as error:
        raise ProgramError(f"{name} cannot be run: {reason(error)}") from error
    if done.returncode != 0:
        printed = " ".join((done.stderr or done.stdout).split())[:200]
        message = f"{name} ended with exit code {done.returncode}" + (f": {printed}" if printed else "")
        raise ProgramError(message, done.stdout, done.stderr)
    return done.stdout.strip()
