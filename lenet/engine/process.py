"""A worker process: started in a session of its own, read without polling, ended with all its children."""

from __future__ import annotations

import contextlib
import math
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import psutil

import lenet
from lenet.errors import StoreError, reason
from lenet.files.leftovers import TEMPORARY_PREFIX
from lenet.files.plain import create
from lenet.machine.devices import cann
from lenet.machine.programs import variables_of_a_python
from lenet.store.events import MAX_LINE_BYTES
from lenet.store.record import Status
from lenet.worker.parent import PARENT

MARK = "LENET_BENCH_WORKER"
"""An environment variable of a worker and all its descendants, with a value of its own."""

TERMINATE_SECONDS = 2.0
"""Time between SIGTERM and SIGKILL."""

SEARCHED = {"PYTHONPATH": False, "LD_LIBRARY_PATH": False, "LD_PRELOAD": True}
"""Variables with the paths by which a worker finds code, and whether a word without a slash is a name and no path."""

PAUSED = re.compile(rb'{\s*"event"\s*:\s*"paused"')
"""The beginning of the line that a worker writes before it waits for a turn."""

LATE_SECONDS = 5.0
"""A wait that ends so much too late does not count: this process was stopped, and has not read what came meanwhile."""

STRAY_ROUNDS = 10
"""How often children that hold the event pipe after the worker has ended are looked for."""


@dataclass(frozen=True)
class TimeLimits:
    """When a worker is killed, in seconds: `wall_seconds` after its start, `silence_seconds` after its last event."""

    wall_seconds: float | None = None
    silence_seconds: float = 600.0
    option: str = "--timeout"
    """The option that sets `wall_seconds`, for the reason of a record."""
    overdue: Status = Status.TIMED_OUT
    """How a worker ends that is not finished after `wall_seconds`."""

    def within(self, seconds: float, option: str) -> TimeLimits:
        """The limits of a worker that is dropped after so many seconds, which `option` sets."""
        if self.wall_seconds is not None and self.wall_seconds <= seconds:
            return self
        return replace(self, wall_seconds=seconds, option=option, overdue=Status.DROPPED)


class WorkerStartError(Exception):
    """A worker cannot be started."""


class OverdueError(Exception):
    """A worker passed a time limit."""

    def __init__(self, message: str, status: Status = Status.TIMED_OUT) -> None:
        super().__init__(message)
        self.status = status


def _absolute(paths: str, names: bool) -> str:
    """The paths of a variable, each from the root; an empty one is this folder."""
    return os.pathsep.join(
        each if each.startswith("$") or (names and os.sep not in each) else str(Path(each).absolute())
        for each in re.split("[ :]+" if names else os.pathsep, paths)
    )


def worker_command(python: str = sys.executable, module: str = "lenet.worker") -> tuple[str, ...]:
    """The command of a worker under that interpreter; the engine appends the descriptor of the event pipe."""
    return (python, "-m", module)


@contextlib.contextmanager
def worker(
    command: Sequence[str], assignment: bytes, log: Path, limits: TimeLimits, turns: bool = False, preloaded: str = ""
) -> Iterator[WorkerProcess]:
    """A worker in a temporary folder of its own; it is killed when the block raises.

    A framework writes dumps into its working folder, which must not be the user's.

    Raises:
        WorkerStartError: it cannot be started, or the log cannot be written.
        StoreError: no temporary folder can be made.
    """
    try:
        temporary = tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX, ignore_cleanup_errors=True)
    except OSError as error:
        raise StoreError(
            f"no temporary folder can be made ({reason(error)}): free space or set TMPDIR, then --resume"
        ) from error
    with temporary as folder:
        try:
            process = WorkerProcess(command, assignment, log, Path(folder), limits, turns, preloaded)
        except (OSError, RuntimeError) as error:  # RuntimeError: no thread can be started
            raise WorkerStartError(f"the worker cannot be started: {error}") from error
        try:
            yield process
        except BaseException:
            process.kill()
            raise


