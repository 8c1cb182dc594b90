"""A worker process: started in a group of its own, listened to without polling, ended with all its children."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

import lenet
from lenet.engine import Limits
from lenet.store.events import MAX_LINE_BYTES
from lenet.worker.parent import PARENT

MARK = "LENET_BENCH_WORKER"
"""A variable that a worker and all that it starts have in their environment, with a value of its own."""

TERMINATE_SECONDS = 2.0
"""How long a worker may tidy up between SIGTERM and SIGKILL."""

STRAY_ROUNDS = 10
"""How often children that hold the event pipe after the worker has ended are looked for."""


@dataclass(frozen=True)
class Line:
    """A line from the event pipe, without its end."""

    text: bytes


@dataclass(frozen=True)
class Ended:
    """The process is gone and its pipe is read to the end; `code` is negative for a signal."""

    code: int


@dataclass(frozen=True)
class Overdue:
    """A limit was passed; the worker still runs."""

    reason: str


class WorkerProcess:
    """One worker and what it says."""

    def __init__(self, command: Sequence[str], assignment: bytes, log: Path, folder: Path, limits: Limits) -> None:
        """Start `command FD` in `folder` with `assignment` on its standard input.

        Raises:
            OSError: it cannot be started or the log cannot be written.
        """
        self._limits = limits
        self._mark = uuid.uuid4().hex
        self._messages: queue.Queue[bytes | int] = queue.Queue(maxsize=4096)
        self._began = self._heard = time.monotonic()
        foreign = Path(command[0]).is_absolute() and command[0] != sys.executable
        if foreign:
            # Another environment's interpreter is lent this package, and none of those installed beside it.
            (folder / "lenet").symlink_to(Path(lenet.__file__).resolve().parent, target_is_directory=True)
        read_end, write_end = os.pipe()
        try:
            log.unlink(missing_ok=True)  # what stands there may be a link of somebody else's making
            with log.open("xb") as output:
                self._process = subprocess.Popen(
                    [*command, str(write_end)],
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=folder,
                    env=self._environment(command[0], folder if foreign else Path(lenet.__file__).parents[1]),
                    pass_fds=(write_end,),
                    start_new_session=True,
                )
        except BaseException:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        self._reader = threading.Thread(target=self._listen, args=(os.fdopen(read_end, "rb"),), daemon=True)
        self._reader.start()
        threading.Thread(target=self._await_end, daemon=True).start()
        stdin = self._process.stdin
        if stdin is None:
            raise AssertionError("the worker was started with a pipe")
        try:
            stdin.write(assignment)
            stdin.close()
        except BrokenPipeError:
            pass  # it died already: its end is reported as any other

    def _environment(self, interpreter: str, package: Path) -> dict[str, str]:
        """The worker's variables; `package` is the folder that this package is found in."""
        # MindSpore looks for tools (msrun among them) that are installed beside the interpreter.
        tools = str(Path(interpreter if Path(interpreter).is_absolute() else sys.executable).parent)
        path = os.environ.get("PATH", os.defpath)
        # The worker runs in another folder, where a checkout that is not installed would not be found.
        modules = [str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {
            **os.environ,
            "PATH": f"{tools}{os.pathsep}{path}",
            "PYTHONPATH": os.pathsep.join(modules),
            "PYTHONUNBUFFERED": "1",
            PARENT: str(os.getpid()),
            MARK: self._mark,
        }

    def _listen(self, pipe: IO[bytes]) -> None:
        with pipe:
            while line := pipe.readline(MAX_LINE_BYTES):
                self._messages.put(line)

    def _await_end(self) -> None:
        code = self._process.wait()
        # Children that outlive the worker hold the pipe open, and the processor: end them, then the pipe ends too.
        self._signal_group(signal.SIGKILL)
        for _ in range(STRAY_ROUNDS):  # one that is executing its program at this moment shows no environment yet
            self._end_strays()
            self._reader.join(timeout=5 / STRAY_ROUNDS)
            if not self._reader.is_alive():
                break
        self._messages.put(code)

    def receive(self) -> Line | Ended | Overdue:
        """Wait for the next line, the end, or a limit."""
        now = time.monotonic()
        left = self._heard + self._limits.silence_seconds - now
        if self._limits.wall_seconds is not None:
            wall_left = self._began + self._limits.wall_seconds - now
            # Looked at before the next line is taken: a worker that prints for ever must not outrun it.
            if wall_left <= 0:
                return Overdue(f"not finished after {self._limits.wall_seconds:g} s (--timeout)")
            left = min(left, wall_left)
        try:
            message = self._messages.get(timeout=max(left, 0))
        except queue.Empty:
            if time.monotonic() < self._heard + self._limits.silence_seconds:
                return self.receive()  # the wall limit was the nearer one, and is passed now
            return Overdue(f"no sign of life for {self._limits.silence_seconds:g} s (--silence-timeout)")
        self._heard = time.monotonic()
        if isinstance(message, int):
            return Ended(message)
        return Line(message.rstrip(b"\n"))

    def kill(self) -> int:
        """End the whole group, gently first; returns the exit code."""
        children = self._descendants()
        self._signal_group(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=TERMINATE_SECONDS)
        self._signal_group(signal.SIGKILL)
        for child in children:  # those that left the group
            try:
                child.kill()
            except psutil.Error:
                continue
        return self._process.wait()

    def _end_strays(self) -> None:
        """End what has left the worker's group and lost its parent: it still carries the worker's mark."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.environ().get(MARK) == self._mark:
                    process.kill()

    def _descendants(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self._process.pid).children(recursive=True)
        except psutil.Error:
            return []

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # the group is empty
            os.killpg(self._process.pid, number)
