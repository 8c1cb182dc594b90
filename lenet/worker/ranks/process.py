"""One rank, started by msrun; or the scheduler that msrun starts beside the ranks."""

from __future__ import annotations

import time

_BORN = time.perf_counter()  # before the other imports: they are set-up time

import json  # noqa: E402
import os  # noqa: E402
import queue  # noqa: E402
import socket  # noqa: E402
import threading  # noqa: E402
import traceback  # noqa: E402
from pathlib import Path  # noqa: E402

from lenet.store.events import Event  # noqa: E402
from lenet.worker.ranks import ASSIGNMENT, SOCKET  # noqa: E402
from lenet.worker.work import Assignment, failure, work  # noqa: E402

SCHEDULER = -1


class Channel:
    """The line to the worker. When the worker is gone this process ends at once: nobody waits for its part."""

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
        """Rank 0's value, on every rank."""
        self.send({"agree": value})
        return self._answers.get()


def schedule(assignment: Assignment) -> None:
    """Be msrun's scheduler: the ranks find one another through it, and it ends with them."""
    from lenet.training.targets import join

    join(assignment.case.device_target)


def main() -> int:
    """Entry; exit code 0 when this rank's part was carried out."""
    scheduler = os.environ.get("MS_ROLE") == "MS_SCHED"
    channel = Channel(SCHEDULER if scheduler else int(os.environ["RANK_ID"]))
    assignment = Assignment.model_validate_json(Path(ASSIGNMENT).read_bytes())
    try:
        if scheduler:
            schedule(assignment)
        else:
            work(assignment, channel.emit, _BORN, channel.agree)
    except Exception as error:
        traceback.print_exc()
        channel.emit(failure(error))
        return 1
    return 0
