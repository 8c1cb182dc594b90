"""Run another program for its output: with limits on time and size, and whatever bytes it prints."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, NamedTuple

from lenet.errors import reason

MAX_BYTES = 16 * 2**20
"""How much of a stream is kept. A program may print without end; the rest is read and dropped."""

LATE_SECONDS = 1.0
"""How long children that a program leaves behind may still print, then they are killed."""

OF_THE_COMMAND = frozenset(
    {"PYTHONWARNINGS", "PYTHONIOENCODING", "PYTHONINSPECT", "PYTHONSTARTUP", "PYTHONBREAKPOINT", "PYTHONCOERCECLOCALE"}
)
"""Variables that a user sets for the command, as its warnings and its encoding."""


class Printed(NamedTuple):
    """What a program printed, and its exit code."""

    code: int
    stdout: bytes
    stderr: bytes


class ProgramError(Exception):
    """A program gave no answer; the message says why in one line."""

    def __init__(self, message: str, stdout: str = "", stderr: str = "") -> None:
        super().__init__(message)
        self.stdout = stdout
        self.stderr = stderr


def output(
    *command: str,
    seconds: float,
    environment: Mapping[str, str] | None = None,
    source: Path | None = None,
    asks: bool = False,
) -> str:
    """Return what `command` prints to standard output, without surrounding white space.

    Bytes that are not UTF-8 become replacement characters. The rest is as with `printed`.

    Raises:
        ProgramError: it is not there, takes longer than `seconds`, or ends with an exit code other than 0.
    """
    done = printed(*command, seconds=seconds, environment=environment, source=source, asks=asks)
    stdout, stderr = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
    if done.code != 0:
        shown = " ".join((stderr or stdout).split())[:200]
        message = f"{Path(command[0]).name} ended with exit code {done.code}" + (f": {shown}" if shown else "")
        raise ProgramError(message, stdout, stderr)
    return stdout.strip()


def printed(
    *command: str,
    seconds: float,
    environment: Mapping[str, str] | None = None,
    source: Path | None = None,
    asks: bool = False,
) -> Printed:
    """Run `command`, and return what it prints, at most `MAX_BYTES` of each stream.

    The program gets no input but the file `source`, and this process's environment unless `environment` is given. It
    and its children are killed after `seconds`, and where this raises, on Ctrl-C too. One that `asks`, as for a
    passphrase, has this process's terminal; its children are not killed.

    Raises:
        ProgramError: it is not there, or takes longer than `seconds`.
    """
    path = (os.environ if environment is None else environment).get("PATH")
    name = Path(command[0]).name
    if shutil.which(command[0], path=path) is None:
        raise ProgramError(f"{command[0]} does not exist" if os.sep in command[0] else f"{name} is not on the PATH")
    try:
        given = os.open(source or os.devnull, os.O_RDONLY)
    except OSError as error:
        raise ProgramError(f"{name} cannot be run: {reason(error)}") from error
    try:
        process = subprocess.Popen(
            command, stdin=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
            start_new_session=not asks,
        )  # fmt: skip
    except OSError as error:
        os.close(given)
        raise ProgramError(f"{name} cannot be run: {reason(error)}") from error
    _alive.add(process)
    texts = bytearray(), bytearray()
    pipes = process.stdout, process.stderr
    readers = [
        threading.Thread(target=_read, args=(pipe, text), daemon=True) for pipe, text in zip(pipes, texts, strict=True)
    ]
    try:
        for reader in readers:
            reader.start()
        code = process.wait(seconds)
        _join(readers)
    except subprocess.TimeoutExpired as error:
        raise ProgramError(f"{name} did not answer within {seconds:g} s") from error
    except RuntimeError as error:  # no thread can be started
        raise ProgramError(f"{name} cannot be run: {error}") from error
    finally:
        if process.poll() is None or any(reader.is_alive() for reader in readers):
            _kill(process)
            _join(readers)
        _alive.discard(process)
        os.close(given)
        for pipe, reader in zip(pipes, readers, strict=True):
            if pipe is not None and not reader.is_alive():
                pipe.close()
    return Printed(code, *map(bytes, texts))


def quoted(word: str) -> str:
    """A word of a command that is printed, as bash and zsh take it, on one line whatever the word contains.

    >>> print(quoted("a run"), quoted("a\\n"), quoted("\\udcff'"))
    'a run' $'a\\x0a' $'\\xff\\x27'
    """
    if word.isprintable() and "  " not in word and _printable_here(word):
        return shlex.quote(word)
    plain = {code for code in range(0x21, 0x7F) if chr(code) not in "'\\"}
    return "".join(["$'", *(chr(each) if each in plain else f"\\x{each:02x}" for each in os.fsencode(word)), "'"])


def _printable_here(word: str) -> bool:
    with contextlib.suppress(UnicodeEncodeError, LookupError):
        word.encode(getattr(sys.stderr, "encoding", None) or "utf-8")
        return True
    return False


def variables_of_a_python() -> dict[str, str]:
    """The variables of another Python process that works for the command: those of this one, and C as its locale.

    Every system has that locale. The process reads and writes UTF-8, and prints its warnings.
    """
    kept = {name: value for name, value in os.environ.items() if name not in OF_THE_COMMAND}
    return {**kept, "PYTHONUTF8": "1", "LC_ALL": "C"}


def _read(pipe: IO[bytes], text: bytearray) -> None:
    with pipe:
        while block := pipe.read1(1 << 16):  # type: ignore[attr-defined]
            text += block[: MAX_BYTES - len(text)]


def _join(readers: list[threading.Thread]) -> None:
    """Wait until everything is read, or for `LATE_SECONDS`: a child of the program may hold its pipes."""
    end = time.monotonic() + LATE_SECONDS
    for reader in readers:
        if reader.is_alive():
            reader.join(max(0.0, end - time.monotonic()))


_alive: set[subprocess.Popen[bytes]] = set()


def kill_all() -> None:
    """Kill the programs that other threads wait for: Ctrl-C reaches the main thread alone."""
    for process in tuple(_alive):
        _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the program and its children, of which one is alive: else their group's number may be another's by now."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()  # where it has no group of its own
    process.wait()
