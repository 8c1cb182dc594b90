"""One rank, started by msrun; or the scheduler that msrun starts beside the ranks."""

from __future__ import annotations

import json
import os
import queue
import socket
import threading
import traceback
from pathlib import Path

from lenet.store.events import Event
from lenet.worker.ranks import ASSIGNMENT, SOCKET
from lenet.worker.work import Assignment, failure, work

SCHEDULER = -1


class RankAssignment(Assignment):
    """What the launcher hands every rank."""

    born: float
    """When the launcher started, in seconds of `time.perf_counter`, whose clock all processes share: starting msrun
    and the ranks is set-up time."""


class Channel:
    """The connection to the launcher. When the launcher is gone this process ends at once."""

    def __init__(self, rank: int) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(SOCKET)
        self._answers: queue.SimpleQueue[float] = queue.SimpleQueue()
        self.send({"rank": rank})
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with self._socket.makefile("rb") as lines:
            for line in lines:
                self._answers.put(float(json.loads(line)))
        # Not an exception: the main thread may wait inside the framework for a rank that is gone too.
        os._exit(1)

    def send(self, content: object) -> None:
        """Write one line."""
        self._socket.sendall(json.dumps(content).encode() + b"\n")

    def emit(self, event: Event) -> None:
        """Report an event."""
        self.send(event.model_dump(mode="json"))

    def agree(self, value: float) -> float:
        """Rank 0's value, on every rank, as soon as all ranks have called this."""
        self.send({"agree": value})
        return self._answers.get()


def schedule(assignment: Assignment) -> None:
    """Serve as msrun's scheduler: the ranks connect through it, and it ends with them."""
    from lenet.training.targets import join

    join(assignment.case.device_target)


def main() -> int:
    """Entry point of the process; exit code 0 on success."""
    scheduler = os.environ.get("MS_ROLE") == "MS_SCHED"
    channel = Channel(SCHEDULER if scheduler else int(os.environ["RANK_ID"]))
    assignment = RankAssignment.model_validate_json(Path(ASSIGNMENT).read_bytes())
    try:
        if scheduler:
            schedule(assignment)
        else:
            work(assignment, channel.emit, assignment.born, channel.agree)
    except Exception as error:
        traceback.print_exc()
        channel.emit(failure(error))
        return 1
    return 0