class WorkerProcess:
    """One worker. `code` is its exit code once `lines` is exhausted, negative for a signal."""

    code = 0

    def __init__(
        self,
        command: Sequence[str],
        assignment: bytes,
        log: Path,
        folder: Path,
        limits: TimeLimits,
        turns: bool,
        preloaded: str,
    ) -> None:
        """Start `command FD` in `folder` with `assignment` on its standard input.

        With `turns` it is `command FD TURNS`: the worker is stopped when it reports a pause, and `give_turn` continues
        it. The dynamic linker loads the shared library `preloaded` first, before those that are preloaded here.

        Raises:
            OSError: it cannot be started or the log cannot be written.
        """
        self._limits = limits
        self._mark = uuid.uuid4().hex
        self._messages: queue.Queue[bytes | int] = queue.Queue(maxsize=4096)
        self._started = self._last_event = time.monotonic()
        self._stopped_at: float | None = None
        foreign = Path(command[0]).is_absolute() and command[0] != sys.executable
        if foreign:
            # Another environment's interpreter imports this package, and none of those installed beside it.
            package = Path(lenet.__file__).resolve().parent
            try:
                (folder / "lenet").symlink_to(package, target_is_directory=True)
            except OSError:  # a file system without links
                shutil.copytree(package, folder / "lenet")
        read_end, write_end = os.pipe()
        inherited = [write_end]
        self._turns: int | None = None
        if turns:
            turns_end, self._turns = os.pipe()
            inherited.append(turns_end)
        try:
            with os.fdopen(create(log), "wb") as output:
                self._process = subprocess.Popen(
                    [*command, *map(str, inherited)],
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=folder,
                    env=self._environment(command[0], folder, foreign, preloaded),
                    pass_fds=inherited,
                    start_new_session=True,
                )
        except BaseException:
            os.close(read_end)
            self._close_turns()
            raise
        finally:
            for descriptor in inherited:
                os.close(descriptor)
        if self._process.stdin is None:
            raise AssertionError("the worker was started with a pipe")
        pipe = os.fdopen(read_end, "rb")
        self._reader = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        try:
            self._reader.start()
            threading.Thread(target=self._await_end, daemon=True).start()
        except BaseException:
            self.kill()
            self._process.stdin.close()
            self._close_turns()
            if not self._reader.is_alive():
                pipe.close()
            raise
        try:
            self._process.stdin.write(assignment)
            self._process.stdin.close()
        except BrokenPipeError:
            pass  # it has ended already, which `lines` reports

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._process.pid

    def lines(self) -> Iterator[bytes]:
        """Each line of the event pipe, without its end, until the worker has ended.

        Raises:
            OverdueError: a limit is passed; the worker still runs.
        """
        while isinstance(message := self._next(), bytes):
            yield message.rstrip(b"\n")
        self.code = message

    @property
    def resident_bytes(self) -> int:
        """Resident memory of the worker without its children; 0 where it has ended."""
        try:
            return int(psutil.Process(self.pid).memory_info().rss)
        except psutil.Error:
            return 0

    @property
    def paused(self) -> bool:
        """Whether the worker was stopped because it waits for a turn."""
        return self._stopped_at is not None

    def give_turn(self, turn: bytes) -> None:
        """Continue a worker that has paused with a line that gives it a turn. Its time limits stood still meanwhile."""
        if self._stopped_at is None:
            raise AssertionError("only a worker that has paused gets a turn")
        now = time.monotonic()
        self._started += now - self._stopped_at
        self._last_event, self._stopped_at = now, None
        if (pipe := self._turns) is not None:  # None: it was killed while it was stopped, which `lines` reports
            with contextlib.suppress(OSError):
                os.write(pipe, turn + b"\n")
        self._signal_group(signal.SIGCONT)

    def kill(self) -> int:
        """End the worker and its descendants, with SIGTERM first; returns its exit code."""
        try:
            children = psutil.Process(self.pid).children(recursive=True)
        except psutil.Error:
            children = []
        self._signal_group(signal.SIGTERM)
        self._signal_group(signal.SIGCONT)  # a process that is stopped handles no SIGTERM
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=TERMINATE_SECONDS)
        self._signal_group(signal.SIGKILL)
        for child in children:  # those that left the group
            with contextlib.suppress(psutil.Error):
                child.kill()
        self.code = self._process.wait()
        return self.code

    def _next(self) -> bytes | int:
        """The next line, or the exit code."""
        silence, wall = self._limits.silence_seconds, self._limits.wall_seconds
        while True:
            began = time.monotonic()
            now = self._stopped_at or began  # the time of a worker that waits for its turn stands still
            silence_left = self._last_event + silence - now
            wall_left = math.inf if wall is None else self._started + wall - now
            left = max(min(silence_left, wall_left), 0)
            if wall_left > 0:  # even when lines are waiting: a worker that prints without end must not outrun the limit
                with contextlib.suppress(queue.Empty):
                    message = self._messages.get(timeout=left)
                    self._last_event = time.monotonic()
                    return message
            waited = time.monotonic() - began
            if waited > left + LATE_SECONDS:  # Ctrl-Z: nobody looked meanwhile
                self._started += waited
                self._last_event += waited
            elif wall_left <= max(silence_left, 0):
                raise OverdueError(f"not finished after {wall:.3g} s ({self._limits.option})", self._limits.overdue)
            else:
                raise OverdueError(f"no sign of life for {silence:g} s (--silence-timeout)")

    def _environment(self, interpreter: str, folder: Path, foreign: bool, preloaded: str) -> dict[str, str]:
        """The worker's variables; it is `foreign` if its interpreter is another environment's."""
        package = folder if foreign else Path(lenet.__file__).parents[1]
        # MindSpore looks for tools (msrun among them) that are installed beside the interpreter.
        tools = str(Path(interpreter if Path(interpreter).is_absolute() else sys.executable).parent)
        path = os.environ.get("PATH", os.defpath)
        inherited = variables_of_a_python()
        # The worker runs in another folder, where a checkout that is not installed would not be found, nor anything
        # else that is named relative to this one.
        paths = {name: names for name, names in SEARCHED.items() if inherited.get(name)}
        inherited |= {name: _absolute(inherited[name], names) for name, names in paths.items()}
        if preloaded:
            inherited["LD_PRELOAD"] = os.pathsep.join(filter(None, [preloaded, inherited.get("LD_PRELOAD")]))
        modules = [str(package), *filter(None, [inherited.pop("PYTHONPATH", None)])]
        if foreign:
            inherited.pop("PYTHONHOME", None)
            # Packages of this interpreter would hide those of the release.
            modules[1:] = cann.python_folders(os.environ)
        return {
            **inherited,
            "PATH": f"{tools}{os.pathsep}{path}",
            "PYTHONPATH": os.pathsep.join(modules),
            "PYTHONUNBUFFERED": "1",
            # What it leaves there, as compilers do in a worker that is ended, goes with the folder.
            "TMPDIR": str(folder),
            PARENT: str(os.getpid()),
            MARK: self._mark,
        }

    def _read(self, pipe: IO[bytes]) -> None:
        with pipe:
            while line := pipe.readline(MAX_LINE_BYTES):
                if self._turns is not None and PAUSED.match(line):
                    # Here and not where the line is handled: the data pipeline's threads run on until then.
                    self._stopped_at = time.monotonic()
                    self._signal_group(signal.SIGSTOP)
                self._messages.put(line)

    def _await_end(self) -> None:
        code = self._process.wait()
        # Children that outlive the worker use the processor and hold the pipe open: end them, then the pipe ends too.
        self._signal_group(signal.SIGKILL)
        for _ in range(STRAY_ROUNDS):  # a process in the middle of execve shows no environment yet
            self._end_strays()
            self._reader.join(timeout=5 / STRAY_ROUNDS)
            if not self._reader.is_alive():
                break
        self._close_turns()
        self._messages.put(code)

    def _close_turns(self) -> None:
        if self._turns is not None:
            os.close(self._turns)
            self._turns = None

    def _end_strays(self) -> None:
        """End processes that left the worker's group and lost their parent: they still have its mark."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.environ().get(MARK) == self._mark:
                    process.kill()

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # the group is empty
            os.killpg(self.pid, number)
