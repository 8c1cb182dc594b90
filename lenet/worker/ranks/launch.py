"""The worker of a data-parallel case: starts the ranks with MindSpore's launcher and tells the engine what they tell.

MindSpore is not imported here. A rank that dies, in whatever way, closes its end of the socket: the case then ends at
once as crashed, and the others are ended, which would else wait for its gradients.
"""

from __future__ import annotations

import json
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from lenet.store.events import MAX_LINE_BYTES, Event, Failed, Finished, parse
from lenet.store.record import Status
from lenet.worker.ranks import ASSIGNMENT, SOCKET
from lenet.worker.ranks.merge import DisagreementError, Merger
from lenet.worker.ranks.process import SCHEDULER
from lenet.worker.work import Assignment

SCRIPT = "rank.py"
LOGS = "ranks"
CLUSTER_SECONDS = 180
"""How long the ranks may take to find one another."""
LOG_TAIL_BYTES = 20_000
LAST_WORDS_SECONDS = 2
"""How long what the ranks said last may take to be read after msrun has ended."""
END_SECONDS = 20
"""How long msrun may take to end after the last rank has reported everything."""


class Gone:
    """A rank's end of the socket is closed, or msrun has ended (rank None)."""

    def __init__(self, rank: int | None, code: int | None = None) -> None:
        self.rank = rank
        self.code = code


class Ranks:
    """The ranks of one case: their lines, as they come, and their processes."""

    def __init__(self, assignment: Assignment) -> None:
        """Start them in the present folder.

        Raises:
            OSError: msrun cannot be started.
        """
        self.messages: queue.Queue[tuple[int, bytes] | Gone] = queue.Queue()
        self._connections: dict[int, socket.socket] = {}
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(SOCKET)
        self._server.listen()
        threading.Thread(target=self._accept, daemon=True).start()
        Path(ASSIGNMENT).write_text(assignment.model_dump_json(), encoding="utf-8")
        Path(SCRIPT).write_text(
            "from lenet.worker.ranks.process import main\nraise SystemExit(main())\n", encoding="utf-8"
        )
        size = str(assignment.case.world_size)
        self._msrun = subprocess.Popen(
            [
                *("msrun", "--worker_num", size, "--local_worker_num", size, "--master_port", str(_free_port())),
                *("--join", "True", "--log_dir", LOGS, "--cluster_time_out", str(CLUSTER_SECONDS)),
                *("--tail_worker_log", str(2**16), SCRIPT),  # no rank's log on ours: `show_logs` shows them in order
            ],
            stdin=subprocess.DEVNULL,
        )
        threading.Thread(target=self._await_end, daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._server.accept()
            threading.Thread(target=self._listen, args=(connection,), daemon=True).start()

    def _listen(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as lines:
            rank = int(json.loads(lines.readline(MAX_LINE_BYTES))["rank"])
            self._connections[rank] = connection
            if rank == SCHEDULER:
                return  # it has nothing to say; msrun watches its end
            try:
                while line := lines.readline(MAX_LINE_BYTES):
                    self.messages.put((rank, line))
            except OSError:
                pass  # reset by a rank that was killed
        self.messages.put(Gone(rank))

    def _await_end(self) -> None:
        self.messages.put(Gone(None, self._msrun.wait()))

    def answer(self, value: float) -> None:
        """Tell every rank what is agreed."""
        line = json.dumps(value).encode() + b"\n"
        for rank, connection in list(self._connections.items()):
            if rank != SCHEDULER:
                try:
                    connection.sendall(line)
                except OSError:
                    continue  # its end is in the queue

    def end(self) -> None:
        """End all processes: msrun's children are in sessions of their own."""
        try:
            processes = psutil.Process(self._msrun.pid).children(recursive=True)
        except psutil.Error:
            processes = []
        self._msrun.kill()
        for process in processes:
            try:
                process.kill()
            except psutil.Error:
                continue

    def wait(self) -> None:
        """Let msrun end by itself after everything is reported; end it where it does not."""
        try:
            self._msrun.wait(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            self.end()


def launch(assignment: Assignment, emit: Callable[[Event], None]) -> int:
    """Carry a data-parallel case out; the worker's exit code."""
    if shutil.which("msrun") is None:
        emit(Failed(status=Status.UNAVAILABLE, reason="MindSpore's launcher msrun is not on the PATH; reinstall it"))
        return 1
    ranks = Ranks(assignment)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        failed, rank = _follow(ranks, assignment.case.world_size, emit)
        if failed is None:
            ranks.wait()
            return 0
    finally:
        ranks.end()
    _show_logs(last=f"worker_{rank}.log")
    emit(failed)
    return 1


def _follow(ranks: Ranks, size: int, emit: Callable[[Event], None]) -> tuple[Failed | None, int | None]:
    """Merge what the ranks say until all have finished; else what ended them before, and the rank where that was."""
    merger = Merger(size)
    done: set[int] = set()
    values: dict[int, float] = {}
    ended: int | None = None
    while len(done) < size:
        try:
            message = ranks.messages.get(timeout=None if ended is None else LAST_WORDS_SECONDS)
        except queue.Empty:
            words = f"the ranks' launcher msrun ended with exit code {ended} before they had reported"
            return Failed(status=Status.CRASHED, reason=words), None
        if isinstance(message, Gone):
            if message.rank is None:
                ended = message.code
            elif message.rank not in done:
                words = f"rank {message.rank} of {size} died before it had reported the whole case"
                return Failed(status=Status.CRASHED, reason=words), message.rank
            continue
        rank, line = message
        agreed = _agreement(line)
        if agreed is not None:
            values[rank] = agreed
            if len(values) == size:
                ranks.answer(values[0])
                values.clear()
            continue
        try:
            event = parse(line)
            merged = merger.take(rank, event)
        except (ValueError, DisagreementError) as error:
            text = " ".join(str(error).split())[:1000]
            return Failed(status=Status.INVALID, reason=f"rank {rank} of {size}: {text}"), rank
        for each in merged:
            if isinstance(each, Failed):
                return each, rank
            emit(each)
        if isinstance(event, Finished):
            done.add(rank)
    return None, None


def _agreement(line: bytes) -> float | None:
    content: Any = json.loads(line)
    return float(content["agree"]) if isinstance(content, dict) and "agree" in content else None


def _show_logs(last: str) -> None:
    """The ends of the ranks' logs, on our own; that of the rank that failed last, for who reads only the end."""
    for log in sorted(Path(LOGS).glob("*.log"), key=lambda log: (log.name == last, log.name)):
        text = log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")
        print(f"== {log.name}\n{text}\n== end of {log.name}", flush=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
