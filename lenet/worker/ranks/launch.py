"""The worker of a data-parallel case: starts the ranks with MindSpore's launcher and merges their reports.

MindSpore is not imported here. A rank that dies, for whatever reason, closes its end of the socket: the case then ends
at once as crashed, and the other ranks, which would wait for its gradients, are killed.
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
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from lenet.store.events import MAX_LINE_BYTES, Event, Failed, Finished, parse
from lenet.store.record import Status
from lenet.worker.ranks import ASSIGNMENT, SOCKET
from lenet.worker.ranks.merge import DisagreementError, Merger
from lenet.worker.ranks.process import SCHEDULER, RankAssignment
from lenet.worker.work import Assignment

SCRIPT = "rank.py"
LOGS = "ranks"
CLUSTER_SECONDS = 180
"""How long the ranks may take to connect to one another."""
LOG_TAIL_BYTES = 20_000
DRAIN_SECONDS = 2
"""How long the ranks' last lines may take to arrive after msrun has ended."""
END_SECONDS = 20
"""How long msrun may take to end after the last rank has reported everything."""


class Closed(NamedTuple):
    """A rank's end of the socket is closed."""

    rank: int


class LauncherEnded(NamedTuple):
    """msrun has ended."""

    code: int


class Ranks:
    """The ranks of one case: their lines, as they arrive, and their processes."""

    def __init__(self, assignment: RankAssignment) -> None:
        """Start them in the working folder.

        Raises:
            OSError: msrun cannot be started.
        """
        self.messages: queue.Queue[tuple[int, bytes] | Closed | LauncherEnded] = queue.Queue()
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
                return  # it reports nothing, and msrun watches it
            try:
                while line := lines.readline(MAX_LINE_BYTES):
                    self.messages.put((rank, line))
            except OSError:
                pass  # reset by a rank that was killed
        self.messages.put(Closed(rank))

    def _await_end(self) -> None:
        self.messages.put(LauncherEnded(self._msrun.wait()))

    def answer(self, value: float) -> None:
        """Send every rank the agreed value."""
        line = json.dumps(value).encode() + b"\n"
        for rank, connection in list(self._connections.items()):
            if rank != SCHEDULER:
                try:
                    connection.sendall(line)
                except OSError:
                    continue  # `Closed` is in the queue

    def kill(self) -> None:
        """Kill all processes: msrun's children are in sessions of their own."""
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
        """Wait until msrun ends by itself after the last report; kill it if it does not."""
        try:
            self._msrun.wait(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()


def launch(assignment: Assignment, emit: Callable[[Event], None], born: float) -> int:
    """Run a data-parallel case; returns the worker's exit code. `born` is when the worker started (`perf_counter`)."""
    if shutil.which("msrun") is None:
        emit(Failed(status=Status.UNAVAILABLE, reason="MindSpore's launcher msrun is not on the PATH; reinstall it"))
        return 1
    ranks = Ranks(RankAssignment(**assignment.model_dump(), born=born))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        last, rank = _follow(ranks, assignment.case.world_size, emit)
        if isinstance(last, Finished):
            ranks.wait()
            emit(_closed(last, time.perf_counter() - born))
            return 0
    finally:
        ranks.kill()
    _show_logs(last=f"worker_{rank}.log")
    emit(last)
    return 1


def _closed(finished: Finished, wall_seconds: float) -> Finished:
    """The event with the time until all processes had ended, some seconds with MindSpore, as closing time."""
    phases = finished.phases
    closing = wall_seconds - phases.wall_seconds
    update = {"wall_seconds": wall_seconds, "other_seconds": phases.other_seconds + closing}
    return finished.model_copy(update={"phases": phases.model_copy(update=update)})


def _follow(ranks: Ranks, size: int, emit: Callable[[Event], None]) -> tuple[Finished | Failed, int | None]:
    """Emit the merged events but the last one, which is returned; with a failure the rank at fault, if it is known."""
    merger = Merger(size)
    done: set[int] = set()
    values: dict[int, float] = {}
    code: int | None = None
    while True:
        try:
            message = ranks.messages.get(timeout=None if code is None else DRAIN_SECONDS)
        except queue.Empty:
            reason = f"the ranks' launcher msrun ended with exit code {code} before they had reported"
            return Failed(status=Status.CRASHED, reason=reason), None
        if isinstance(message, LauncherEnded):
            code = message.code
            continue
        if isinstance(message, Closed):
            if message.rank not in done:
                reason = f"rank {message.rank} of {size} died before it had reported the whole case"
                return Failed(status=Status.CRASHED, reason=reason), message.rank
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
        if isinstance(event, Finished):
            done.add(rank)
        for each in merged:
            if isinstance(each, Failed | Finished):
                return each, rank
            emit(each)


def _agreement(line: bytes) -> float | None:
    content: Any = json.loads(line)
    return float(content["agree"]) if isinstance(content, dict) and "agree" in content else None


def _show_logs(last: str) -> None:
    """Print the ends of the ranks' logs, that of the rank at fault last: a reader may keep only the end."""
    for log in sorted(Path(LOGS).glob("*.log"), key=lambda log: (log.name == last, log.name)):
        text = log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")
        print(f"== {log.name}\n{text}\n== end of {log.name}", flush=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
